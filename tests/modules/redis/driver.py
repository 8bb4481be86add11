"""Sessions on a Redis server without an event loop and with a clock of the test's: each call is one script."""

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

import attrs
from coredis.exceptions import RedisError
from coredis.parser import Parser

from postroom.log import Log
from postroom.modules.redis import RedisModule, scripts
from postroom.modules.redis.caller import Caller
from postroom.modules.redis.faults import translated
from postroom.modules.redis.finding import Finder
from postroom.modules.redis.link import Link
from postroom.modules.redis.opening import Greeting
from postroom.modules.redis.publishing import Publishing
from postroom.modules.redis.scripts import Script
from postroom.modules.redis.session import RedisSession
from postroom.modules.redis.settings import Settings
from tests.servers.redis import Wire

T = TypeVar("T")


def done(call: Coroutine[Any, Any, T]) -> T:
    """The result of a call that never waits."""
    try:
        call.send(None)
    except StopIteration as result:
        return cast("T", result.value)
    raise AssertionError("it waits for something")


@attrs.define(eq=False)
class BlockingLink:
    """As `Link`, on a blocking connection."""

    wire: Wire
    finder: Finder

    async def run(self, script: Script, key: str, blob: bytes, beside: Sequence[bytes] = ()) -> Any:
        reply = self.wire.ask("EVALSHA", script.sha, 1, key, blob, *beside)
        if isinstance(reply, str) and reply.startswith("-NOSCRIPT"):
            self.wire.ask("SCRIPT", "LOAD", script.source)
            reply = self.wire.ask("EVALSHA", script.sha, 1, key, blob, *beside)
        if isinstance(reply, str) and reply.startswith("-"):
            error: RedisError = Parser().parse_error(reply[1:])
            raise translated(error, "here") from error
        return reply


@attrs.define(eq=False)
class Driver:
    """One session."""

    wire: Wire
    settings: Settings
    name: str
    caller: Caller = attrs.field(init=False)
    link: Link = attrs.field(init=False)
    session: RedisSession = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.caller = Caller(self.settings, self.name, Greeting(self.settings), Log())
        self.link = cast("Link", BlockingLink(self.wire, Finder(self.settings)))
        done(self.caller.begin(self.link))
        self.session = RedisSession(self.caller, self.link, self.link, Publishing(self.caller, self.link))

    def run(self, script: Script, *arguments: Any) -> Any:
        return done(self.caller.call(self.link, script, *arguments))

    def renew(self) -> None:
        self.run(scripts.RENEW)

    def end(self) -> None:
        done(self.link.run(scripts.END, self.caller.key, self.caller.blob()))


def settings_of(url: str, namespace: str, clock: Any, **options: Any) -> Settings:
    """Settings as a module makes them, with a clock of the test's."""
    return RedisModule(url, namespace=namespace, clock=clock, **options)._settings()

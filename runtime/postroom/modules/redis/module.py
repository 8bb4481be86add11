"""`RedisModule`: which server and namespace, and what is promised of them."""

import importlib.util
import re
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from os import PathLike, fspath
from typing import Any, Final

import attrs

from postroom.capabilities import Capability
from postroom.checks import seconds
from postroom.contract import Store
from postroom.errors import InvalidOption
from postroom.log import UNVERIFIED, Log
from postroom.store_errors import StoreBroken

from .faults import MODULE
from .guarantees import Guarantee
from .places import Place, Secret, place_of, secret_of
from .settings import Settings

_is_namespace = re.compile(r"[A-Za-z0-9_.-]{1,100}").fullmatch

BLOCK: Final = 5.0
"""Seconds for which one question for news waits at the server."""


def _check_namespace(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, str) or not _is_namespace(value):
        raise InvalidOption(attribute.name, value, "must be 1 to 100 of letters, digits, `_`, `-` and `.`")


def _check_flag(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidOption(attribute.name, value, "must be True or False")


@attrs.define(eq=False)
class RedisModule:
    """An event module on Redis 6.2 or newer, or Valkey: many processes on many machines share its events.

    Attributes:
        url: Where the server is: `redis://user:password@host:6379/0`, `rediss://` for TLS, or
            `redis+sentinel://host:26379,host:26379/SERVICE/0`. Of a cluster, any node. Shown without its password.
        namespace: Whose events these are; several may share a server. In a cluster, each is on one node.
        password: In place of the URL's: a string, or the path of a file (`pathlib.Path`) whose first line it is.
        tls_ca: The file of the certificate authority; None for those that the machine trusts.
        tls_verify: Whether the server's certificate is verified. Without, anybody between could read and write.
        sentinel_username, sentinel_password: For the sentinels, where they ask for one.
        lease: Seconds after which others take over what a process has, once it does not show up any more.
        window: Seconds for which an id of the user's own stands for the same event.
        wait_for_server: Seconds for which a call waits for a server that can't be reached; 0 to fail at once. The
            runtime asks again either way: an emit for some seconds, all else until it is done.
        reply_within: Seconds for which a call waits for its reply, before nobody can tell what was done.
        connect_within: Seconds for a connection.
        guarantee: What survives a crash of the server, by its settings; None before it was opened.
    """

    url: Place = attrs.field(converter=place_of, on_setattr=attrs.setters.frozen)
    namespace: str = attrs.field(default="default", validator=_check_namespace, kw_only=True)
    password: Secret | None = attrs.field(default=None, converter=secret_of, kw_only=True)
    tls_ca: "str | PathLike[str] | None" = attrs.field(default=None, kw_only=True)
    tls_verify: bool = attrs.field(default=True, validator=_check_flag, kw_only=True)
    sentinel_username: str | None = attrs.field(default=None, kw_only=True)
    sentinel_password: Secret | None = attrs.field(default=None, converter=secret_of, kw_only=True)
    lease: float = attrs.field(default=15.0, validator=seconds(above=True), kw_only=True)
    window: float = attrs.field(default=600.0, validator=seconds(), kw_only=True)
    wait_for_server: float = attrs.field(default=0.0, validator=seconds(), kw_only=True)
    reply_within: float = attrs.field(default=10.0, validator=seconds(above=True), kw_only=True)
    connect_within: float = attrs.field(default=5.0, validator=seconds(above=True), kw_only=True)
    _block: float = attrs.field(default=BLOCK, validator=seconds(above=True), kw_only=True, repr=False)
    _clock: Callable[[], float] | None = attrs.field(default=None, kw_only=True, repr=False)
    name: str = attrs.field(default=MODULE, init=False)
    capabilities: frozenset[Capability] = attrs.field(
        default=frozenset(Capability) - {Capability.NOWAIT}, init=False, repr=False
    )
    guarantee: Guarantee | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if importlib.util.find_spec("coredis") is None:
            raise StoreBroken(
                MODULE, "the package `coredis` is not installed", "Install it: `pip install '.[redis]'` in the clone."
            )

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator[Store]:
        """A block with one session on the server; its lease is renewed from a thread of its own.

        Leaving the block ends the session: what it was lent is available again at once, without a loss.

        Args:
            session: Unique, for all time.

        Raises:
            StoreBroken: it can't be used; what it is, where, and what to do.

        Cancellation: there is no session; or it ends.
        """
        from .opening import Greeting  # coredis is not wanted before a server is opened
        from .session import open_session

        if self.url.has_tls and not self.tls_verify:
            Log().write(UNVERIFIED, MODULE, str(self.url))
        greeting = Greeting(self._settings())
        async with open_session(greeting.settings, session, greeting) as opened:
            self.guarantee = greeting.guarantee
            yield opened

    def _settings(self) -> Settings:
        place = self.url if self.password is None else attrs.evolve(self.url, password=self.password)
        return Settings(
            place=place,
            namespace=self.namespace,
            lease=self.lease,
            window=self.window,
            wait_for_server=self.wait_for_server,
            reply_within=self.reply_within,
            connect_within=self.connect_within,
            block=self._block,
            tls=self._tls() if place.has_tls else None,
            sentinel=(self.sentinel_username, self.sentinel_password),
            clock=self._clock,
        )

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self.tls_ca is None else fspath(self.tls_ca))
        except (OSError, ssl.SSLError) as error:
            raise StoreBroken(
                MODULE, f"the certificates in {self.tls_ca!r} can't be read ({error})", "Look at `tls_ca`."
            ) from error
        if not self.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

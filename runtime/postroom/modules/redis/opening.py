"""What is asked of a server at each new connection, and of which it makes sure at the first one."""

from collections.abc import Mapping
from typing import Any, cast

import attrs
from coredis.exceptions import NoScriptError, RedisError

from .connection import Connection
from .faults import code_of
from .guarantees import Guarantee, check_server, guarantee_of, parse_info
from .scripts import GREET
from .settings import Settings
from .wire import encode


@attrs.define(eq=False)
class Greeting:
    """Looks at the server behind each new connection of a session.

    Attributes:
        guarantee: What its settings promise; None before the first connection.
        run: Names the run of the server that was met last.
        runs: How many other runs, or servers, were met since.
    """

    settings: Settings
    guarantee: Guarantee | None = attrs.field(default=None, init=False)
    run: str = attrs.field(default="", init=False)
    runs: int = attrs.field(default=0, init=False)

    async def greet(self, connection: Connection) -> None:
        """Look at a server, and let leases go on that nobody could renew while it was away.

        Raises:
            StoreBroken: it can't be used.
            RedisError, TimeoutError: it does not answer.

        Cancellation: the connection is to be dropped.
        """
        info = parse_info(cast("str", await connection.ask(b"INFO", decode=True)))
        check_server(info, str(self.settings.place))
        run = info.get("run_id", "")
        if run == self.run:
            return
        self.guarantee = guarantee_of(info, await self._config(connection))
        await self._run_greeting(connection, run)
        self.runs += bool(self.run)
        self.run = run

    async def _config(self, connection: Connection) -> Mapping[str, str] | None:
        config: dict[str, str] = {}
        for name in ("appendfsync", "save"):
            try:
                found: Any = await connection.ask(b"CONFIG GET", name, decode=True)
            except RedisError as error:
                if code_of(error) not in ("NOPERM", "UNKNOWN"):
                    raise
                return None
            if isinstance(found, dict):
                config.update(found)
        return config

    async def _run_greeting(self, connection: Connection, run: str) -> None:
        clock = self.settings.clock
        lease = round(self.settings.lease * 1_000_000)
        blob = encode(["", None if clock is None else round(clock() * 1_000_000), lease, 0, run])
        key = self.settings.prefix + "state"
        try:
            await connection.ask(b"EVALSHA", GREET.sha, 1, key, blob)
        except NoScriptError:
            await connection.ask(b"SCRIPT LOAD", GREET.source)
            await connection.ask(b"EVALSHA", GREET.sha, 1, key, blob)

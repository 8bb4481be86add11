"""A link to the server: one connection, made anew when it is lost.

A connection whose reply did not come, or was not waited for, is dropped: its next reply would be somebody else's.
Nothing is sent twice here; who asks again decides that.

Units: seconds.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import anyio
import anyio.abc
import attrs
from coredis.exceptions import ConnectionError as ConnectionLost
from coredis.exceptions import MovedError, RedisError, ResponseError

from postroom.errors import PostroomError
from postroom.store_errors import StoreBroken, StoreBusy

from .connection import Connection, Unsent
from .faults import ELSEWHERE, MODULE, code_of, translated, unknown, unreachable
from .finding import Finder
from .scripts import Script

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0

MOST_MOVES: Final = 5
"""How many nodes of a cluster are tried for one connection."""


@attrs.define(eq=False)
class Link:
    """One connection at a time. Calls of several tasks share it, and their replies come in order.

    Attributes:
        tasks: Where connections run.
        greet: Called with each new connection, before anything else is sent on it.
        patience: How long a call waits for a server that can't be reached.
        losses: How many connections were lost.
    """

    finder: Finder
    tasks: anyio.abc.TaskGroup
    greet: Callable[[Connection], Awaitable[None]]
    patience: float
    losses: int = attrs.field(default=0, init=False)
    _connection: Connection | None = attrs.field(default=None, init=False)
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)

    async def run(
        self, script: Script, key: str, blob: bytes, beside: Sequence[bytes] = (), within: float | None = None
    ) -> Any:
        """Run a script.

        Raises:
            StoreBusy, StoreFull, StoreBroken, SessionGone, StaleCall: nothing was done.
            UnknownResult: it was run or not.

        Cancellation: as UnknownResult; the connection is dropped.
        """
        try:
            return await self.ask(script.name, b"EVALSHA", script.sha, 1, key, blob, *beside, within=within)
        except _NoScript:
            await self.ask(script.name, b"SCRIPT LOAD", script.source)
            try:
                return await self.ask(script.name, b"EVALSHA", script.sha, 1, key, blob, *beside, within=within)
            except _NoScript as error:  # somebody flushes them all the time
                raise StoreBusy(MODULE, f"{self.finder.shown} has forgotten a script twice") from error

    async def ask(self, what: str, command: bytes, *arguments: Any, within: float | None = None) -> Any:
        """Send one command, and wait for its reply.

        Raises and Cancellation: as `run`.
        """
        connection = await self._connected()
        try:
            return await connection.ask(command, *arguments, within=within)
        except Unsent as error:
            self._drop(connection)
            raise unreachable(error, self.finder.shown) from error
        except (TimeoutError, ConnectionLost) as error:
            if code_of(error):  # the server has answered
                raise self._refused(connection, error) from error
            self._drop(connection)
            raise unknown(what) from error
        except RedisError as error:
            raise self._refused(connection, error) from error

    def _refused(self, connection: Connection, error: Exception) -> PostroomError:
        code = code_of(error)
        if code == "NOSCRIPT":
            return _NoScript()
        if code in ELSEWHERE:
            self._drop(connection)
            self.finder.look_again((error.host, error.port) if isinstance(error, MovedError) else None)
        return translated(error, self.finder.shown)

    def _drop(self, connection: Connection) -> None:
        connection.invalidate()
        if self._connection is connection:
            self._connection = None
            self.losses += 1

    async def _connected(self) -> Connection:
        connection = self._connection
        if connection is not None and connection.usable:
            return connection
        async with self._lock:
            if self._connection is not None and self._connection.usable:
                return self._connection
            if self._connection is not None:
                self._drop(self._connection)
            give_up_at = anyio.current_time() + self.patience
            pause = FIRST_PAUSE
            while True:
                try:
                    self._connection = await self._connect()
                    return self._connection
                except StoreBusy:
                    if anyio.current_time() + pause > give_up_at:
                        raise
                await anyio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _connect(self) -> Connection:
        for _ in range(MOST_MOVES):
            try:
                return await self._connect_once()
            except MovedError as error:
                self.finder.look_again((error.host, error.port))
        raise StoreBusy(MODULE, f"{self.finder.shown}: its nodes send us from one to another")

    async def _connect_once(self) -> Connection:
        connection: Connection | None = None
        try:
            node = await self.finder.find(self._start)
            connection = await self.finder.connect(node)
            with anyio.fail_after(2 * self.finder.settings.connect_within):
                await self._start(connection)
                await self.greet(connection)
        except BaseException as error:
            if connection is not None:
                connection.invalidate()
            if isinstance(error, MovedError):
                raise
            if isinstance(error, StoreBusy):
                self.finder.look_again()
            if isinstance(error, RedisError | OSError | TimeoutError | anyio.BrokenResourceError | anyio.EndOfStream):
                self.finder.look_again()
                raise self._unconnected(error) from error
            raise
        return connection

    def _unconnected(self, error: Exception) -> PostroomError:
        if code_of(error) or isinstance(error, ResponseError):
            return translated(error, self.finder.shown)
        cause: BaseException | None = error
        while cause is not None:
            if "certificate verify failed" in str(cause) or "CERTIFICATE" in str(cause):
                return StoreBroken(
                    MODULE,
                    f"the certificate of {self.finder.shown} can't be verified",
                    "Name the file of its authority with `tls_ca=`, or the host as the certificate does.",
                )
            cause = cause.__cause__ or cause.__context__
        return unreachable(error, self.finder.shown)

    async def _start(self, connection: Connection) -> None:
        await self.tasks.start(connection.run, name="postroom redis connection")

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.invalidate()


@attrs.define
class _NoScript(PostroomError):
    """The server has forgotten the script."""

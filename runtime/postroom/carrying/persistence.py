"""How often a store is asked again when it fails: by what it says of its failure.

Units: seconds.
"""

import math
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, TypeVar

import anyio
import attrs

from postroom_actors import Cancellable, Port

from ..errors import RuntimeClosed
from ..log import STORE_FAILED, Log
from ..store_errors import StoreBusy, StoreFull, UnknownResult

T = TypeVar("T")

FIRST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 1.0

PATIENCE: Final = 5.0
"""How long an emit is tried again before its caller is told."""


@attrs.define(eq=False)
class Persistence:
    """Asks a store again; what it is asked for must be the same when it is asked twice."""

    _module: str
    _random: Random
    _log: Log

    def unknown(self, what: str) -> UnknownResult:
        """The error for whoever waits for something that is given up while it is on its way."""
        return UnknownResult(self._module, what)

    async def until_done(self, what: str, ask: Callable[[], Awaitable[T]], until: float | None = None) -> T:
        """Ask until the store has done it, or until a moment on the loop's clock.

        Raises:
            StoreBusy, StoreFull: that moment has come, and nothing was done.
            UnknownResult: that moment has come; one of the calls may have done it.
            StoreBroken: at once.

        Cancellation: it was done or not.
        """
        wait = FIRST_WAIT
        told = may_be_done = False
        while True:
            try:
                return await ask()
            except (StoreBusy, StoreFull, UnknownResult) as error:
                may_be_done = may_be_done or isinstance(error, UnknownResult)
                pause = wait * self._random.uniform(0.5, 1.0)
                if until is not None and anyio.current_time() + pause >= until:
                    if may_be_done and not isinstance(error, UnknownResult):  # what it says is said of the last call
                        raise self.unknown(what) from error
                    raise
                if not told:
                    self._log.write(STORE_FAILED, self._module, what, type(error).__name__)
                    told = True
            await anyio.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT)


@attrs.define(eq=False)
class Asking:
    """Calls of the store whose answers somebody waits for: they end with the runtime."""

    _port: Port
    _persistence: Persistence
    _scopes: dict[Cancellable, None] = attrs.field(factory=dict, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    async def until_done(self, what: str, ask: Callable[[], Awaitable[T]], patience: float = math.inf) -> T:
        """Ask the store for something that is harmless when asked twice.

        Args:
            patience: Seconds for which it is asked, whoever is cancelled meanwhile.

        Raises:
            RuntimeClosed: the runtime has ended; it was done or not.
            UnknownResult: its patience is at an end.

        Cancellation: it was done or not; with `patience`, does not come in.
        """
        scope: Cancellable
        with self._port.cancel_at(self._port.now() + patience, shield=patience < math.inf) as scope:
            self._scopes[scope] = None
            try:
                if not self._closed:
                    return await self._persistence.until_done(what, ask)
            finally:
                del self._scopes[scope]
        if self._closed:
            raise RuntimeClosed("closed")
        raise self._persistence.unknown(what)

    def close(self) -> None:
        """The runtime has ended: nobody waits any more."""
        self._closed = True
        for scope in tuple(self._scopes):
            scope.cancel()

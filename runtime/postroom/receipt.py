"""Receipts: the emitter's awaitable acknowledgement.

Source: end-to-end acknowledgement (Saltzer, Reed & Clark, 1984): only the handler can say that the work was done.
"""

from collections.abc import Generator
from typing import Any

import anyio.lowlevel
import msgspec

from postroom_actors import Admission, Kernel, Sleeper

from .event import Event
from .outcomes import Outcome, Report


class Receipt(msgspec.Struct, eq=False):
    """What `emit` returns: awaiting it gives the report once every subscription has settled.

    A struct, as events are, and for the same reason.

    Attributes:
        event: The event as it was accepted.
        pending: Subscriptions that have not settled yet.
        admission: The wait for room in its mailboxes; None where all had room.
        outcomes, waiters: The runtime's own.
    """

    event: Event
    pending: int
    _kernel: Kernel
    admission: Admission | None = None
    outcomes: list[Outcome] | None = None
    waiters: list[Sleeper] | None = None

    @property
    def id(self) -> str:
        """The event's id."""
        return self.event.id

    @property
    def settled(self) -> bool:
        """Whether every subscription has settled."""
        return not self.pending

    def __await__(self) -> Generator[Any, Any, Report]:
        return self.wait().__await__()

    async def wait(self) -> Report:
        """Wait until every subscription has settled.

        Returns:
            The report; the same for everyone who waits.

        Cancellation: nobody's handler is cancelled; wait again as you like.
        """
        if not self.pending:
            await anyio.lowlevel.checkpoint()
        elif self._kernel.port.breathes_cheaply:
            # Most handlers are done after one turn of the loop, and a turn is cheaper than a future.
            await self._kernel.port.breathe()
        while self.pending:
            await self._park()
        return self.report()

    async def _park(self) -> None:
        if self.waiters is None:
            self.waiters = []
        sleeper = self._kernel.port.sleeper()
        self.waiters.append(sleeper)
        try:
            await sleeper.park()
        finally:
            self.waiters.remove(sleeper)

    def report(self) -> Report:
        """The outcomes so far; all of them once `settled`."""
        return Report(self.event, tuple(self.outcomes or ()))

    def settle(self, outcome: Outcome) -> None:
        """The runtime's own: one more subscription has settled."""
        if self.outcomes is None:
            self.outcomes = [outcome]
        else:
            self.outcomes.append(outcome)
        self.pending -= 1
        if self.waiters is not None and not self.pending:
            for sleeper in self.waiters:
                sleeper.wake()

"""Timers: due times, held in a heap by one task, not by a task each.

What is due belongs to whoever set it (see `Schedule`); here is only when. Cancelling needs no search: what its holder
does not know any more is passed over, and forgotten once there is more of that than of the rest.

Units: seconds, on the loop's clock.
"""

import heapq
import itertools
import math
from collections.abc import Iterator
from typing import Final, Protocol

import anyio
import attrs

from .port import Port, Sleeper, cancellation_was_asked_for

MOST_AT_ONCE: Final = 256
"""How many fall due before other tasks have their turn."""


class Holder(Protocol):
    """Who sets timers. Each one has a number."""

    def holds(self, number: int) -> bool:
        """Whether that one is set, and not cancelled."""
        ...

    def fall_due(self, number: int) -> None:
        """It is time; asked only where `holds`."""
        ...


@attrs.define(eq=False)
class Timers:
    """A heap of due times, and the one task that waits for the earliest.

    Attributes:
        port: The event loop.
    """

    port: Port
    _sleeper: Sleeper = attrs.field(init=False)
    _heap: list[tuple[float, int, Holder]] = attrs.field(factory=list, init=False, repr=False)
    _gone: int = attrs.field(default=0, init=False)
    _numbers: Iterator[int] = attrs.field(factory=itertools.count, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._sleeper = self.port.sleeper()

    def __len__(self) -> int:
        """How many are set."""
        return len(self._heap) - self._gone

    def set(self, due: float, holder: Holder) -> int:
        """Have `holder.fall_due` called at `due`, or at the loop's next turn if that has passed.

        By due time, equal ones in the order set.

        Returns:
            The number of this one.
        """
        number = next(self._numbers)
        heapq.heappush(self._heap, (due, number, holder))
        if self._heap[0][1] == number:
            self._sleeper.wake()
        return number

    def cancelled(self, count: int) -> None:
        """So many are not held any more by those who set them."""
        self._gone += count
        if self._gone > MOST_AT_ONCE and 2 * self._gone > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].holds(entry[1])]
            heapq.heapify(self._heap)
            self._gone = 0

    async def run(self) -> None:
        """Tell of what falls due, for ever.

        Cancellation: while it waits; what is not due stays set.
        """
        while True:
            self._tell_what_is_due()
            deadline = self._heap[0][0] if self._heap else math.inf
            with anyio.CancelScope(deadline=deadline):  # passed already where more is due: others have their turn
                try:
                    await self._sleeper.park()
                except anyio.get_cancelled_exc_class():
                    if cancellation_was_asked_for():
                        raise
                    await self.port.absorb_cancellations()  # asyncio lets anybody cancel any task

    def _tell_what_is_due(self) -> None:
        now = self.port.now()
        for _ in range(MOST_AT_ONCE):
            if not self._heap or self._heap[0][0] > now:
                return
            _, number, holder = heapq.heappop(self._heap)
            if holder.holds(number):
                holder.fall_due(number)
            else:
                self._gone -= 1

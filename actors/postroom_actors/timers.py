"""Timers: messages that are due later, held in a heap by one task, not by a task each.

Units: seconds, on the loop's clock.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import anyio
import attrs

from .port import Port, Sleeper

M = TypeVar("M")


@attrs.define(eq=False)
class Timers(Generic[M]):
    """A heap of messages by due time, and the one task that waits for the earliest.

    Attributes:
        deliver: Called with each message when it is due: by due time, equal ones in the order set.
    """

    _port: Port
    deliver: Callable[[M], None]
    _sleeper: Sleeper = attrs.field(init=False)
    _heap: list[tuple[float, int, M]] = attrs.field(factory=list, init=False, repr=False)
    _numbers: Iterator[int] = attrs.field(factory=itertools.count, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._sleeper = self._port.sleeper()

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, due: float, message: M) -> None:
        """Have `message` delivered at `due`, or at the loop's next turn if that has passed."""
        number = next(self._numbers)
        heapq.heappush(self._heap, (due, number, message))
        if self._heap[0][1] == number:
            self._sleeper.wake()

    def cancel(self, condition: Callable[[M], bool], due_after: float = -math.inf) -> list[M]:
        """Forget every message that meets `condition` and is due after `due_after`.

        Returns:
            Those messages, in the order in which they would have been due.
        """
        cancelled: list[M] = []
        kept: list[tuple[float, int, M]] = []
        for entry in sorted(self._heap, key=lambda entry: entry[:2]):
            if entry[0] > due_after and condition(entry[2]):
                cancelled.append(entry[2])
            else:
                kept.append(entry)
        self._heap[:] = kept  # sorted, hence a heap
        return cancelled

    async def run(self) -> None:
        """Deliver what falls due, for ever.

        Cancellation: while it waits; what is not due stays set.
        """
        while True:
            now = self._port.now()
            while self._heap and self._heap[0][0] <= now:
                self.deliver(heapq.heappop(self._heap)[2])
            deadline = self._heap[0][0] if self._heap else math.inf
            with anyio.CancelScope(deadline=deadline):
                await self._sleeper.park()

"""Timers: messages that are due later, held in a heap by one task, not by a task each.

Their number is bounded as a mailbox is: beyond it whoever sets one waits in line for room.

Units: seconds, on the loop's clock.
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Generic, TypeVar

import anyio
import attrs

from .admission import ABANDONED, Admission
from .port import Port, Sleeper, cancellation_was_asked_for

M = TypeVar("M")


@attrs.define(eq=False)
class Timers(Generic[M]):
    """A heap of messages by due time, and the one task that waits for the earliest.

    Attributes:
        dropped: Told of each message that is removed for lack of room, and why.
        capacity: How many messages may be set.
        line: Messages that wait for room, with when they are due and the admission they belong to.
        deliver: Called with each message when it is due: by due time, equal ones in the order set.
    """

    _port: Port
    deliver: Callable[[M], None]
    capacity: int
    dropped: Callable[[M, str], None]
    line: deque[tuple[float, M, Admission]] = attrs.field(factory=deque, init=False, repr=False)
    _abandoned: int = attrs.field(default=0, init=False)
    _sleeper: Sleeper = attrs.field(init=False)
    _heap: list[tuple[float, int, M]] = attrs.field(factory=list, init=False, repr=False)
    _numbers: Iterator[int] = attrs.field(factory=itertools.count, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._sleeper = self._port.sleeper()

    def __len__(self) -> int:
        return len(self._heap)

    def messages(self) -> Iterator[M]:
        """Those that are set, in no order that means anything, then those in line."""
        return chain((entry[2] for entry in self._heap), (entry[1] for entry in self.line))

    def set(self, due: float, message: M, admission: Admission | None = None) -> Admission | None:
        """Have `message` delivered at `due`, or at the loop's next turn if that has passed.

        Returns:
            What to wait for where there is no room: `admission` where it was given.
        """
        if len(self._heap) < self.capacity:
            self._push(due, message)
            return None
        admission = Admission(self._port) if admission is None else admission
        admission.stand_in_line(self._abandon)
        self.line.append((due, message, admission))
        return admission

    def cancel(self, condition: Callable[[M], bool], due_after: float = -math.inf) -> list[M]:
        """Forget every message that meets `condition` and is due after `due_after`, those in line included.

        Returns:
            Those messages, in the order in which they would have been due, then those in line.
        """
        if not self._heap and not self.line:
            return []
        cancelled: list[M] = []
        kept: list[tuple[float, int, M]] = []
        for entry in sorted(self._heap, key=lambda entry: entry[:2]):
            if entry[0] > due_after and condition(entry[2]):
                cancelled.append(entry[2])
            else:
                kept.append(entry)
        self._heap[:] = kept  # sorted, hence a heap
        for _ in range(len(self.line)):
            due, message, admission = self.line.popleft()
            if due > due_after and condition(message):
                cancelled.append(message)
                self._abandoned -= admission.abandoned
                admission.admit()
            else:
                self.line.append((due, message, admission))
        self._admit()
        return cancelled

    def _push(self, due: float, message: M) -> None:
        number = next(self._numbers)
        heapq.heappush(self._heap, (due, number, message))
        if self._heap[0][1] == number:
            self._sleeper.wake()

    def _admit(self) -> None:
        """Let those in line in, as far as there is room."""
        while self.line and len(self._heap) < self.capacity:
            due, message, admission = self.line.popleft()
            self._abandoned -= admission.abandoned
            self._push(due, message)
            admission.admit()

    def _abandon(self, admission: Admission) -> None:
        """A writer has gone: its messages keep their places, within the bound that mailboxes have as well."""
        for entry in [entry for entry in self.line if entry[2] is admission]:
            if self._abandoned < self.capacity:
                self._abandoned += 1
                continue
            self.line.remove(entry)
            admission.waiting -= 1
            self.dropped(entry[1], ABANDONED)

    async def run(self) -> None:
        """Deliver what falls due, for ever.

        Cancellation: while it waits; what is not due stays set.
        """
        while True:
            now = self._port.now()
            while self._heap and self._heap[0][0] <= now:
                self.deliver(heapq.heappop(self._heap)[2])
                self._admit()
            deadline = self._heap[0][0] if self._heap else math.inf
            with anyio.CancelScope(deadline=deadline):
                try:
                    await self._sleeper.park()
                except anyio.get_cancelled_exc_class():
                    if cancellation_was_asked_for():
                        raise
                    await self._port.absorb_cancellations()  # asyncio lets anybody cancel any task

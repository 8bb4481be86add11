"""The world of a run: its processes, its clock, what goes wrong in it, and who waits for what.

Everything in it that is random was drawn when the program was made, or is drawn by the schedule. So nothing here may
ask the machine for the time, for ids, for randomness, or for the order of a set.

Units: seconds of virtual time; steps of tasks.
"""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import anyio
import attrs

from postroom import Receipt

from .sometimes import Sometimes
from .trace import Trace

MOST_STEPS = 50_000
NESTED = 40
"""Events that all handlers of a run together may emit; what comes after that is handled without emitting."""


class Process(Protocol):
    """A process, as the world knows it: one runtime, and all that happens in it."""

    @property
    def name(self) -> str: ...
    @property
    def is_closing(self) -> bool:
        """Its runtime's block has ended, or its runtime has fallen."""
        ...

    @property
    def is_closed(self) -> bool:
        """Nothing of its runtime runs any more."""
        ...

    def check(self) -> None:
        """Hold everything that can be seen between two steps against the invariants."""
        ...

    def check_at_rest(self) -> None:
        """Likewise, where nothing could run before time goes on."""
        ...


@attrs.define(eq=False)
class WallClock:
    """The wall's time, which may jump; nothing but what people are told depends on it."""

    offset: float = 1_700_000_000.0

    def time(self) -> float:
        return self.offset


@attrs.define(eq=False)
class World:
    """One run.

    Attributes:
        trace: What it did.
        now: Reads the virtual time without letting any pass.
        sometimes: The rare situations that it met.
        most_steps: Where it is ended; as a failure, unless it was asked for.
        failure: The first broken promise.
        root: The scope around everything.
        nested: Events that handlers may still emit.
        is_over: All of it has ended.
        is_hopeless: It was cancelled long ago, and goes on.
        waiting: What tasks wait for, by number: in which process, and for which receipt, if it is one.
    """

    trace: Trace
    most_steps: int = MOST_STEPS
    sometimes: Sometimes = attrs.field(factory=Sometimes)
    clock: WallClock = attrs.field(factory=WallClock)
    failure: str | None = None
    now: Callable[[], float] = float
    root: anyio.CancelScope = attrs.field(init=False)
    nested: int = NESTED
    processes: list[Process] = attrs.field(factory=list)
    waiting: dict[int, tuple[Process, str, Receipt | None]] = attrs.field(factory=dict)
    is_over: bool = False
    is_hopeless: bool = False
    _steps_after: int = 0
    _waits: int = 0
    _cancels: list[tuple[int, int, anyio.CancelScope]] = attrs.field(factory=list)
    _ids: int = 0

    def open(self) -> None:
        """The loop runs now."""
        self.root = anyio.CancelScope()

    def new_id(self) -> str:
        """An id for an event; the same ones in each run."""
        self._ids += 1
        return f"e{self._ids}"

    def say(self, text: str) -> None:
        """Tell the trace, which ends with the first broken promise."""
        if self.failure is None and not self.is_over:
            self.trace.say(text, self.now())

    def complain(self, what: str) -> None:
        """A promise is broken: note it, and end the run. The first counts, not what ending it causes."""
        if self.failure is None and not self.is_over:
            self.say(f"BROKEN: {what}")
            self.failure = what
            self.root.cancel()

    def broken(self, what: str) -> None:
        """As of `Watcher`."""
        self.complain(what)

    def cancel_later(self, scope: anyio.CancelScope, steps: int) -> None:
        """Cancel a scope after so many steps, between two of them."""
        heapq.heappush(self._cancels, (self.trace.steps + steps, self.new_number(), scope))

    def new_number(self) -> int:
        """One more than the last one."""
        self._waits += 1
        return self._waits

    @contextmanager
    def waits(self, process: Process, what: str, receipt: Receipt | None = None) -> Iterator[None]:
        """A block in which a task waits for the runtime."""
        number = self.new_number()
        self.waiting[number] = (process, what, receipt)
        try:
            yield
        finally:
            del self.waiting[number]

    def stepped(self, task: int) -> None:
        """Between two steps: cancel what is to be cancelled now, and look whether everything is as it should be."""
        if self.failure is not None or self.is_over:
            self._steps_after += 1
            self.is_hopeless = self._steps_after > MOST_STEPS
            return
        if self.trace.steps >= self.most_steps:
            if self.most_steps == MOST_STEPS:
                self.complain(f"it has not come to rest after {MOST_STEPS} steps")
            self.is_over = True
            self.root.cancel()
            return
        self.trace.step(task)
        while self._cancels and self._cancels[0][0] <= self.trace.steps:
            _, number, scope = heapq.heappop(self._cancels)
            self.say(f"cancel {number}")
            scope.cancel()
        for process in self.processes:
            process.check()

    def jumping(self) -> None:
        """Nothing can run: whoever could go on by now has been forgotten."""
        if self.failure is not None or self.is_over:
            return
        for process, what, receipt in self.waiting.values():
            if receipt is not None and receipt.settled:
                self.complain(f"{what}: all has settled, and nobody has woken who waits for it")
            if process.is_closed:
                self.complain(f"{what}: the runtime has closed, and nobody has woken who waits for it")
        for process in self.processes:
            process.check_at_rest()

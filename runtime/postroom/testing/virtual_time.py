"""Virtual time: sleeps that take none, on trio and on asyncio.

trio brings a clock that jumps when every task waits. For asyncio this file has a loop that does the same: when
nothing is ready to run, its time jumps to the next timer. On both, a run in which nothing would ever happen again
ends with `Deadlock`.

Units: seconds, from 0 at the loop's start on asyncio.
"""

import asyncio
import math
import selectors
import time
from contextvars import Context
from typing import Any, Final, Literal, NoReturn

import attrs
import trio
from trio.testing import MockClock

RESOLUTION: Final = 1e-6
"""Seconds by which a timer may come early; above the rounding of times for centuries."""

PATIENCE: Final = 5.0
"""How long, in real seconds, a loop with nothing left to do waits for a thread to report before it gives up."""

IDLE_PASSES: Final = 100
"""Turns of a trio loop in which no task ran, before it sleeps between them."""

IDLE_PAUSE: Final = 0.001
"""How long, in real seconds; by so much a thread's report may be late."""


class Deadlock(RuntimeError):
    """Every task waits, no timer is set, and no thread has reported: nothing would ever happen again."""

    def __init__(self) -> None:
        super().__init__(f"every task waits for another, no timer is set, and no thread reported for {PATIENCE:g} s")


@attrs.define(eq=False)
class _Patience(trio.abc.Instrument):
    """Ends a trio run in which nothing would ever happen again: its clock has nowhere to jump to, and would only spin.

    The error is raised in the main task, where it waits, as trio does it with `KeyboardInterrupt`; so every block that
    is open is left as by any error. trio has no public way for that.
    """

    _passes: int = attrs.field(default=0, init=False)
    _slept: float = attrs.field(default=0.0, init=False)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._passes, self._slept = 0, 0.0

    def before_io_wait(self, timeout: float) -> None:
        self._passes += 1
        if timeout > 0 or self._passes < IDLE_PASSES:
            return
        # Only the time that is slept here counts: a process that was stopped for a while has not waited.
        time.sleep(IDLE_PAUSE)
        self._slept += IDLE_PAUSE
        if self._slept >= PATIENCE:
            self._passes, self._slept = 0, 0.0
            main = _main_task()
            if main is not None and trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf:
                main._attempt_abort(_raise_deadlock)


def _main_task() -> Any:
    """The task that trio was told to run, while it waits."""
    root = trio.lowlevel.current_root_task()
    nurseries = [] if root is None else root.child_nurseries
    waiting = [task for nursery in nurseries[-1:] for task in nursery.child_tasks if task._abort_func is not None]
    return waiting[0] if waiting else None


def _raise_deadlock() -> NoReturn:
    raise Deadlock


@attrs.define(eq=False)
class _JumpingSelector(selectors.DefaultSelector):
    """Polls where the loop would wait, and lets the time that the loop would have waited pass at once.

    Worker threads report through a file descriptor that the loop watches. While a timer is set, time jumps to it
    even if a thread is still at work, as it does under trio's autojump clock.
    """

    now: float = 0.0

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is not None:
            # At least to the next float: the sum may round to a time just before the timer's, for ever.
            self.now = max(self.now + timeout, math.nextafter(self.now, math.inf))
            return events
        events = super().select(PATIENCE)
        if not events:
            raise Deadlock
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time stands while tasks run, and jumps to the next timer when all of them wait."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # The loop runs timers that are due within this; the default rounds away once the time is months.
        self._clock_resolution = RESOLUTION

    def call_at(  # type: ignore[override]  # with the types of 3.11, which say less
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As any loop's; a timer that never comes is not set, so that it doesn't hide that everything waits."""
        if when == math.inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now


def virtual_backend(library: Literal["trio", "asyncio"]) -> tuple[str, dict[str, Any]]:
    """A backend with virtual time, as `anyio.run` and anyio's pytest plugin take it.

    Returns:
        The backend's name and its options, made anew for each run: a trio clock serves one run only.
    """
    if library == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0), "instruments": [_Patience()]}
    return "asyncio", {"loop_factory": VirtualTimeLoop}

"""The port to trio, by `wait_task_rescheduled` and `reschedule`."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from typing import Final, Literal, TypeVar

import attrs
import outcome
import trio

from .libraries import running_library

R = TypeVar("R")


class _Woken(outcome.Outcome[None]):
    """What a sleeper wakes up with: nothing. Unlike an `outcome.Value` it may be used again and again.

    To make one for each wake-up was measured to be a sixth of it, most of that in the garbage collector.
    """

    __slots__ = ()

    def unwrap(self) -> None:
        return None

    def send(self, gen: Generator[R, None, object]) -> R:
        return gen.send(None)

    async def asend(self, agen: AsyncGenerator[R, None]) -> R:
        return await agen.asend(None)


_WOKEN: Final = _Woken()


@attrs.define(eq=False)
class TrioSleeper:
    """Holds the task that sleeps; an abort takes it away, since waking a task that was cancelled crashes trio."""

    _task: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    def park(self) -> Awaitable[None]:
        self._task = trio.lowlevel.current_task()
        return trio.lowlevel.wait_task_rescheduled(self._abort)  # noqa: ASYNC105 - by the caller, at once

    def _abort(self, _raise_cancel: Callable[[], None]) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> None:
        task = self._task
        if task is not None:
            self._task = None
            trio.lowlevel.reschedule(task, _WOKEN)


@attrs.define(eq=False)
class TrioPort:
    """trio's own primitives, in the run that makes it."""

    library: Literal["trio", "asyncio"] = attrs.field(default="trio", init=False)
    breathes_cheaply: bool = attrs.field(default=False, init=False)
    now: Callable[[], float] = attrs.field(init=False)
    _token: trio.lowlevel.TrioToken = attrs.field(init=False)
    stopwatch: Callable[[], float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = trio.lowlevel.current_clock()
        self._token = trio.lowlevel.current_trio_token()
        self.now = clock.current_time
        # Only trio's own clock is known to run as the machine's does.
        is_real = type(clock).__name__ == "SystemClock" and type(clock).__module__.startswith("trio.")
        self.stopwatch = time.perf_counter if is_real else self.now

    def sleeper(self) -> TrioSleeper:
        return TrioSleeper()

    async def breathe(self) -> None:
        await trio.lowlevel.checkpoint()

    def cancel_at(self, deadline: float, *, shield: bool = False) -> AbstractContextManager[trio.CancelScope]:
        return trio.CancelScope(deadline=deadline, shield=shield)

    def runs_here(self) -> bool:
        return running_library() == "trio" and trio.lowlevel.current_trio_token() is self._token

    def submit(self, call: Callable[[], None]) -> None:
        self._token.run_sync_soon(call)  # raises a RunFinishedError, which is a RuntimeError

    def current_task(self) -> object:
        return trio.lowlevel.current_task()

    def open_cancellations(self) -> Callable[[], int] | None:
        return None

    async def absorb_cancellations(self) -> None:
        raise AssertionError("on trio nobody cancels but scopes")

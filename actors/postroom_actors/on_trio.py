"""The port to trio, by `wait_task_rescheduled` and `reschedule`."""

from collections.abc import Callable
from typing import Literal

import attrs
import trio


@attrs.define(eq=False)
class TrioSleeper:
    """Holds the task that sleeps; an abort takes it away, since waking a task that was cancelled crashes trio."""

    _task: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    async def park(self) -> None:
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _raise_cancel: Callable[[], None]) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> None:
        task = self._task
        if task is not None:
            self._task = None
            trio.lowlevel.reschedule(task)


@attrs.define(eq=False)
class TrioPort:
    """trio's own primitives."""

    now: Callable[[], float]
    library: Literal["trio", "asyncio"] = attrs.field(default="trio", init=False)
    breathes_cheaply: bool = attrs.field(default=False, init=False)

    def sleeper(self) -> TrioSleeper:
        return TrioSleeper()

    async def breathe(self) -> None:
        await trio.lowlevel.checkpoint()

    def current_task(self) -> object:
        return trio.lowlevel.current_task()

    def open_cancellations(self) -> Callable[[], int] | None:
        return None

    async def absorb_cancellations(self) -> None:
        raise AssertionError("on trio nobody cancels but scopes")

"""Seeded schedules: a seed decides which of the tasks that are ready runs next, and each step of one can be watched.

A step is what a task does between two moments at which another one may run. On trio the scheduler's own randomness is
seeded; on asyncio, which runs tasks first come first served, the ready ones are shuffled. Time is virtual.

The names of trio's that this file uses are private; where trio changes them, every run fails at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from random import Random
from typing import Any, Final, Literal, TypeVar
from weakref import WeakKeyDictionary

import anyio
import trio
import trio._core._run as trio_run

from postroom.testing import VirtualTimeLoop, virtual_backend

T = TypeVar("T")

Library = Literal["trio", "asyncio"]
LIBRARIES: Final[tuple[Library, ...]] = ("trio", "asyncio")

AfterStep = Callable[[], None]


def run(library: Library, seed: int, main: Callable[[], Awaitable[T]], after_step: AfterStep) -> T:
    """Run `main` in virtual time under the schedule of `seed`; `after_step` is called after each step of any task."""
    if library == "asyncio":
        options: dict[str, Any] = {"loop_factory": partial(SeededLoop, Random(seed), after_step)}
        return anyio.run(main, backend="asyncio", backend_options=options)
    _, options = virtual_backend("trio")
    with _seeded_trio(seed):
        return anyio.run(main, backend="trio", backend_options={**options, "instruments": [_Watcher(after_step)]})


class _Watcher(trio.abc.Instrument):
    def __init__(self, after_step: AfterStep) -> None:
        self._after_step = after_step

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._after_step()


@contextmanager
def _seeded_trio(seed: int) -> Iterator[None]:
    """Tasks that are ready are put in the order of their making, then shuffled by the seed."""
    before, state = trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r.getstate()
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # it is meant to be patched
    trio_run._r.seed(seed)
    try:
        yield
    finally:
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]
        trio_run._r.setstate(state)


class _Step:
    """A step of a task, on its way to the loop."""

    def __init__(self, step: Callable[..., object], after: AfterStep, number: int) -> None:
        self._step = step
        self._after = after
        self.number = number

    def __call__(self, *args: object) -> None:
        self._step(*args)
        self._after()


class SeededLoop(VirtualTimeLoop):
    """Virtual time, and a shuffle of the tasks that are ready. Plain callbacks stay where they are: order is theirs."""

    def __init__(self, random: Random, after_step: AfterStep) -> None:
        super().__init__()
        self._random = random
        self._after_step = after_step
        self._numbers: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._made = 0

    def call_soon(  # type: ignore[override]  # with the types of 3.11, which say less
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        task = getattr(callback, "__self__", None)
        if isinstance(task, asyncio.Task):
            callback = _Step(callback, self._after_step, self._number_of(task))
        return super().call_soon(callback, *args, context=context)

    def _number_of(self, task: "asyncio.Task[Any]") -> int:
        if task not in self._numbers:
            self._made += 1
            self._numbers[task] = self._made
        return self._numbers[task]

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]  # the loop's own queue
        slots = [at for at, handle in enumerate(ready) if isinstance(handle._callback, _Step)]
        steps = sorted((ready[at] for at in slots), key=lambda handle: handle._callback.number)
        self._random.shuffle(steps)
        for at, handle in zip(slots, steps, strict=True):
            ready[at] = handle
        super()._run_once()  # type: ignore[misc]  # every loop of asyncio's own has it


def tasks_alive() -> int:
    """How many tasks there are in the run of the caller."""
    return len(asyncio.all_tasks()) if _on_asyncio() else trio.lowlevel.current_statistics().tasks_living


def deadlines_set() -> int:
    """How many moments there are at which the loop of the caller would wake up."""
    if _on_asyncio():
        scheduled: Any = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # its heap of timers
        return sum(not handle.cancelled() for handle in scheduled)
    return trio_run.GLOBAL_RUN_CONTEXT.runner.deadlines._active


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

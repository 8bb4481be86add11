"""Seeded schedules on asyncio: the tasks that can run are shuffled before each turn of the loop.

Other callbacks keep their places: that `call_soon` is first in, first out is documented, and others rely on it. The
tasks are sorted before they are shuffled, since which of them come first may depend on the order of sets.

Units: virtual seconds.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any

import anyio

from postroom.testing import VirtualTimeLoop

from .watcher import Hopeless, Watcher


class SeededLoop(VirtualTimeLoop):
    """A loop with virtual time whose tasks run in an order drawn from a seed."""

    _ready: "deque[asyncio.Handle]"

    def __init__(self, seed: str, tick: float, watcher: Watcher) -> None:
        super().__init__()
        self._random = Random(seed)
        self._tick = tick
        self._watcher = watcher
        self._numbers: dict[int, int] = {}
        self._made = 0
        watcher.now = lambda: self._jumping.now
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]  # its type is not public
        self.set_exception_handler(self._note)

    def time(self) -> float:
        self._jumping.now += self._tick
        return self._jumping.now

    def _make_task(self, loop: Any, coroutine: "Coroutine[Any, Any, Any]", **options: Any) -> "asyncio.Task[Any]":
        task = asyncio.Task(coroutine, loop=loop, **options)
        self._numbers[id(task)] = self._made
        self._made += 1
        return task

    def _note(self, _loop: object, context: dict[str, Any]) -> None:
        self._watcher.broken(f"asyncio: {context['message']} {context.get('exception')!r}")

    def _run_once(self) -> None:
        if self._watcher.is_hopeless:
            raise Hopeless
        ready = self._ready
        if ready:
            self._shuffle(ready)
        elif self._scheduled and self._scheduled[0]._when > self._jumping.now:  # type: ignore[attr-defined]  # private
            self._tell(self._watcher.jumping)
        super()._run_once()  # type: ignore[misc]  # private, and as old as asyncio

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        """Tell the watcher, for whom time stands: looking on must not change what is seen."""
        tick, self._tick = self._tick, 0.0
        call(*arguments)
        self._tick = tick

    def _shuffle(self, ready: "deque[asyncio.Handle]") -> None:
        handles = list(ready)
        places: list[int] = []
        steps: list[tuple[int, int, asyncio.Handle]] = []
        for place, handle in enumerate(handles):
            task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]  # private
            if isinstance(task, asyncio.Task):
                places.append(place)
                steps.append((self._numbers[id(task)], place, handle))
        steps.sort()
        self._random.shuffle(steps)
        told: dict[int, asyncio.Handle] = {}
        for place, (number, _, handle) in zip(places, steps, strict=True):
            handles[place] = handle
            told[place] = asyncio.Handle(self._tell, (self._watcher.stepped, number), self)
        ready.clear()
        for place, handle in enumerate(handles):
            ready.append(handle)
            if place in told:
                ready.append(told[place])


def run(seed: str, tick: float, main: Callable[[], Awaitable[Any]], watcher: Watcher) -> None:
    """Run `main` under the schedule of `seed`; see `schedules.run`."""
    options = {"loop_factory": lambda: SeededLoop(seed, tick, watcher)}
    anyio.run(main, backend="asyncio", backend_options=options)


def left() -> tuple[int, int]:
    """How many tasks there are, the caller's included, and how many timers."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SeededLoop)
    timers = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]  # private
    return len(asyncio.all_tasks()), len(timers)

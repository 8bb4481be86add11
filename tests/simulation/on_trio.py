"""Seeded schedules on trio.

trio draws the order of the tasks that can run from a generator of its own, and breaks ties between deadlines by the
addresses of their scopes. That the one can be seeded and the other be replaced is private to trio, so it is used here
and nowhere else, and checked: a trio that changes it fails loudly.

Units: virtual seconds.
"""

import math
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import attrs
import trio
from trio._core import _run as private

from .watcher import Hopeless, Watcher


class Unscheduled(RuntimeError):
    """This trio does not let itself be seeded."""


@attrs.define(eq=False)
class JumpingClock(trio.abc.Clock):
    """Time that stands while tasks can run, but for the ticks, and jumps to the next deadline when none can.

    trio asks how long to sleep exactly when nothing can run; the answer is that it has slept already.
    """

    watcher: Watcher
    tick: float
    time: float = 0.0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        if self.watcher.is_hopeless:
            raise Hopeless
        self.time += self.tick
        return self.time

    def deadline_to_sleep_time(self, deadline: float) -> float:
        if deadline != math.inf and deadline > self.time:  # a run has a timer to its end, and is over without one
            self.tell(self.watcher.jumping)
            self.time = deadline
        return 0.0

    def tell(self, call: Callable[..., None], *arguments: object) -> None:
        """Tell the watcher, for whom time stands: looking on must not change what is seen."""
        tick, self.tick = self.tick, 0.0
        call(*arguments)
        self.tick = tick


@attrs.define(eq=False)
class Steps(trio.abc.Instrument):
    """Tells the watcher of each step. Tasks are numbered in the order in which they were made."""

    clock: JumpingClock
    first: int | None = None

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        number: int = task._counter  # private; checked below
        if self.first is None:
            self.first = number
        self.clock.tell(self.clock.watcher.stepped, number - self.first)


@attrs.define(eq=False)
class Ties:
    """Stands for `id` in trio's scheduler: numbers in an order drawn from the seed, no two alike."""

    random: Random
    count: int = 0

    def __call__(self, _thing: object) -> int:
        self.count += 1
        return (self.random.getrandbits(30) << 30) + self.count


def check_trio() -> None:
    """Raises Unscheduled where trio has not, or has no more, what is used of its inside."""
    if not isinstance(getattr(private, "_ALLOW_DETERMINISTIC_SCHEDULING", None), bool):
        raise Unscheduled("trio._core._run has no _ALLOW_DETERMINISTIC_SCHEDULING")
    if not isinstance(getattr(private, "_r", None), Random):
        raise Unscheduled("trio._core._run has no generator _r")
    if not any(field.name == "_counter" for field in attrs.fields(trio.lowlevel.Task)):
        raise Unscheduled("tasks of trio have no _counter")


def run(seed: str, tick: float, main: Callable[[], Awaitable[Any]], watcher: Watcher) -> None:
    """Run `main` under the schedule of `seed`; see `schedules.run`."""
    check_trio()
    before, state = private._ALLOW_DETERMINISTIC_SCHEDULING, private._r.getstate()
    private._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # it is Final, but for trio's own plugin
    private._r.seed(seed)
    ties = Ties(Random(seed))
    private.id = ties  # type: ignore[attr-defined]  # its module's global, which comes before the builtin
    clock = JumpingClock(watcher, tick)
    watcher.now = lambda: clock.time
    try:
        trio.run(main, clock=clock, instruments=[Steps(clock)])
    finally:
        del private.id  # type: ignore[attr-defined]
        private._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]
        private._r.setstate(state)
    if not ties.count:
        raise Unscheduled("trio's deadlines are told apart by something else than `id`")


def left() -> tuple[int, int]:
    """How many tasks there are beside trio's own, the caller's included, and whether a timer is set."""
    task = trio.lowlevel.current_task()
    assert task.parent_nursery is not None
    no_timer = trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf
    return len(task.parent_nursery.child_tasks), 0 if no_timer else 1

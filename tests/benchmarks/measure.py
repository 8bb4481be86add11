"""Measuring: turns, rounds, and the figures that come of them.

The machine's speed changes from second to second, so the two sides take turns within one process: floor, postroom,
floor again. The two floors tell what noise does to a ratio, and their mean is what a round compares with.

Units: seconds of CPU time of the process, unless a name says otherwise.
"""

import importlib.util
import statistics
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import anyio
import attrs

from .memory import Measurement, MemoryScenario
from .scenarios import Scenario
from .sides import Side
from .workload import Size, Watch

BACKENDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "trio": ("trio", {}),
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
}

WARM_UP: Final = 1_000
"""Events of the unmeasured turns before the first round, after which Python has specialised the code."""

Turn = Callable[[Size], float]
"""Runs one side once at a size."""


def available_backends() -> list[str]:
    """The backends that can run here; uvloop is optional."""
    return [name for name in BACKENDS if name != "uvloop" or importlib.util.find_spec("uvloop") is not None]


@attrs.frozen
class Round:
    """Three turns, one after the other."""

    floor: float
    postroom: float
    floor_again: float

    @property
    def ratio(self) -> float:
        """Of postroom to the floor around it."""
        return 2 * self.postroom / (self.floor + self.floor_again)

    @property
    def noise(self) -> float:
        """Of the floor to itself: 1.0 on a quiet machine."""
        return self.floor_again / self.floor


@attrs.frozen(kw_only=True)
class Comparison:
    """What one scenario gave on one backend.

    Attributes:
        ratio_best: Of the fastest turn of postroom to the fastest of the floor.
        ratio_median: Of the rounds' ratios.
        noise_best, noise_lowest, noise_highest: Likewise of the floor to itself; the rounds' lowest and highest.
        floor_microseconds, postroom_microseconds: The fastest turn, for each operation.
        reached: Whether the goal is reached: "yes" by both ratios, "nearly" by one; None without a goal.
    """

    backend: str
    scenario: str
    title: str
    beside: str
    table: str
    per: str
    operations: int
    ratio_best: float
    ratio_median: float
    noise_best: float
    noise_lowest: float
    noise_highest: float
    floor_microseconds: float
    postroom_microseconds: float
    first_goal: float | None
    goal: float | None
    reached: str | None
    rounds: list[Round]


@attrs.frozen(kw_only=True)
class Memory:
    """What one memory scenario gave on one backend, in bytes for each; `bare` has been taken off the other two.

    Attributes:
        beside: What the floor is.
    """

    backend: str
    scenario: str
    title: str
    beside: str
    bare: float
    floor: float
    postroom: float
    goal: int
    reached: str


def compare(backend: str, scenario: Scenario, size: Size, rounds: int) -> Comparison:
    """Run a scenario's turns, `rounds` times three, in this process."""

    def floor(size: Size) -> float:
        return turn(backend, scenario.floor, size)

    return compare_turns(backend, scenario, size, rounds, (floor, lambda size: turn(backend, scenario.postroom, size)))


def compare_turns(
    backend: str, scenario: Scenario, size: Size, rounds: int, turns: tuple[Turn, Turn] | tuple[Turn, Turn, Turn]
) -> Comparison:
    """Take turns, `rounds` times three, after a small one of each to warm up.

    Arguments:
        turns: How the floor, postroom and the floor again, where that is another one, take a turn of a size.
    """
    small = attrs.evolve(size, events=min(size.events, WARM_UP), subscribers=min(size.subscribers, 100))
    floor, postroom, again = turns if len(turns) == 3 else (*turns, turns[0])
    for take in dict.fromkeys((floor, postroom, again)):
        take(small)
    taken = [Round(floor(size), postroom(size), again(size)) for _ in range(rounds)]
    return _figures(backend, scenario, scenario.operations(size), taken)


def turn(backend: str, side: Side, size: Size) -> float:
    """Run one side once, in a loop of its own."""
    library, options = BACKENDS[backend]
    watch = Watch()
    anyio.run(side, watch, size, backend=library, backend_options=options)
    return watch.seconds


def _figures(backend: str, scenario: Scenario, operations: int, rounds: list[Round]) -> Comparison:
    floor = min(each.floor for each in rounds)
    floor_again = min(each.floor_again for each in rounds)
    postroom = min(each.postroom for each in rounds)
    ratio_best = postroom / min(floor, floor_again)
    ratio_median = statistics.median(each.ratio for each in rounds)
    goal = scenario.goal.final(backend)
    return Comparison(
        backend=backend,
        scenario=scenario.name,
        title=scenario.title,
        beside=scenario.beside,
        table=scenario.table,
        per=scenario.per,
        operations=operations,
        ratio_best=ratio_best,
        ratio_median=ratio_median,
        noise_best=floor_again / floor,
        noise_lowest=min(each.noise for each in rounds),
        noise_highest=max(each.noise for each in rounds),
        floor_microseconds=1e6 * min(floor, floor_again) / operations,
        postroom_microseconds=1e6 * postroom / operations,
        first_goal=scenario.goal.first,
        goal=goal,
        reached=None if goal is None else _reached(goal, ratio_best, ratio_median),
        rounds=rounds,
    )


def weigh(backend: str, scenario: MemoryScenario, count: int) -> Memory:
    """Count the bytes of a memory scenario, in this process."""
    bare = 0.0 if scenario.bare is None else taken_by(backend, scenario.bare, count)
    floor, postroom = (taken_by(backend, side, count) - bare for side in (scenario.floor, scenario.postroom))
    return memory_figures(backend, scenario, bare, floor, postroom)


def memory_figures(
    backend: str, scenario: MemoryScenario, bare: float, floor: float, postroom: float, beside: str = "by hand"
) -> Memory:
    """What is told of bytes that were counted."""
    return Memory(
        backend=backend,
        scenario=scenario.name,
        title=scenario.title,
        beside=beside,
        bare=bare,
        floor=floor,
        postroom=postroom,
        goal=scenario.goal,
        reached=_reached(scenario.goal, postroom),
    )


def taken_by(backend: str, measurement: Measurement, count: int) -> float:
    """Bytes for each of `count`."""
    _traced(backend, measurement, min(count, WARM_UP))  # caches fill, modules load
    return _traced(backend, measurement, count)


def _traced(backend: str, measurement: Measurement, count: int) -> float:
    library, options = BACKENDS[backend]
    tracemalloc.start()
    try:
        taken: float = anyio.run(measurement, count, backend=library, backend_options=options)
    finally:
        tracemalloc.stop()
    return taken


def _reached(goal: float, *figures: float) -> str:
    good = [figure <= goal for figure in figures]
    return "yes" if all(good) else "nearly" if any(good) else "no"

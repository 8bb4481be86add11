"""Isolation (goal R15): one subscriber of many falls ill, and the others are served as before.

Each event goes to all subscribers, at a fixed pace that leaves the loop two thirds of its time. What is measured is
how long the deliveries to the healthy ones take from acceptance to their handler. Turns without a sick subscriber and
turns with one follow each other in one process, each in a loop of its own; a round is one of each, and the figure is
the median of the rounds' ratios of their 99th percentiles.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any, Final

import anyio
import attrs

from postroom import Context, Event, Runtime, Subscriber
from tests.benchmarks.measure import BACKENDS
from tests.benchmarks.workload import until_parked

from .goal import Goal

MOST_RATIO: Final = 1.5

SHARED: Final = "tick"
OWN: Final = "own"
"""What nobody but the odd subscriber listens to."""

FLOOD: Final = 1000
"""Events that the one that floods emits for each that it gets."""

TIMEOUT: Final = 0.01
SMALL: Final = 16
LOAD: Final = 1 / 3
"""The part of the time in which the loop has something to do, in a healthy turn."""

PATIENCE: Final = 10.0
"""Seconds after which a delivery that has not come is lost."""

ROUNDS: Final = 5
FEWEST_EVENTS: Final = 3
FIRST_EVENTS: Final = 9
FIRST_INTERVAL: Final = 0.0001
"""Of the calibration, seconds for each subscriber: more than a slow machine needs."""


@attrs.define(eq=False)
class _Stopwatch:
    """A clock for `Runtime(clock=…)`, so that events tell when they were accepted as precisely as can be."""

    time: Callable[[], float] = time.perf_counter


async def _fine(_event: Event) -> None:
    pass


async def _raise(event: Event) -> None:
    raise ValueError(event.name)


async def _hang(_event: Event) -> None:
    await anyio.sleep_forever()


async def _flood(event: Event, context: Context) -> None:
    if event.name == SHARED:
        for number in range(FLOOD):
            await context.emit(OWN, number)


@attrs.frozen
class Variant:
    """A way to be sick; `subscriber` is the one that is."""

    name: str
    subscriber: Subscriber[Any, Any]


def _odd(handler: Callable[..., Any], *patterns: str, **options: Any) -> Subscriber[Any, Any]:
    return Subscriber(handler=handler, patterns=patterns, name="odd", **options)


VARIANTS: Final = (
    Variant("raises", _odd(_raise, SHARED)),
    Variant("floods", _odd(_flood, SHARED, OWN, overflow="drop_newest")),
    Variant("hangs-timeout", _odd(_hang, SHARED, timeout=TIMEOUT)),
    Variant("hangs-overflow", _odd(_hang, SHARED, capacity=SMALL, overflow="drop_oldest")),
    Variant("hangs-own-events", _odd(_hang, OWN, capacity=SMALL)),
)


@attrs.frozen(kw_only=True)
class Plan:
    """How a turn goes.

    Attributes:
        healthy: Subscribers whose deliveries are measured; the odd one comes on top.
        events: Events that go to all of them.
        interval: Seconds from one event to the next.
    """

    healthy: int
    events: int
    interval: float


@attrs.define(eq=False)
class Latencies:
    """Seconds from acceptance to handler, one for each delivery to a healthy subscriber."""

    expected: int
    taken: list[float] = attrs.field(factory=list, init=False)
    complete: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    async def handle(self, event: Event) -> None:
        assert event.accepted_at is not None, "it was accepted"
        self.taken.append(time.perf_counter() - event.accepted_at)
        if len(self.taken) == self.expected:
            self.complete.set()

    @property
    def lost(self) -> int:
        """Deliveries that did not come, or came too often."""
        return abs(self.expected - len(self.taken))

    @property
    def percentile_99(self) -> float:
        return statistics.quantiles(self.taken, n=100)[98] if len(self.taken) > 1 else math.inf


async def _turn(plan: Plan, odd: Subscriber[Any, Any], seed: str) -> Latencies:
    """Serve the plan's events to the healthy ones and to `odd`, who stands at a random place among them."""
    latencies = Latencies(plan.healthy * plan.events)
    subscribers: list[Subscriber[Any, Any]] = [
        Subscriber(handler=latencies.handle, patterns=(SHARED,), name=f"healthy-{number}")
        for number in range(plan.healthy)
    ]
    subscribers.insert(Random(seed).randrange(plan.healthy), odd)
    async with Runtime(subscribers=subscribers, drain_within=0, clock=_Stopwatch()) as runtime:
        await until_parked()
        with _nothing_old_to_collect():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_emit, runtime, SHARED, plan)
                if SHARED not in odd.patterns:
                    tasks.start_soon(_emit, runtime, OWN, plan)
                with anyio.move_on_after(plan.events * plan.interval + PATIENCE):
                    await latencies.complete.wait()
                tasks.cancel_scope.cancel()
    return latencies


@contextmanager
def _nothing_old_to_collect() -> Iterator[None]:
    """Collect only garbage that is made in this block.

    A collection of all that lives takes several times as long as an event's deliveries. It would fall into a turn of
    one kind or the other by chance, and be its 99th percentile. Garbage that the sick one makes is still paid for.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _emit(runtime: Runtime, name: str, plan: Plan) -> None:
    due = anyio.current_time()
    for number in range(plan.events):
        await anyio.sleep_until(due)
        await runtime.emit(name, number)
        due += plan.interval


def calibrated(healthy: int, seconds: float, backend: str) -> Plan:
    """A plan of turns of `seconds`, at a pace that suits this machine: some events are served one by one first."""
    first = Plan(healthy=healthy, events=FIRST_EVENTS, interval=FIRST_INTERVAL * healthy)
    taken = _run(partial(_turn, first, VARIANTS[0].subscriber, "calibration"), backend).taken
    # They are served one after the other, so the median is that of the one in the middle.
    interval = 2 * statistics.median(taken) / LOAD
    return Plan(healthy=healthy, events=max(FEWEST_EVENTS, round(seconds / interval)), interval=interval)


def _run(program: Callable[[], Any], backend: str) -> Latencies:
    library, options = BACKENDS[backend]
    latencies: Latencies = anyio.run(program, backend=library, backend_options=options)
    return latencies


def isolation(variant: Variant, plan: Plan, rounds: int, seed: int, backend: str) -> Goal:
    """Run the rounds of one variant, and judge the ratio."""
    healthy = attrs.evolve(variant.subscriber, handler=_fine)
    pairs: list[tuple[Latencies, Latencies]] = []
    for number in range(rounds):
        place = f"{seed} {variant.name} {number}"
        without, beside = (_run(partial(_turn, plan, odd, place), backend) for odd in (healthy, variant.subscriber))
        pairs.append((without, beside))
    return _judge(variant, plan, pairs, seed, backend)


def _judge(variant: Variant, plan: Plan, pairs: Sequence[tuple[Latencies, Latencies]], seed: int, backend: str) -> Goal:
    lost = sum(turn.lost for pair in pairs for turn in pair)
    baselines, figures = zip(*((a.percentile_99, b.percentile_99) for a, b in pairs), strict=True)
    ratios = [figure / baseline for baseline, figure in zip(baselines, figures, strict=True)]
    return Goal(
        name=f"R15 {variant.name}",
        figure=statistics.median(ratios),
        most=MOST_RATIO,
        broken=(f"{lost} deliveries of healthy subscribers are missing or too many",) if lost else (),
        details={
            "unit": "ratio",
            "backend": backend,
            "seed": seed,
            "rounds": f"{min(ratios):.2f}..{max(ratios):.2f}",
            "baseline": f"{1000 * statistics.median(baselines):.1f}ms",
            "sick": f"{1000 * statistics.median(figures):.1f}ms",
            "healthy": plan.healthy,
            "events": plan.events,
            "interval": f"{1000 * plan.interval:.1f}ms",
            "lost": lost,
        },
    )

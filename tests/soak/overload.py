"""Overload (goal R12): producers ten times faster than their consumers, and memory stays as it is.

One subscription for each way in which a mailbox deals with too much, each with producers of its own that are not
told apart by it: those who wait, those who give up waiting, and those whose policy drops something.
"""

import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final, Literal

import anyio
import attrs

from postroom import Event, Runtime, Subscriber, Subscription

from .goal import Goal
from .resident import MEGABYTE, resident_bytes, slope_per_minute

MOST_GROWTH: Final = 1.0
"""MB a minute."""

CAPACITY: Final = 256
PAUSE: Final = 0.01
"""Seconds that a handler takes for an event, and that a producer rests after a burst."""

PRODUCERS: Final = 5
BURSTS: Final = (1, 2, 3)
"""Events of a burst, at random; two on the average, times five producers: ten events while one is handled."""

KEYS: Final = 4 * CAPACITY
PAYLOAD: Final = 1000
"""Bytes of data, so that an event that is kept by mistake is seen."""

WARM_UP: Final = 10.0
SAMPLES_PER_SECOND: Final = 4


@attrs.define(eq=False)
class _Kind:
    """A way of dealing with too much.

    Attributes:
        emit: Emits one event of the name.
    """

    name: str
    overflow: Literal["wait", "drop_oldest", "drop_newest", "coalesce"]
    emit: "Callable[[Runtime, str, Random], Awaitable[object]]"


async def _patiently(runtime: Runtime, name: str, random: Random) -> None:
    await runtime.emit(name, random.randbytes(PAYLOAD))


async def _impatiently(runtime: Runtime, name: str, random: Random) -> None:
    with anyio.move_on_after(random.uniform(0, 2 * PAUSE)):
        await _patiently(runtime, name, random)


async def _by_key(runtime: Runtime, name: str, random: Random) -> None:
    await runtime.emit(name, random.randbytes(PAYLOAD), key=str(random.randrange(KEYS)))


KINDS: Final = (
    _Kind("waits", "wait", _patiently),
    _Kind("gives-up", "wait", _impatiently),
    _Kind("drops-oldest", "drop_oldest", _patiently),
    _Kind("drops-newest", "drop_newest", _patiently),
    _Kind("coalesces", "coalesce", _by_key),
)


@attrs.define(eq=False)
class _Watch:
    """Looks at memory and mailboxes while the runtime is overloaded.

    Attributes:
        samples: (seconds, bytes), oldest first.
        longest_line: The most events that stood in line in front of one mailbox.
    """

    samples: list[tuple[float, int]] = attrs.field(factory=list, init=False)
    longest: int = attrs.field(default=0, init=False)
    longest_line: int = attrs.field(default=0, init=False)

    def look(self, subscriptions: list[Subscription]) -> None:
        self.samples.append((time.perf_counter(), resident_bytes()))
        for subscription in subscriptions:
            stats = subscription.stats
            self.longest = max(self.longest, stats.waiting, stats.high_water_mark)
            self.longest_line = max(self.longest_line, stats.in_line)

    def after(self, warm_up: float) -> list[tuple[float, int]]:
        return [sample for sample in self.samples if sample[0] - self.samples[0][0] >= warm_up]


async def _consume(_event: Event) -> None:
    await anyio.sleep(PAUSE)


async def _produce(runtime: Runtime, kind: _Kind, random: Random) -> None:
    while True:
        for _ in range(random.choice(BURSTS)):
            await kind.emit(runtime, kind.name, random)
        await anyio.sleep(PAUSE)


async def overload(seconds: float, seed: int, backend: str) -> Goal:
    """Run it for `seconds`, the warm-up included, and judge the growth after that."""
    warm_up = min(WARM_UP, seconds / 2)
    watch = _Watch()
    subscribers: list[Subscriber[Any, Any]] = [
        Subscriber(handler=_consume, patterns=(kind.name,), name=kind.name, capacity=CAPACITY, overflow=kind.overflow)
        for kind in KINDS
    ]
    async with Runtime(subscribers=subscribers, drain_within=0) as runtime:
        subscriptions = list(runtime.subscriptions.values())
        async with anyio.create_task_group() as producers:
            for number in range(PRODUCERS * len(KINDS)):
                producers.start_soon(_produce, runtime, KINDS[number % len(KINDS)], Random(f"{seed} {number}"))
            end = anyio.current_time() + seconds
            while anyio.current_time() < end or len(watch.after(warm_up)) < 2:  # a line needs two points
                watch.look(subscriptions)
                await anyio.sleep(min(1 / SAMPLES_PER_SECOND, seconds / 10))
            producers.cancel_scope.cancel()
        full = [subscription.name for subscription in subscriptions if subscription.stats.waiting == CAPACITY]
        newest = runtime.subscriptions["drops-newest"].stats
    return _judge(watch, warm_up, runtime, full, newest.accepted / max(1, newest.succeeded), seed, backend)


def _judge(
    watch: _Watch, warm_up: float, runtime: Runtime, full: list[str], ratio: float, seed: int, backend: str
) -> Goal:
    broken = []
    if watch.longest > CAPACITY:
        broken.append(f"a mailbox of {CAPACITY} held {watch.longest} events")
    if watch.longest_line > CAPACITY + PRODUCERS:
        broken.append(f"{watch.longest_line} events stood in line before one mailbox")
    if runtime.stats.pending:
        broken.append(f"{runtime.stats.pending} deliveries have no outcome")
    measured = watch.after(warm_up)
    stats = runtime.stats
    return Goal(
        name="R12",
        figure=slope_per_minute(measured),
        most=MOST_GROWTH,
        broken=tuple(broken),
        details={
            "unit": "MB/min",
            "backend": backend,
            "seed": seed,
            "seconds": round(measured[-1][0] - watch.samples[0][0], 1),
            "rss": f"{measured[0][1] / MEGABYTE:.1f}..{measured[-1][1] / MEGABYTE:.1f}MB",
            "longest": f"{watch.longest}/{CAPACITY}",
            "line": watch.longest_line,
            "full": f"{len(full)}/{len(KINDS)}",
            "ratio": f"{ratio:.1f}",
            "handled": stats.succeeded,
            "dropped": stats.dropped,
        },
    )

"""What is emitted and who subscribes to it: the same for the floor and for postroom."""

import gc
import time
from random import Random
from types import TracebackType
from typing import Final, Self

import anyio
import anyio.lowlevel
import attrs

DATA: Final = {"id": "123", "email": "a@example.com", "total": 42}
"""The data of every event; one object, so that neither side pays for making it."""

FIRST_STEPS: Final = 10
"""Turns of the loop that are plenty for a started task to get to its first wait."""


@attrs.frozen
class Size:
    """How large a scenario is.

    Attributes:
        events: Events that are emitted.
        subscribers: Subscribers that are at work.
    """

    events: int
    subscribers: int = 1


@attrs.frozen
class Workload:
    """Who subscribes and what is emitted.

    Attributes:
        patterns: One for each subscriber.
        names: Names of the events, in the order of emission.
        deliveries: How often a handler is called for all of them.
    """

    patterns: list[str]
    names: list[str]
    deliveries: int


def one_name(size: Size) -> Workload:
    """Every subscriber is subscribed to the one name that is emitted."""
    return Workload(["order.placed"] * size.subscribers, ["order.placed"] * size.events, size.events * size.subscribers)


def one_of_many_names(size: Size) -> Workload:
    """Every subscriber has a name of its own, and one of these is emitted."""
    names = _names(size.subscribers)
    return Workload(names, [names[len(names) // 2]] * size.events, size.events)


def spread(size: Size) -> Workload:
    """Every subscriber has a name of its own, and the events are spread over all of them at random."""
    names = _names(size.subscribers)
    return Workload(names, Random(20).choices(names, k=size.events), size.events)


def never_seen(size: Size) -> Workload:
    """Every subscriber has a pattern of its own; one of them matches, under a new name each time."""
    patterns = [f"{name}.*" for name in _names(size.subscribers)]
    prefix = patterns[len(patterns) // 2].removesuffix("*")
    return Workload(patterns, [f"{prefix}{number}" for number in range(size.events)], size.events)


def _names(count: int) -> list[str]:
    return [f"shop.{number}.order" for number in range(count)]


@attrs.define(eq=False)
class Handled:
    """A handler for all subscribers that does next to nothing but count, and tells when all was handled."""

    left: int = 0
    done: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    def expect(self, deliveries: int) -> None:
        """Wait for that many from now on."""
        self.left = deliveries
        self.done = anyio.Event()

    async def handle(self, event: object) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


async def until_parked() -> None:
    """Let tasks that were just started get to where they wait for mail, so that their first steps are not measured."""
    for _ in range(FIRST_STEPS):
        await anyio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Watch:
    """Measures the CPU time of a block, of all threads of the process; garbage is collected before.

    Attributes:
        seconds: What the block took.
    """

    seconds: float = 0.0
    _started: float = attrs.field(default=0.0, init=False)

    def __enter__(self) -> Self:
        gc.collect()
        self._started = time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds = time.process_time() - self._started

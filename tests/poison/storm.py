"""One turn: healthy traffic, alone or beside a storm of events that always fail.

The healthy traffic comes in bursts: a hundred tasks emit an event each and wait until it was handled. Measured is how
long that takes each of them. The poison comes at a steady pace; each of its events fails three times.

Units: seconds.
"""

import gc
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import anyio
import attrs

from postroom import DeadLetter, Event, Retry, Runtime, Subscriber, constant
from tests.benchmarks.workload import until_parked

BURST: Final = 100
ATTEMPTS: Final = 3
BACKOFF: Final = 0.01
PAGE: Final = 1000
LOOK: Final = 0.01
PATIENCE: Final = 30.0
"""How long after the last event of a storm its end may take."""


@attrs.frozen(kw_only=True)
class Plan:
    """How turns go on one backend with one module.

    Attributes:
        poison: Events of the storm.
        pace: From one of them to the next; 0 for as fast as they are accepted.
        rest: From the start of a burst of healthy events to that of the next.
        seconds: How long a turn without a storm is.
    """

    poison: int
    pace: float
    rest: float
    seconds: float


@attrs.define(eq=False)
class Turn:
    """What was seen in a turn.

    Attributes:
        taken: For each healthy event, from the call of `emit` to the receipt's report.
        tries: How often the handler was called for each event of the storm.
        letters: How many dead letters of the storm there are.
        lasted: The storm, until each of its events had been given up on.
    """

    taken: list[float] = attrs.field(factory=list, init=False)
    tries: Counter[int] = attrs.field(factory=Counter, init=False)
    failed: int = attrs.field(default=0, init=False)
    letters: int = attrs.field(default=0, init=False)
    evicted: int = attrs.field(default=0, init=False)
    lasted: float = attrs.field(default=0.0, init=False)

    @property
    def percentile_99(self) -> float:
        return statistics.quantiles(self.taken, n=100)[98] if len(self.taken) > 1 else math.inf

    async def _fail(self, event: Event) -> None:
        self.tries[event.data] += 1
        raise ValueError(event.name)

    def wrong(self, poison: int) -> tuple[str, ...]:
        """What does not hold of a storm of so many events."""
        found = []
        if others := [number for number in range(poison) if self.tries[number] != ATTEMPTS]:
            found.append(f"{len(others)} events had not {ATTEMPTS} attempts, such as {self.tries[others[0]]}")
        if self.failed != poison:
            found.append(f"{self.failed} of {poison} failed")
        if self.letters + self.evicted != poison:
            found.append(f"{self.letters} dead letters and {self.evicted} that went are not {poison}")
        return tuple(found)


async def quiet(module: Any, plan: Plan) -> Turn:
    """Healthy traffic alone."""
    turn = Turn()
    async with _open(module, turn) as runtime:
        await until_parked()
        with _nothing_old_to_collect():
            for _ in range(max(3, math.ceil(plan.seconds / max(plan.rest, LOOK)))):
                await _burst(runtime, turn, plan.rest)
    return turn


async def storm(module: Any, plan: Plan) -> Turn:
    """Healthy traffic from the first event of a storm until the last one is given up on."""
    turn = Turn()
    async with _open(module, turn) as runtime:
        await until_parked()
        with _nothing_old_to_collect():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_bursts, runtime, turn, plan.rest)
                await _poison(runtime, turn, plan)
                tasks.cancel_scope.cancel()
        await _count(runtime, turn)
    return turn


async def poison_alone(module: Any, plan: Plan) -> Turn:
    """A storm without other traffic."""
    turn = Turn()
    async with _open(module, turn) as runtime:
        await until_parked()
        await _poison(runtime, turn, plan)
    return turn


def _open(module: Any, turn: Turn) -> Runtime:
    retry = Retry(attempts=ATTEMPTS, backoff=constant(BACKOFF))
    healthy: Subscriber[Any, Any] = Subscriber(handler=_fine, patterns=("healthy",), name="healthy")
    poison: Subscriber[Any, Any] = Subscriber(handler=turn._fail, patterns=("poison",), name="poison", retry=retry)
    return Runtime(module=module, subscribers=[healthy, poison], drain_within=PATIENCE)


async def _fine(_event: Event) -> None:
    pass


async def _bursts(runtime: Runtime, turn: Turn, rest: float) -> None:
    while True:
        await _burst(runtime, turn, rest)


async def _burst(runtime: Runtime, turn: Turn, rest: float) -> None:
    next_one = anyio.current_time() + rest
    async with anyio.create_task_group() as tasks:
        for _ in range(BURST):
            tasks.start_soon(_acknowledged, runtime, turn)
    await anyio.sleep_until(next_one)


async def _acknowledged(runtime: Runtime, turn: Turn) -> None:
    started = time.perf_counter()
    await (await runtime.emit("healthy", 1))
    turn.taken.append(time.perf_counter() - started)


async def _poison(runtime: Runtime, turn: Turn, plan: Plan) -> None:
    started = time.perf_counter()
    due = anyio.current_time()
    for number in range(plan.poison):
        await runtime.emit("poison", number)
        due += plan.pace
        await anyio.sleep_until(due)
    poison = runtime.subscriptions["poison"]
    with anyio.move_on_after(PATIENCE):
        while poison.stats.failed < plan.poison:
            await anyio.sleep(LOOK)
    turn.failed = poison.stats.failed
    turn.lasted = time.perf_counter() - started


async def _count(runtime: Runtime, turn: Turn) -> None:
    page: tuple[DeadLetter, ...] = await runtime.dead_letters.list("poison", limit=PAGE)
    while page:
        turn.letters += len(page)
        page = await runtime.dead_letters.list("poison", after=page[-1].id, limit=PAGE)
    turn.evicted = runtime.dead_letters.evicted


@contextmanager
def _nothing_old_to_collect() -> Iterator[None]:
    """Collect only garbage that is made in this block; see `tests.soak.isolation`."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

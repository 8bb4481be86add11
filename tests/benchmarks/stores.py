"""What SQLite costs, as a store and as a whole runtime, beside the same rows written by hand with apsw.

Run: python -m tests.benchmarks.stores [--backend trio|asyncio] [--events N] [--rounds N] [--durability power] [--json]
Prints: a table; with --json one object instead.
Status: 0 whatever the figures are.

Measured is wall time: most of it is spent in SQLite and in the system, in two threads. Both sides take turns in one
process, on fresh files in one folder: by hand, then the store, then a runtime, for several rounds; a ratio is
that of the best rounds, events a second by those of the hand-written side, so 0.5 means half as fast.

    publish       groups of 100 events, each group one commit; of the runtime `emit_many`, each awaited
    handle        100 fetched in one commit, settled in the next; of the runtime from opening it until it is left
    acknowledged  one event at a time: published, fetched, settled, three commits, and its emitter told; microseconds
                  each, the median; of the runtime `emit_and_wait`

The store is called by one task that awaits each call, so nothing overlaps.

Goals: a runtime emits and handles at least 0.25 as fast as what is written by hand, an acknowledged emit takes at most
4 times as long, and trio takes at most 1.3 times as long as asyncio.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import attrs

from postroom.contract import Binding, Settlement, Step, Store, StoredEvent
from postroom.modules.sqlite import SqliteModule
from postroom.modules.sqlite.opening import Durability

from .by_hand import BODY, GROUP, SINGLES, Times, by_hand
from .through import by_runtime


@attrs.frozen(kw_only=True)
class Figure:
    """What came out for one of the three.

    Attributes:
        by_hand, store, runtime: Events a second; microseconds for `acknowledged`.
        store_part, runtime_part: How fast they are, in parts of the hand-written side.
    """

    backend: str
    name: str
    by_hand: float
    store: float
    runtime: float
    store_part: float
    runtime_part: float


async def by_store(path: Path, events: int, durability: Durability) -> Times:
    """Through a session of the module."""
    async with SqliteModule(path, durability=durability).open("benchmark") as store:
        await store.bind([Binding("ledger", ("order.*",))], serve=True)
        emits = [[[_event(number)] for number in range(first, first + GROUP)] for first in range(0, events, GROUP)]
        start = time.perf_counter()
        for number, group in enumerate(emits, 1):
            await store.publish(number, group)
        published = time.perf_counter()
        for _ in emits:
            await _handle(store, GROUP)
        handled = time.perf_counter()
        singles: list[float] = []
        for number in range(events // SINGLES):
            before = time.perf_counter()
            await store.publish(events + number, [[_event(number)]])
            await _handle(store, 1)
            singles.append(time.perf_counter() - before)
    return Times(publish=published - start, handle=handled - published, acknowledged=statistics.median(singles))


def _event(number: int) -> StoredEvent:
    return StoredEvent(f"0123456789abcdef0123-{number:x}", "order.placed", BODY)


async def _handle(store: Store, count: int) -> None:
    loans = (await store.fetch({"ledger": count})).loans
    assert len(loans) == count
    await store.settle([Settlement(loan.token, Step.SETTLED, b'{"kind":"succeeded"}') for loan in loans])


def compare(
    backend: str, events: int, rounds: int, durability: Durability, tell: Callable[[str], None] = lambda _: None
) -> list[Figure]:
    """Measure on one backend; `events` is a multiple of 100."""
    sides: tuple[list[Times], list[Times], list[Times]] = ([], [], [])
    for turn in range(rounds):
        tell(f"{backend}: round {turn + 1} of {rounds}")
        with tempfile.TemporaryDirectory() as folder:
            sides[0].append(by_hand(Path(folder) / "hand.db", events, durability))
            sides[1].append(anyio.run(by_store, Path(folder) / "store.db", events, durability, backend=backend))
            sides[2].append(anyio.run(by_runtime, Path(folder) / "runtime.db", events, durability, backend=backend))
    figures: list[Figure] = []
    for name in ("publish", "handle", "acknowledged"):
        hand, store, runtime = (min(getattr(each, name) for each in side) for side in sides)
        figures.append(
            Figure(
                backend=backend,
                name=name,
                by_hand=_shown(name, hand, events),
                store=_shown(name, store, events),
                runtime=_shown(name, runtime, events),
                store_part=hand / store,
                runtime_part=hand / runtime,
            )
        )
    return figures


def _shown(name: str, seconds: float, events: int) -> float:
    return 1e6 * seconds if name == "acknowledged" else events / seconds


def goals(figures: Sequence[Figure]) -> list[str]:
    """One line for each goal."""
    lines: list[str] = []
    runtimes: dict[str, list[float]] = {}
    for each in figures:
        is_time = each.name == "acknowledged"
        runtimes.setdefault(each.name, []).append(each.runtime if is_time else 1 / each.runtime)
        times = 1 / each.runtime_part
        reached = times <= 4
        what = f"{times:.1f} times as long" if is_time else f"{each.runtime_part:.2f} as fast"
        lines.append(f"{each.backend} {each.name}: {what} as by hand {'PASS' if reached else 'FAIL'}")
    for name, (trio, *others) in runtimes.items():
        for asyncio in others:
            reached = trio <= 1.3 * asyncio
            lines.append(f"trio {name}: {trio / asyncio:.2f} times as long as asyncio {'PASS' if reached else 'FAIL'}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="bench-stores", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", choices=("trio", "asyncio"), action="append")
    parser.add_argument("--events", type=int, default=10_000, help="a multiple of 100 (default 10000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--durability", choices=("process", "power"), default="process")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args(arguments)
    if asked.events < GROUP or asked.events % GROUP or asked.rounds < 1:
        parser.error(f"--events is a multiple of {GROUP}, and there is at least one round")
    figures = [
        figure
        for backend in asked.backend or ("trio", "asyncio")
        for figure in compare(backend, asked.events, asked.rounds, asked.durability)
    ]
    if asked.json:
        print(json.dumps({"durability": asked.durability, "figures": [attrs.asdict(each) for each in figures]}))
        return 0
    columns = ("by hand", "store", "runtime", "store", "runtime")
    print(f"{'':8} {'durability=' + asked.durability:20} " + " ".join(f"{each:>10}" for each in columns))
    for each in figures:
        unit = "µs" if each.name == "acknowledged" else "events/s"
        print(
            f"{each.backend:8} {each.name + ', ' + unit:20} {each.by_hand:10,.0f} {each.store:10,.0f} "
            f"{each.runtime:10,.0f} {each.store_part:10.2f} {each.runtime_part:10.2f}"
        )
    for line in goals(figures):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())

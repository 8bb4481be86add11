"""What the store on SQLite costs beside the same rows written by hand with apsw, in groups of the same size.

Run: python -m tests.benchmarks.stores [--backend trio|asyncio] [--events N] [--rounds N] [--durability power] [--json]
Prints: a table; with --json one object instead.
Status: 0 whatever the figures are.

Measured is wall time: most of it is spent in SQLite and in the system, in two threads. Both sides take turns in one
process, on fresh files in the same folder, raw first, then the store, for several rounds; a ratio is that of the best
rounds, events a second of the store by those of the hand-written side, so 0.5 means half as fast.

    publish       groups of 100 events, each group one commit
    handle        100 fetched in one commit, settled in the next
    acknowledged  one event at a time: published, fetched, settled, three commits; microseconds each, the median

The store is called by one task that awaits each call, so nothing overlaps; a runtime does better.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import apsw
import attrs

from postroom.contract import Binding, Settlement, Step, Store, StoredEvent
from postroom.modules.sqlite import SqliteModule
from postroom.modules.sqlite.opening import Durability, open_database

GROUP = 100
SINGLES = 10
"""One event in so many of those in groups is acknowledged by itself."""

BODY = b'{"v":1,"name":"order.placed","data":{"id":"123","email":"a@example.com","total":1999,"lines":[1,2,3]}}' * 2


@attrs.frozen(kw_only=True)
class Times:
    """Seconds of one side in one round; of `acknowledged` the median of one event."""

    publish: float
    handle: float
    acknowledged: float


@attrs.frozen(kw_only=True)
class Figure:
    """What came out for one of the three.

    Attributes:
        raw, store: Events a second; microseconds for `acknowledged`.
        ratio: How fast the store is, in parts of the hand-written side.
    """

    backend: str
    name: str
    raw: float
    store: float
    ratio: float


def by_hand(path: Path, events: int, durability: Durability) -> Times:
    """The same rows, the same statements, no library."""
    db = open_database(path, durability)
    start = time.perf_counter()
    for first in range(0, events, GROUP):
        publish_by_hand(db, range(first + 1, first + GROUP + 1))
    published = time.perf_counter()
    for _ in range(0, events, GROUP):
        handle_by_hand(db, GROUP)
    handled = time.perf_counter()
    singles: list[float] = []
    for number in range(events // SINGLES):
        before = time.perf_counter()
        publish_by_hand(db, range(number + 1, number + 2))
        handle_by_hand(db, 1)
        singles.append(time.perf_counter() - before)
    db.close()
    return Times(publish=published - start, handle=handled - published, acknowledged=statistics.median(singles))


def publish_by_hand(db: apsw.Connection, numbers: Sequence[int]) -> None:
    """Store events, in one commit."""
    db.execute("BEGIN IMMEDIATE")
    db.executemany(
        "INSERT INTO events VALUES (?, 1, 1, ?, ?, ?)",
        [(number, 1.7e9, f"0123456789abcdef0123-{number:x}", BODY) for number in numbers],
    )
    db.executemany(
        "INSERT INTO waiting VALUES (1, 0, ?, ?, ?, 5.0, NULL, 0, 0, NULL)",
        [(1.7e9 + 5, 1.7e9, number) for number in numbers],
    )
    db.execute("COMMIT")


def handle_by_hand(db: apsw.Connection, count: int) -> None:
    """Lend so many in one commit, and settle them in another."""
    db.execute("BEGIN IMMEDIATE")
    rows: list[Any] = db.execute(
        "SELECT w.sort, w.due, w.event, e.id, e.body, e.accepted_at FROM waiting w CROSS JOIN events e "
        "ON e.number = w.event WHERE w.subscription = 1 AND w.state = 0 ORDER BY w.sort, w.due, w.event LIMIT ?",
        (count,),
    ).fetchall()
    db.executemany(
        "DELETE FROM waiting WHERE subscription = 1 AND state = 0 AND sort = ? AND due = ? AND event = ?",
        [row[:3] for row in rows],
    )
    db.executemany(
        "INSERT INTO lent VALUES (?, 1, ?, ?, 5.0, NULL, 0, 0, 0)", [(row[2], row[1], row[2]) for row in rows]
    )
    db.execute("COMMIT")
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM lent WHERE token = ?", [(row[2],) for row in rows])
    db.executemany("DELETE FROM events WHERE number = ?", [(row[2],) for row in rows])
    db.execute("COMMIT")


async def by_store(path: Path, events: int, durability: Durability) -> Times:
    """Through a session of the module."""
    async with SqliteModule(path, durability=durability).open("benchmark") as store:
        await store.bind([Binding("ledger", ("order.*",))], serve=True)
        emits = [[[_event(number)] for number in range(first, first + GROUP)] for first in range(0, events, GROUP)]
        start = time.perf_counter()
        for number, group in enumerate(emits, 1):
            await store.publish(number, group)
        published = time.perf_counter()
        for number in range(1, len(emits) + 1):
            await _handle(store, number, GROUP)
        handled = time.perf_counter()
        singles: list[float] = []
        for number in range(events // SINGLES):
            before = time.perf_counter()
            await store.publish(events + number, [[_event(number)]])
            await _handle(store, events + number, 1)
            singles.append(time.perf_counter() - before)
    return Times(publish=published - start, handle=handled - published, acknowledged=statistics.median(singles))


def _event(number: int) -> StoredEvent:
    return StoredEvent(f"0123456789abcdef0123-{number:x}", "order.placed", BODY)


async def _handle(store: Store, number: int, count: int) -> None:
    loans = (await store.fetch({"ledger": count})).loans
    assert len(loans) == count
    await store.settle(number, [Settlement(loan.token, Step.SETTLED, b'{"kind":"succeeded"}') for loan in loans])


def compare(
    backend: str, events: int, rounds: int, durability: Durability, tell: Callable[[str], None] = lambda _: None
) -> list[Figure]:
    """Measure on one backend; `events` is a multiple of 100."""
    raw: list[Times] = []
    stored: list[Times] = []
    for turn in range(rounds):
        tell(f"{backend}: round {turn + 1} of {rounds}")
        with tempfile.TemporaryDirectory() as folder:
            raw.append(by_hand(Path(folder) / "raw.db", events, durability))
            stored.append(anyio.run(by_store, Path(folder) / "store.db", events, durability, backend=backend))
    figures: list[Figure] = []
    for name in ("publish", "handle", "acknowledged"):
        best_raw, best = min(getattr(each, name) for each in raw), min(getattr(each, name) for each in stored)
        shown = (1e6 * best_raw, 1e6 * best) if name == "acknowledged" else (events / best_raw, events / best)
        figures.append(Figure(backend=backend, name=name, raw=shown[0], store=shown[1], ratio=best_raw / best))
    return figures


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
    print(f"{'':8} {'durability=' + asked.durability:20} {'by hand':>12} {'store':>12} {'ratio':>7}")
    for each in figures:
        unit = "µs" if each.name == "acknowledged" else "events/s"
        print(f"{each.backend:8} {each.name + ', ' + unit:20} {each.raw:12,.0f} {each.store:12,.0f} {each.ratio:7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

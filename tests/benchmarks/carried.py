"""What a runtime on SQLite costs beside the same rows written by hand with apsw, in groups of the same size.

Run: python -m tests.benchmarks.carried [--backend trio|asyncio] [--events N] [--rounds N] [--durability power] [--json]
Prints: a table with the goal of each ratio, and how long trio takes beside asyncio; with --json one object instead.
Status: 0 whatever the figures are.

Measured is wall time, in turns with the rows by hand (see `stores.py`, which measures the store alone):

    emit          `emit_many` of 100 events, accepted when it returns, by a runtime that handles nothing; by hand each
                  100 are one commit
    handle        what waits in the file is handled by a runtime that opens it, until all is settled
    acknowledged  `emit_and_wait`, one event at a time; by hand it is published, another thread notified, which fetches
                  it, settles it and notifies the first one: three commits, two bytes through a socket; microseconds
                  each, the median (`stores.py` has the commits alone, `parts.py` what the whole is made of)

A ratio is that of the best rounds; 0.25 means a quarter as fast as by hand.
"""

import argparse
import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import anyio
import attrs

from postroom import Event, Runtime, subscriber
from postroom.modules.sqlite import SqliteModule
from postroom.modules.sqlite.opening import Durability, open_database

from .stores import GROUP, SINGLES, Times, by_hand, handle_by_hand, publish_by_hand

NAMES: Final = ("emit", "handle", "acknowledged")
FIELDS: Final = ("publish", "handle", "acknowledged")
GOAL: Final = 0.25
"""Of each of the three, at the least."""

BETWEEN_BACKENDS: Final = 1.3
"""What trio takes, in parts of what asyncio takes, at the most."""

DATA: Final = {"id": "123", "email": "a@example.com", "total": 1999, "lines": [1, 2, 3]}


@attrs.frozen(kw_only=True)
class Figure:
    """What came out for one of the three.

    Attributes:
        raw, runtime: Events a second; microseconds for `acknowledged`.
        ratio: How fast the runtime is, in parts of the rows by hand.
    """

    backend: str
    name: str
    raw: float
    runtime: float
    ratio: float


@attrs.define(eq=False)
class Counter:
    """A handler that counts."""

    left: int
    done: anyio.Event = attrs.field(factory=anyio.Event)

    async def handle(self, event: Event) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


def acknowledged_by_hand(path: Path, events: int, durability: Durability) -> float:
    """Seconds of one event, the median: published, fetched, settled, and both sides notified."""
    db = open_database(path, durability)
    emitter, handler = socket.socketpair()

    def handle() -> None:
        while handler.recv(1):
            handle_by_hand(db, 1)
            handler.send(b"!")

    thread = threading.Thread(target=handle)
    thread.start()
    singles: list[float] = []
    for number in range(events // SINGLES):
        before = time.perf_counter()
        publish_by_hand(db, range(number + 1, number + 2))
        emitter.send(b"!")
        emitter.recv(1)
        singles.append(time.perf_counter() - before)
    emitter.close()
    thread.join()
    handler.close()
    db.close()
    return statistics.median(singles)


async def by_runtime(path: Path, events: int, durability: Durability) -> Times:
    """The three, each with a runtime of its own on the same file."""

    def module() -> Any:
        return SqliteModule(path, durability=durability)

    counter = Counter(events)
    ledger = subscriber("order.*", name="ledger")(counter.handle)
    async with Runtime(module=module(), subscribers=[ledger], role="emit") as runtime:
        start = time.perf_counter()
        for _ in range(0, events, GROUP):
            await runtime.emit_many([Event(name="order.placed", data=DATA) for _ in range(GROUP)])
        emitted = time.perf_counter() - start
    start = time.perf_counter()
    async with Runtime(module=module(), subscribers=[ledger]) as runtime:
        await counter.done.wait()
        while (await runtime.stored_subscriptions())[0].lent:
            await anyio.sleep(0.001)
        handled = time.perf_counter() - start
        singles: list[float] = []
        for _ in range(events // SINGLES):
            before = time.perf_counter()
            await runtime.emit_and_wait("order.placed", DATA)
            singles.append(time.perf_counter() - before)
    return Times(publish=emitted, handle=handled, acknowledged=statistics.median(singles))


def compare(backends: Sequence[str], events: int, rounds: int, durability: Durability) -> list[Figure]:
    """Measure on all backends, which take turns; `events` is a multiple of 100."""
    raw: list[Times] = []
    ours: dict[str, list[Times]] = {backend: [] for backend in backends}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            acknowledged = acknowledged_by_hand(Path(folder) / "acknowledged.db", events, durability)
            by_groups = by_hand(Path(folder) / "raw.db", events, durability)
            raw.append(attrs.evolve(by_groups, acknowledged=acknowledged))
            for backend in backends:
                path = Path(folder) / f"{backend}.db"
                ours[backend].append(anyio.run(by_runtime, path, events, durability, backend=backend))
    figures: list[Figure] = []
    for backend in backends:
        for name, field in zip(NAMES, FIELDS, strict=True):
            best_raw = min(getattr(each, field) for each in raw)
            best = min(getattr(each, field) for each in ours[backend])
            is_single = name == "acknowledged"
            shown = (1e6 * best_raw, 1e6 * best) if is_single else (events / best_raw, events / best)
            figures.append(Figure(backend=backend, name=name, raw=shown[0], runtime=shown[1], ratio=best_raw / best))
    return figures


def between_backends(figures: Sequence[Figure]) -> dict[str, float]:
    """How long trio takes in parts of asyncio's time, where both were measured."""
    ratios = {(each.backend, each.name): each.ratio for each in figures}
    return {
        name: ratios["asyncio", name] / ratios["trio", name]
        for name in NAMES
        if ("trio", name) in ratios and ("asyncio", name) in ratios
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="bench-carried", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", choices=("trio", "asyncio"), action="append")
    parser.add_argument("--events", type=int, default=10_000, help="a multiple of 100 (default 10000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--durability", choices=("process", "power"), default="process")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args(arguments)
    if asked.events < GROUP or asked.events % GROUP or asked.rounds < 1:
        parser.error(f"--events is a multiple of {GROUP}, and there is at least one round")
    figures = compare(asked.backend or ("trio", "asyncio"), asked.events, asked.rounds, asked.durability)
    between = between_backends(figures)
    if asked.json:
        rows = [attrs.asdict(each) for each in figures]
        print(json.dumps({"durability": asked.durability, "figures": rows, "trio_by_asyncio": between}))
        return 0
    print(f"{'':8} {'durability=' + asked.durability:20} {'by hand':>12} {'runtime':>12} {'ratio':>7} {'goal':>7}")
    for each in figures:
        title = each.name + (", µs" if each.name == "acknowledged" else ", events/s")
        verdict = "reached" if each.ratio >= GOAL else "missed"
        row = f"{each.backend:8} {title:20} {each.raw:12,.0f} {each.runtime:12,.0f} {each.ratio:7.2f}"
        print(f"{row} {'>= ' + str(GOAL):>7} {verdict}")
    for name, ratio in between.items():
        verdict = "reached" if ratio <= BETWEEN_BACKENDS else "missed"
        print(f"{'trio by asyncio, ' + name:54} {ratio:7.2f} {'<= ' + str(BETWEEN_BACKENDS):>7} {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Workflows a second on SQLite and on Redis, beside the same number of journal writes by hand, in the same run.

Run: python -m tests.benchmarks.workflows [--store sqlite|redis] [--backend trio|asyncio] [--workflows N] [--beside N]
     [--rounds N] [--json]
Prints: for each store and backend the figures and the ratios, `PASS` where one is at least 0.20, else `FAIL`; and what
the same workflows take on Local, which has no store to wait for. With --json one object instead.
Status: 0 whatever the figures are.

Measured is wall time. A workflow has five steps, one after the other, each of which adds one; so many run side by side
as --beside says. That is seven writes each: that it has begun, five results, and its end. By hand those are made by
one blocking loop:

    grouped   each commit, or trip, has one write of each of the workflows side by side: the most that these can share
    singly    each commit, or trip, has one write: what one workflow has to do, whose next step needs the one before

On SQLite they are the rows and the statements of the module, with apsw. On Redis they are HSET of a run, HSET of each
result into its journal, and HSET of the end, over a raw socket. With the package hiredis installed it reads the
replies, else Python does: the output says which.

Sides take turns for several rounds. A ratio is that of the best rounds; 0.25 means a quarter as fast as by hand.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import attrs

from postroom import Flow, Runtime, Workflows, step, workflow
from postroom.modules.redis import RedisModule
from postroom.modules.sqlite import SqliteModule
from postroom.modules.sqlite.opening import open_database
from tests.servers.redis import RedisServer

from .redis import Raw

STORES: Final = ("sqlite", "redis")
BACKENDS: Final = ("trio", "asyncio")
STEPS: Final = 5
GOAL: Final = 0.2
"""Of the raw writes' workflows a second, at the least."""

INPUT: Final = b'{"value":1234,"keep":0.0,"version":1}'
BODY: Final = b'{"at":1790000000.123456,"attempts":1,"value":1234,"name":"add","version":1}'
RESULT: Final = b'{"value":1239,"version":1}'


@attrs.frozen(kw_only=True)
class Figure:
    """What came out on one store and backend.

    Attributes:
        floor: How the writes by hand were made: `grouped` or `singly`.
        raw, workflows: Workflows a second; of `raw` those whose writes were made.
        ratio: The second in parts of the first.
    """

    store: str
    backend: str
    floor: str
    raw: float
    workflows: float
    ratio: float

    @property
    def verdict(self) -> str:
        return "PASS" if self.ratio >= GOAL else "FAIL"


@step
async def add(number: int) -> int:
    """Add one."""
    return number + 1


@workflow
async def five(flow: Flow, number: int) -> int:
    """Five steps."""
    for _ in range(STEPS):
        number = await flow.run(add, number)
    return number


async def by_workflows(module: Any, count: int, beside: int) -> float:
    """Seconds that so many workflows take; on Local without a module."""
    options: dict[str, Any] = {} if module is None else {"module": module}
    async with Runtime(**options) as runtime, Workflows(runtime, [five], capacity=beside) as workflows:
        await workflows.run(five, 0)  # what is made once is no workflow's
        numbers = iter(range(count))

        async def run() -> None:
            for number in numbers:
                assert await workflows.run(five, number) == number + STEPS

        start = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(beside):
                tasks.start_soon(run)
        return time.perf_counter() - start


def groups(count: int, size: int) -> Iterator[range]:
    """The numbers of workflows that are side by side."""
    for first in range(1, count + 1, size):
        yield range(first, min(first + size, count + 1))


def by_hand_on_sqlite(path: Path, count: int, group_size: int) -> float:
    """Seconds that the same rows take."""
    db = open_database(path, "process")

    def commit(statement: str, rows: list[tuple[Any, ...]]) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(statement, rows)
        db.execute("COMMIT")

    start = time.perf_counter()
    for group in groups(count, group_size):
        commit(
            "INSERT INTO runs (number, id, workflow, state, awake, due, owner, token, begun_by, call, created_at, "
            "changed_at, starts_at, lane, digest, input) "
            "VALUES (?1, ?2, 'five', 'running', 'running', NULL, 1, ?1, 1, ?1, 1.79e9, 1.79e9, 1.79e9, '', ?3, ?4)",
            [(number, f"0123456789abcdef0123-{number:x}", b"0123456789abcdef", INPUT) for number in group],
        )
        for each in range(STEPS):
            commit(
                "INSERT OR IGNORE INTO run_entries VALUES (?, 'step', ?, ?, 1.79e9, ?)",
                [(number, f"add#{each}", number, BODY) for number in group],
            )
        commit(
            "UPDATE runs SET state = 'succeeded', result = ?, answer = NULL, owner = NULL, changed_at = 1.79e9, "
            "forget_at = 1e9 WHERE number = ?",
            [(RESULT, number) for number in group],
        )
    took = time.perf_counter() - start
    db.close()
    return took


def by_hand_on_redis(port: int, count: int, group_size: int) -> float:
    """Seconds that the same writes take."""
    raw = Raw(port)
    start = time.perf_counter()
    for group in groups(count, group_size):
        runs = [f"{{j}}:run:0123456789abcdef0123-{number:x}" for number in group]
        own = ("workflow", "five", "state", "running", "owner", "1", "digest", b"0123456789abcdef", "input", INPUT)
        raw.ask_many([("HSET", run, *own, "created", "1790000000123456") for run in runs])
        for each in range(STEPS):
            raw.ask_many([("HSET", f"{run}:entries", f"step:add#{each}", BODY) for run in runs])
        end = ("state", "succeeded", "result", RESULT, "owner", "", "changed", "1790000000123456")
        raw.ask_many([("HSET", run, *end) for run in runs])
    took = time.perf_counter() - start
    raw.close()
    return took


@contextmanager
def open_sides(store: str) -> Iterator[tuple[Callable[[int, int], float], Callable[[], Any]]]:
    """A block in which a fresh store is there: how to write by hand, and the module."""
    if store == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield (
                lambda count, size: by_hand_on_sqlite(Path(folder) / f"raw-{size}.db", count, size),
                lambda: SqliteModule(Path(folder) / f"{time.time_ns()}.db"),
            )
        return
    with RedisServer() as server:
        yield (
            lambda count, size: by_hand_on_redis(server.port, count, size),
            lambda: RedisModule(server.url, namespace=f"bench-{time.time_ns()}"),
        )


def compare(store: str, backends: Sequence[str], count: int, beside: int, rounds: int) -> list[Figure]:
    """Measure on one store; the sides take turns."""
    raw: dict[str, list[float]] = {"grouped": [], "singly": []}
    ours: dict[str, list[float]] = {backend: [] for backend in backends}
    for _ in range(rounds):
        with open_sides(store) as (by_hand, module):
            raw["grouped"].append(by_hand(count, beside))
            raw["singly"].append(by_hand(count, 1))
            for backend in backends:
                ours[backend].append(anyio.run(by_workflows, module(), count, beside, backend=backend))
    return [
        Figure(
            store=store,
            backend=backend,
            floor=floor,
            raw=count / min(raw[floor]),
            workflows=count / min(ours[backend]),
            ratio=min(raw[floor]) / min(ours[backend]),
        )
        for backend in backends
        for floor in raw
    ]


def local(backend: str, count: int, beside: int, rounds: int) -> float:
    """Workflows a second on Local."""
    return count / min(anyio.run(by_workflows, None, count, beside, backend=backend) for _ in range(rounds))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="bench-workflows", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", choices=STORES, action="append")
    parser.add_argument("--backend", choices=BACKENDS, action="append")
    parser.add_argument("--workflows", type=int, default=5000, help="of each turn (default 5000)")
    parser.add_argument("--beside", type=int, default=100, help="how many side by side (default 100)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args(arguments)
    if min(asked.workflows, asked.beside, asked.rounds) < 1:
        parser.error("there is at least one workflow, one at a time, and one round")
    backends = asked.backend or BACKENDS
    size = (asked.workflows, asked.beside, asked.rounds)
    figures = [figure for store in asked.store or STORES for figure in compare(store, backends, *size)]
    alone = {backend: local(backend, *size) for backend in backends}
    reader = "hiredis" if importlib.util.find_spec("hiredis") is not None else "Python"
    if asked.json:
        rows = [attrs.asdict(each) for each in figures]
        print(json.dumps({"redis_replies_read_by": reader, "figures": rows, "local": alone}))
        return 0
    print(f"{'workflows of five steps a second':34} {'by hand':>9} {'workflows':>10} {'ratio':>6} {'goal':>7}")
    for each in figures:
        row = f"{each.store:8} {each.backend:9} {each.floor:15} {each.raw:9,.0f} {each.workflows:10,.0f}"
        print(f"{row} {each.ratio:6.2f} {'>= ' + str(GOAL):>7} {each.verdict}")
    for backend, rate in alone.items():
        print(f"{'local':8} {backend:9} {'':15} {'':9} {rate:10,.0f}")
    print(f"by hand on Redis, {reader} reads the replies")
    return 0


if __name__ == "__main__":
    sys.exit(main())

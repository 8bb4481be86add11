"""What the Redis module costs in wall time, beside a blocking socket that does the same by hand, in the same run.

Run: python -m tests.benchmarks.redis [--events 10000] [--rounds 3] [--backend trio] [--size 200] [--json]
Prints: for each figure the two sides' best, and postroom's part of the raw one.
Status: 0 whatever the figures are.

By hand: a stream; 100 XADD in one trip; XREADGROUP of 100; XACK and XDEL of 100 in one trip; 100 outcomes pushed to a
list, and popped from it by whoever emitted. With the package hiredis installed it reads the replies, else Python does.
postroom, first its store alone: 100 events in one publish; a fetch of 100; a settle of 100. Then a runtime, with one
subscription whose handler does nothing: `emit_many` of 100, until it returns; and until all receipts have settled.

Sides take turns. What counts are ratios within one run: `part` is postroom's events a second to the raw side's, and
for single acknowledged emits, postroom's median time to the raw one of all four steps.

Units: events a second; milliseconds.
"""

import argparse
import importlib.util
import json
import socket
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import anyio
import attrs

from postroom import Event, Runtime, subscriber
from postroom.contract import Binding, Settlement, Step, StoredEvent
from postroom.modules.redis import RedisModule
from tests.servers.redis import RedisServer, Wire, packed

TRIP: Final = 100
BULK: Final = 1000
SINGLE: Final = 300


class Raw:
    """A blocking connection, by hand."""

    def __init__(self, port: int) -> None:
        self._wire = Wire(port).__enter__()
        self._reader: Any = None
        if importlib.util.find_spec("hiredis") is not None:
            hiredis: Any = importlib.import_module("hiredis")

            self._reader = hiredis.Reader()
            self._socket: socket.socket = self._wire._socket

    def ask_many(self, commands: list[Any]) -> list[Any]:
        """Several commands in one trip."""
        if self._reader is None:
            return self._wire.ask_many(commands)
        self._socket.sendall(b"".join(map(packed, commands)))
        replies: list[Any] = []
        while len(replies) < len(commands):
            reply = self._reader.gets()
            if reply is False:
                self._reader.feed(self._socket.recv(1 << 18))
            else:
                replies.append(reply)
        return replies

    def close(self) -> None:
        self._wire.__exit__()


@attrs.define
class Times:
    """The fastest turn of each figure, in seconds, and its operations."""

    best: dict[tuple[str, str], float] = attrs.field(factory=dict)

    @contextmanager
    def turn(self, figure: str, side: str, operations: int) -> Iterator[None]:
        """Take the time of a block."""
        began = time.perf_counter()
        yield
        took = (time.perf_counter() - began) / operations
        self.best[figure, side] = min(took, self.best.get((figure, side), took))

    def note(self, figure: str, side: str, seconds: float) -> None:
        """A time that was taken elsewhere."""
        self.best[figure, side] = min(seconds, self.best.get((figure, side), seconds))


def raw_turn(raw: Raw, times: Times, events: int, body: bytes) -> None:
    """Emit, fetch, settle and notify by hand."""
    raw.ask_many([("DEL", "s", "done"), ("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")])
    with times.turn("emit", "raw", events):
        for _ in range(events // TRIP):
            raw.ask_many([("XADD", "s", "*", "d", body)] * TRIP)
    with times.turn("handled", "raw", events):
        for _ in range(events // TRIP):
            _handle(raw, TRIP)
    singles = []
    for _ in range(SINGLE):
        began = time.perf_counter()
        raw.ask_many([("XADD", "s", "*", "d", body)])
        _handle(raw, 1)
        singles.append(time.perf_counter() - began)
    times.note("single", "raw", statistics.median(singles))


def _handle(raw: Raw, count: int) -> None:
    ((_, entries),) = raw.ask_many([("XREADGROUP", "GROUP", "g", "c", "COUNT", count, "STREAMS", "s", ">")])[0]
    ids = [entry[0] for entry in entries]
    raw.ask_many([("XACK", "s", "g", *ids), ("XDEL", "s", *ids), ("RPUSH", "done", *(b"ok",) * len(ids))])
    raw.ask_many([("LPOP", "done", len(ids))])


async def store_turn(url: str, times: Times, events: int, body: bytes) -> None:
    """The store alone, a hundred at a time."""
    async with RedisModule(url, namespace="store").open(f"store-{time.time_ns()}") as store:
        await store.bind([Binding("ledger", ("bench.*",))], serve=True)
        with times.turn("emit", "store", events):
            for trip in range(events // TRIP):
                emit = [StoredEvent(f"e{trip}-{each}", "bench.x", body) for each in range(TRIP)]
                await store.publish(trip + 1, [emit])
        with times.turn("handled", "store", events):
            for _ in range(events // TRIP):
                fetched = await store.fetch({"ledger": TRIP})
                await store.settle([Settlement(loan.token, Step.SETTLED, b"{}") for loan in fetched.loans])


@subscriber("bench.*", name="ledger", capacity=1000, concurrency=TRIP)
async def ledger(event: Event) -> None:
    """Does nothing."""


async def runtime_turn(url: str, times: Times, events: int, body: bytes) -> None:
    """A runtime that emits, and another one that handles what is there, until the first one knows of all outcomes."""
    text = body.decode()
    module = RedisModule(url, namespace=f"turn-{time.time_ns()}")
    async with Runtime(module=module, role="emit", subscribers=[ledger]) as emitting:
        receipts = []
        with times.turn("emit", "runtime", events):
            for _ in range(events // BULK):
                receipts += await emitting.emit_many([Event("bench.x", text) for _ in range(BULK)])
        with times.turn("handled", "runtime", events):
            async with Runtime(module=module, role="handle", subscribers=[ledger]):
                for receipt in receipts:
                    await receipt


async def single_turn(url: str, times: Times, body: bytes) -> None:
    """A runtime that emits and handles: one event at a time, from emit to receipt."""
    text = body.decode()
    async with Runtime(module=RedisModule(url, namespace="single"), subscribers=[ledger]) as runtime:
        singles = []
        for _ in range(SINGLE):
            began = time.perf_counter()
            await runtime.emit_and_wait("bench.x", text)
            singles.append(time.perf_counter() - began)
        times.note("single", "runtime", statistics.median(singles))


def measure(events: int, rounds: int, backend: str, size: int) -> dict[str, Any]:
    """All figures."""
    times = Times()
    body = b"x" * size
    events = max(BULK, events // BULK * BULK)
    with RedisServer() as server:
        for _ in range(rounds):
            raw = Raw(server.port)
            raw_turn(raw, times, events, body)
            raw.close()
            anyio.run(store_turn, server.url, times, events, body, backend=backend)
            anyio.run(runtime_turn, server.url, times, events, body, backend=backend)
            anyio.run(single_turn, server.url, times, body, backend=backend)
    best = times.best
    return {
        "raw emit, events/s": 1 / best["emit", "raw"],
        "raw handled, events/s": 1 / best["handled", "raw"],
        "store emit, part": best["emit", "raw"] / best["emit", "store"],
        "store handled, part": best["handled", "raw"] / best["handled", "store"],
        "runtime emit, part": best["emit", "raw"] / best["emit", "runtime"],
        "runtime handled, part": best["handled", "raw"] / best["handled", "runtime"],
        "raw single round, ms": 1000 * best["single", "raw"],
        "acknowledged emit, times the raw round": best["single", "runtime"] / best["single", "raw"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.redis", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", choices=("trio", "asyncio"), default="asyncio")
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.events, arguments.rounds, arguments.backend, arguments.size)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<60}{value:>12,.2f}")


if __name__ == "__main__":
    main()

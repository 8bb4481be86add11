"""What the Redis module costs in wall time, beside a blocking socket that does the same by hand, in the same run.

Run: python -m tests.benchmarks.redis [--events 10000] [--rounds 3] [--backend trio] [--size 200] [--bullmq] [--json]
Prints: for each figure the two sides' best, and postroom's part of the raw one.
Status: 0 whatever the figures are.

By hand: a stream; 100 XADD in one trip; XREADGROUP of 100; XACK and XDEL of 100 in one trip; 100 outcomes pushed to a
list, and popped from it by whoever emitted. hiredis reads the replies.
postroom, first its store alone: 100 events in one publish; a fetch of 100; a settle of 100. Then a runtime that emits
with `emit_many`, 1,000 at a time; another one in the same process, whose subscription does nothing, handles what is
there, from its first event until the first runtime knows all outcomes. Then one that does both, one event at a time,
from emit to receipt. Then one process that handles what is emitted, and two that share: the CPU time of both and of
the server. BullMQ, with --bullmq: `addBulk` of 1,000; a worker of concurrency 100 whose processor does nothing, until
all are completed.

Sides take turns. What counts are ratios within one run: `part` is postroom's events a second to the raw side's, and
for single acknowledged emits, postroom's median time to the raw one of all four steps.

Units: events a second; milliseconds.
"""

import argparse
import json
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import hiredis

from postroom import Event, Runtime, subscriber
from postroom.contract import Binding, Settlement, Step, StoredEvent
from postroom.modules.redis import RedisModule
from tests.benchmarks.peers import NoPeer, bullmq, bullmq_turn, open_handling
from tests.servers.redis import RedisServer, Wire, packed

TRIP: Final = 100
BULK: Final = 1000
SINGLE: Final = 300


class Raw:
    """A blocking connection, by hand."""

    def __init__(self, port: int) -> None:
        self._wire = Wire(port).__enter__()
        self._reader = hiredis.Reader()
        self._socket: socket.socket = self._wire._socket

    def ask_many(self, commands: list[Any]) -> list[Any]:
        """Several commands in one trip."""
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
            for trip in range(events // TRIP):
                fetched = await store.fetch({"ledger": TRIP})
                ended = [Settlement(loan.token, Step.SETTLED, b"{}") for loan in fetched.loans]
                await store.settle(trip + 1, ended)


@attrs.define(eq=False)
class Desk:
    """A subscription that does nothing.

    Attributes:
        since: When it began; None before.
    """

    since: float | None = None

    def subscriber(self) -> Any:
        """How it is declared."""
        return subscriber("bench.*", name="ledger", capacity=1000)(self.handle)

    async def handle(self, event: Event) -> None:
        if self.since is None:
            self.since = time.perf_counter()


async def runtime_turn(url: str, times: Times, events: int, body: bytes) -> None:
    """A runtime that emits, and another one that handles what is there, until the first one knows of all outcomes."""
    text = body.decode()
    desk = Desk()
    module = RedisModule(url, namespace=f"turn-{time.time_ns()}")
    async with Runtime(module=module, role="emit", subscribers=[desk.subscriber()]) as emitting:
        receipts = []
        with times.turn("emit", "runtime", events):
            for _ in range(events // BULK):
                receipts += await emitting.emit_many([Event("bench.x", text) for _ in range(BULK)])
        async with Runtime(module=module, role="handle", subscribers=[desk.subscriber()]):
            for receipt in receipts:
                if not receipt.settled:  # the figure is when all are known, not what asking each of them costs
                    await receipt
            assert desk.since is not None
            times.note("handled", "runtime", (time.perf_counter() - desk.since) / events)


async def single_turn(url: str, times: Times, body: bytes) -> None:
    """A runtime that emits and handles: one event at a time, from emit to receipt."""
    text = body.decode()
    async with Runtime(module=RedisModule(url, namespace="single"), subscribers=[Desk().subscriber()]) as runtime:
        singles = []
        for _ in range(SINGLE):
            began = time.perf_counter()
            await runtime.emit_and_wait("bench.x", text)
            singles.append(time.perf_counter() - began)
        times.note("single", "runtime", statistics.median(singles))


async def emit_all(url: str, namespace: str, events: int, body: bytes) -> None:
    """Emit for whoever handles in a namespace."""
    text = body.decode()
    module = RedisModule(url, namespace=namespace)
    async with Runtime(module=module, role="emit", subscribers=[Desk().subscriber()]) as emitting:
        for _ in range(events // BULK):
            await emitting.emit_many([Event("bench.x", text) for _ in range(BULK)])


def processes_turn(server: RedisServer, times: Times, events: int, body: bytes, backend: str) -> None:
    """The CPU time of one process that handles, and of two that share."""
    for processes in (1, 2):
        namespace = f"shared-{time.time_ns()}"
        with open_handling(server, namespace, events, processes, backend) as handling:
            anyio.run(emit_all, server.url, namespace, events, body, backend=backend)
        times.note("cpu", f"{processes}", handling.cpu / events)


def measure(events: int, rounds: int, backend: str, size: int, *, peer: Path | None = None) -> dict[str, float]:
    """All figures.

    Args:
        peer: A folder with BullMQ, to measure that as well.
    """
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
            processes_turn(server, times, events, body, backend)
            if peer is not None:
                for figure, rate in bullmq_turn(peer, server.port, events, size).items():
                    times.note(figure, "bullmq", 1 / rate)
    return figures_of(times.best)


def figures_of(best: dict[tuple[str, str], float]) -> dict[str, float]:
    """What counts: mostly ratios."""
    figures = {f"raw {each}, events/s": 1 / best[each, "raw"] for each in ("emit", "handled")}
    for side in ("store", "runtime"):
        for each in ("emit", "handled"):
            figures[f"{side} {each}, part of raw"] = best[each, "raw"] / best[each, side]
    figures["raw single round, ms"] = 1000 * best["single", "raw"]
    figures["acknowledged emit, times the raw round"] = best["single", "runtime"] / best["single", "raw"]
    figures["CPU of a delivery, one process, us"] = 1e6 * best["cpu", "1"]
    figures["CPU of a delivery, two processes to one"] = best["cpu", "2"] / best["cpu", "1"]
    if ("emit", "bullmq") in best:
        for each in ("emit", "handled"):
            figures[f"BullMQ {each}, events/s"] = 1 / best[each, "bullmq"]
            figures[f"runtime {each}, times BullMQ"] = best[each, "bullmq"] / best[each, "runtime"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.redis", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", choices=("trio", "asyncio"), default="asyncio")
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--bullmq", action="store_true", help="measure BullMQ as well, which npm installs")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with ExitStack() as stack:
        try:
            peer = stack.enter_context(bullmq()) if asked.bullmq else None
        except NoPeer as error:
            parser.error(f"--bullmq: {error}")
        figures = measure(asked.events, asked.rounds, asked.backend, asked.size, peer=peer)
    if asked.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<60}{value:>12,.2f}")


if __name__ == "__main__":
    main()

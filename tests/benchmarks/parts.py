"""What an acknowledged emit on SQLite is made of: where the time between an emit and its report goes.

Run: python -m tests.benchmarks.parts [--backend trio|asyncio] [--events N]
Prints: for each backend a table: each part by itself, how often it comes in one emit, and what that makes; beside the
sum the whole, as it was measured, and the same by hand (see `carried.py`). Microseconds, medians.
Status: 0 whatever the figures are.

    commits       the transactions of one emit, by the module's own steps, in one thread: event and loan, settlement
    handover      from the event loop to another thread and back, as the module does it
    turns         of the event loop, without anything that is done in them; so many were counted
"""

import argparse
import asyncio
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import anyio
import trio

from postroom import Event, Runtime, subscriber
from postroom.contract import Binding, Settlement, Step, StoredEvent
from postroom.modules.sqlite import SqliteModule, lending, publishing, settling
from postroom.modules.sqlite.times import machine_clock
from postroom_actors import current_port
from tests.modules.sqlite.driver import Driver

from .carried import DATA, acknowledged_by_hand
from .stores import BODY

OUTCOME: Final = b'{"kind":"succeeded","subscription":"ledger","attempts":1,"seconds":0.00001}'


def commits(path: Path, events: int) -> float:
    """Seconds of the transactions of one event."""
    driver = Driver(path, machine_clock(), "one")
    driver.bind(Binding("ledger", ("order.*",)))
    times: list[float] = []
    for number in range(1, events + 1):
        before = time.perf_counter()

        def publish_and_fetch(tx: Any, number: int = number) -> int:
            publishing.publish(tx, number, [[StoredEvent(f"e{number}", "order.placed", BODY)]])
            return lending.fetch(tx, {"ledger": 16}).loans[0].token

        token = driver.run(publish_and_fetch)
        assert driver.run(settling.settle, number, [Settlement(token, Step.SETTLED, OUTCOME)]) == [True]
        times.append(time.perf_counter() - before)
    driver.leave()
    return statistics.median(times)


async def handover(events: int) -> float:
    """Seconds to a thread that waits at a socket, and back into the event loop."""
    port = current_port()
    ours, theirs = socket.socketpair()
    done = False
    sleeper = port.sleeper()

    def back() -> None:
        nonlocal done
        done = True
        sleeper.wake()

    def answer() -> None:
        while theirs.recv(1):
            port.submit(back)

    thread = threading.Thread(target=answer)
    thread.start()
    times: list[float] = []
    for _ in range(events):
        before = time.perf_counter()
        done = False
        ours.send(b"!")
        while not done:
            await sleeper.park()
        times.append(time.perf_counter() - before)
    ours.close()
    thread.join()
    theirs.close()
    return statistics.median(times)


async def turn(events: int) -> float:
    """Seconds of a turn of the loop in which one task runs."""
    port = current_port()
    times: list[float] = []
    for _ in range(events):
        before = time.perf_counter()
        await port.breathe()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


class _Turns(trio.abc.Instrument):
    """Counts turns of trio's loop."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


def _count_turns() -> Callable[[], int]:
    """Count the turns of the loop that runs, from now on."""
    if current_port().library == "trio":
        turns = _Turns()
        trio.lowlevel.add_instrument(turns)
        return lambda: turns.count
    selector = cast("Any", asyncio.get_running_loop())._selector
    select, count = selector.select, 0

    def counting(timeout: float | None = None) -> Any:
        nonlocal count
        count += 1
        return select(timeout)

    selector.select = counting
    return lambda: count


async def whole(path: Path, events: int, counted: bool) -> float:
    """Seconds of one `emit_and_wait`; where they are `counted`, turns of the loop instead."""

    @subscriber("order.*", name="ledger")
    async def handle(event: Event) -> None: ...

    async with Runtime(module=SqliteModule(path), subscribers=[handle]) as runtime:
        await runtime.emit_and_wait("order.placed", DATA)
        turns = _count_turns() if counted else int
        times: list[float] = []
        for _ in range(events):
            before = time.perf_counter()
            await runtime.emit_and_wait("order.placed", DATA)
            times.append(time.perf_counter() - before)
        return turns() / events if counted else statistics.median(times)


def show(backend: str, events: int) -> None:
    """Measure on one backend, and print the table."""

    def run(measure: Callable[..., Awaitable[float]], *arguments: Any) -> float:
        return anyio.run(measure, *arguments, backend=backend)

    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        by_hand = acknowledged_by_hand(files / "raw.db", 10 * events, "process")
        parts = [
            ("commits", commits(files / "commits.db", events), 1.0),
            ("handover", run(handover, events), 2.0),
            ("turns", run(turn, events), run(whole, files / "turns.db", events, True)),
        ]
        measured = run(whole, files / "whole.db", events, False)
    print(f"{backend:10} {'each, µs':>10} {'times':>7} {'µs':>8} {'by hand = 1':>12}")
    for name, each, times in parts:
        print(f"{name:10} {1e6 * each:10.1f} {times:7.1f} {1e6 * each * times:8.0f} {each * times / by_hand:12.2f}")
    total = sum(each * times for _, each, times in parts)
    for name, seconds in (("sum", total), ("whole", measured), ("by hand", by_hand)):
        print(f"{name:10} {'':10} {'':7} {1e6 * seconds:8.0f} {seconds / by_hand:12.2f}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="bench-parts", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", choices=("trio", "asyncio"), action="append")
    parser.add_argument("--events", type=int, default=2000)
    asked = parser.parse_args(arguments)
    if asked.events < 1:
        parser.error("--events is 1 at the least")
    for backend in asked.backend or ("trio", "asyncio"):
        show(backend, asked.events)
    return 0


if __name__ == "__main__":
    sys.exit(main())

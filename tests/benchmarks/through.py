"""A whole runtime on SQLite, as its users have it."""

import statistics
import time
from pathlib import Path
from typing import Any

import anyio

from postroom import Event, Runtime, Subscriber, subscriber
from postroom.modules.sqlite import SqliteModule
from postroom.modules.sqlite.opening import Durability

from .by_hand import GROUP, SINGLES, Times

DATA = {"id": "123", "email": "a@example.com", "total": 1999, "lines": [1, 2, 3], "note": "x" * 100}


async def by_runtime(path: Path, events: int, durability: Durability) -> Times:
    """One runtime emits in bulk, another one handles all that, a third one does both, one event at a time."""
    module = SqliteModule(path, durability=durability)
    async with Runtime(module=module, subscribers=[_ledger(0)[0]]):
        pass  # it is registered now, and gets what is emitted
    groups = [[Event("order.placed", DATA) for _ in range(GROUP)] for _ in range(events // GROUP)]
    async with Runtime(module=module, role="emit") as runtime:
        start = time.perf_counter()
        for group in groups:
            await runtime.emit_many(group)
        published = time.perf_counter() - start
    ledger, all_handled = _ledger(events)
    start = time.perf_counter()
    async with Runtime(module=module, subscribers=[ledger]):
        await all_handled.wait()
    handled = time.perf_counter() - start
    singles: list[float] = []
    async with Runtime(module=module, subscribers=[_ledger(0)[0]]) as runtime:
        for _ in range(events // SINGLES):
            start = time.perf_counter()
            await runtime.emit_and_wait("order.placed", DATA)
            singles.append(time.perf_counter() - start)
    return Times(publish=published, handle=handled, acknowledged=statistics.median(singles))


def _ledger(expected: int) -> tuple[Subscriber[Any, Any], anyio.Event]:
    """A subscriber that does nothing, and when it has done so often enough."""
    all_handled = anyio.Event()
    handled = 0

    @subscriber("order.*", name="ledger")
    async def ledger(event: Event) -> None:
        nonlocal handled
        handled += 1
        if handled == expected:
            all_handled.set()

    return ledger, all_handled

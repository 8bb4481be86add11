"""The life of events on SQLite, written by hand with apsw: the rows and statements of the module, no library."""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import attrs

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


def by_hand(path: Path, events: int, durability: Durability) -> Times:
    """The same rows, the same statements, no library."""
    db = open_database(path, durability)
    start = time.perf_counter()
    for first in range(0, events, GROUP):
        _publish_by_hand(db, range(first + 1, first + GROUP + 1))
    published = time.perf_counter()
    for _ in range(0, events, GROUP):
        _handle_by_hand(db, GROUP)
    handled = time.perf_counter()
    singles: list[float] = []
    emitter, handler = os.pipe()
    for number in range(events // SINGLES):
        before = time.perf_counter()
        _publish_by_hand(db, range(number + 1, number + 2))
        _handle_by_hand(db, 1)
        os.write(handler, b"1")  # whoever has emitted it hears of it
        os.read(emitter, 1)
        singles.append(time.perf_counter() - before)
    os.close(emitter)
    os.close(handler)
    db.close()
    return Times(publish=published - start, handle=handled - published, acknowledged=statistics.median(singles))


def _publish_by_hand(db: apsw.Connection, numbers: Sequence[int]) -> None:
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


def _handle_by_hand(db: apsw.Connection, count: int) -> None:
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

"""Groups: events that were staged, and wait to be released or cleared."""

from collections.abc import Collection
from typing import Any, Final, cast

import msgspec

from postroom.contract import EXPIRED, Answer, Emit, Published, StagedGroup, StoredEvent
from postroom.errors import ConflictingEvent, PostroomError
from postroom.store_errors import GroupFull

from .endings import notify_cleared, notify_published
from .publishing import Intake
from .transaction import Transaction

MOST_STAGED: Final = 10_000
"""Events in one group."""

_LISTING: Final = """
SELECT name, (SELECT count(*) FROM staged WHERE in_group = g.id), expires_at FROM groups g
ORDER BY expires_at IS NULL, expires_at, name LIMIT ?
"""

_events: Final = msgspec.msgpack.Decoder(StoredEvent)


def stage(tx: Transaction, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
    """See the contract."""
    if any(event.digest is None for event in events):
        # Ids that the runtime makes come once, so this is the same call: what it staged may be out again already.
        return tx.once((group, *(event.id for event in events)), lambda: _stage(tx, group, events, ttl))
    return _stage(tx, group, events, ttl)


def _stage(tx: Transaction, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
    db = tx.db
    id = cast("int | None", db.execute("SELECT id FROM groups WHERE name = ?", (group,)).get)
    intake = Intake(tx)
    known = [intake.accepted_before(event, tx.session) for event in events]
    new: dict[str, StoredEvent] = {}
    for event, before in zip(events, known, strict=True):
        if isinstance(before, PostroomError):
            return before
        staged = cast(
            "list[Any]", db.execute("SELECT digest, in_group FROM staged WHERE id = ?", (event.id,)).fetchall()
        )
        if before is None and any(digest != event.digest for digest, _ in staged):
            return ConflictingEvent(event.id, "contents")
        if before is None and all(other != id for _, other in staged):
            new[event.id] = event
    staged_already = cast("int", db.execute("SELECT count(*) FROM staged WHERE in_group = ?", (id,)).get)
    if staged_already + len(new) > MOST_STAGED:
        return GroupFull(group, MOST_STAGED)
    if new:
        if id is None:
            expires_at = None if ttl is None else tx.now + ttl
            id = cast(
                "int",
                db.execute("INSERT INTO groups (name, expires_at) VALUES (?, ?) RETURNING id", (group, expires_at)).get,
            )
        numbers = tx.next_numbers(len(new))
        db.executemany(
            "INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (number, id, tx.session, event.id, event.name, event.digest, msgspec.msgpack.encode(event))
                for number, event in zip(numbers, new.values(), strict=True)
            ],
        )
    return cast("list[Published | None]", known)


def release(tx: Transaction, number: int, group: str) -> tuple[list[str], Answer]:
    """See the contract."""
    return tx.once(number, lambda: _release(tx, group))


def _release(tx: Transaction, group: str) -> tuple[list[str], Answer]:
    id = tx.db.execute("SELECT id FROM groups WHERE name = ?", (group,)).get
    if id is None:
        return [], []
    rows = cast(
        "list[Any]",
        tx.db.execute("SELECT session, event FROM staged WHERE in_group = ? ORDER BY number", (id,)).fetchall(),
    )
    events = [_events.decode(row[1]) for row in rows]
    intake = Intake(tx)
    answer = intake.accept(events, [row[0] for row in rows])
    intake.write()
    if isinstance(answer, list):
        _forget(tx, cast("int", id))
        answer = [
            msgspec.structs.replace(published, body=event.body) for event, published in zip(events, answer, strict=True)
        ]
        for event, (session, _), published in zip(events, rows, answer, strict=True):
            notify_published(tx, session, event.id, published)
    return [event.id for event in events], answer


def clear(tx: Transaction, group: str, names: Collection[str] | None, reason: str) -> int:
    """See the contract."""
    id = cast("int | None", tx.db.execute("SELECT id FROM groups WHERE name = ?", (group,)).get)
    return 0 if id is None else _clear(tx, id, names, reason)


def _clear(tx: Transaction, id: int, names: Collection[str] | None, reason: str) -> int:
    rows = cast(
        "list[Any]",
        tx.db.execute(
            "SELECT number, session, id, name FROM staged WHERE in_group = ? ORDER BY number", (id,)
        ).fetchall(),
    )
    dropped = [row for row in rows if names is None or row[3] in names]
    if len(dropped) == len(rows):
        _forget(tx, id)
    else:
        tx.db.executemany("DELETE FROM staged WHERE number = ?", [(row[0],) for row in dropped])
    notify_cleared(tx, [(row[1], row[2]) for row in dropped], reason)
    return len(dropped)


def listing(tx: Transaction, limit: int) -> list[StagedGroup]:
    """See the contract."""
    rows = cast("list[Any]", tx.db.execute(_LISTING, (limit,)).fetchall())
    return [StagedGroup(name, count, None if until is None else until - tx.now) for name, count, until in rows]


def _forget(tx: Transaction, id: int) -> None:
    tx.db.execute("DELETE FROM staged WHERE in_group = ?", (id,))
    tx.db.execute("DELETE FROM groups WHERE id = ?", (id,))


def expire_groups(tx: Transaction) -> None:
    """Drop the events of groups that were not released in time."""
    for (id,) in tx.db.execute("SELECT id FROM groups WHERE expires_at <= ?", (tx.now,)).fetchall():
        _clear(tx, cast("int", id), None, EXPIRED)

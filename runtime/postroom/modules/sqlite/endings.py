"""What happens when deliveries are over: outcomes, notices, and events that nobody needs any more."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

from postroom.contract import Published

from .removal import Removal
from .transaction import NOTICES, Transaction

MOST_FORGOTTEN: Final = 1000
"""Events that are forgotten in one step, where their time has come."""

_NOTICE: Final = "INSERT INTO notices VALUES (?, ?, ?, ?, ?, ?, ?)"

_end_plain: Final = Removal.of("events", "number", "number, id, watcher", where="plain = 1")

_FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608 - constants
    for table, column in (("events", "number"), ("records", "event"), ("watchers", "event"), ("outcomes", "event"))
)


class Ending(NamedTuple):
    """A delivery that is over.

    Attributes:
        event: Its number.
        subscription: The name.
    """

    event: int
    subscription: str
    outcome: bytes


def finish(tx: Transaction, endings: Sequence[Ending], settler: int | None = None) -> None:
    """Note how deliveries ended, and tell who published the events, but for the session that has settled them."""
    notices: list[tuple[int, str, str, bytes]] = []
    ended: dict[int, tuple[str, int]] = {
        number: (id, watcher) for number, id, watcher in _end_plain(tx.db, [each.event for each in endings])
    }
    for ending in endings:
        plain = ended.get(ending.event)
        if plain is None:
            _finish_share(tx, ending, settler, notices)
        elif plain[1] != settler:
            notices.append((plain[1], plain[0], ending.subscription, ending.outcome))
    notify(tx, notices)


def _finish_share(
    tx: Transaction, ending: Ending, settler: int | None, notices: list[tuple[int, str, str, bytes]]
) -> None:
    """One of several deliveries, or one of an event that is kept."""
    row = tx.db.execute(
        "UPDATE records SET pending = pending - 1 WHERE event = ? RETURNING pending, at, id, digest", (ending.event,)
    ).fetchone()
    assert row is not None, "a delivery without its event"
    pending, at, id, digest = cast("Any", row)
    watchers = tx.db.execute(
        "SELECT watcher FROM events WHERE number = ?1 UNION ALL SELECT session FROM watchers WHERE event = ?1",
        (ending.event,),
    )
    for (watcher,) in watchers.fetchall():
        if watcher != settler:
            notices.append((cast("int", watcher), id, ending.subscription, ending.outcome))
    if digest is not None or tx.terms.keep is not None:
        tx.db.execute(
            "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", (ending.event, ending.subscription, ending.outcome)
        )
    if pending == 0:
        retire(tx, ending.event, at, digest)


def retire(tx: Transaction, event: int, at: float, digest: bytes | None) -> None:
    """All deliveries of an event are over: it is kept as long as its id is remembered and settled events are kept."""
    until = max(
        tx.now if digest is None else at + tx.terms.window, tx.now if tx.terms.keep is None else tx.now + tx.terms.keep
    )
    if until <= tx.now:
        forget(tx, event)
    else:
        tx.db.execute("UPDATE records SET forget_at = ? WHERE event = ?", (until, event))


def forget(tx: Transaction, event: int) -> None:
    """An event is gone."""
    for statement in _FORGET:
        tx.db.execute(statement, (event,))


def forget_old(tx: Transaction) -> None:
    """Forget events whose time has come, some at a time."""
    due = tx.db.execute(
        "SELECT event FROM records WHERE forget_at <= ? ORDER BY forget_at LIMIT ?", (tx.now, MOST_FORGOTTEN)
    )
    for (event,) in due.fetchall():
        forget(tx, cast("int", event))


def notify(tx: Transaction, notices: Iterable[tuple[int, str, str, bytes]]) -> None:
    """Keep notices of outcomes for sessions: whom, the event's id, the subscription, the outcome."""
    _keep(tx, [(*each, None, "") for each in notices])


def notify_published(tx: Transaction, session: int, event: str, published: Published) -> None:
    """What was staged by a session was released by another one."""
    _keep(tx, [(session, event, "", b"", msgspec.msgpack.encode(published), "")])


def notify_cleared(tx: Transaction, cleared: Iterable[tuple[int, str]], reason: str) -> None:
    """What was staged is dropped: whose it was, and the event's id."""
    _keep(tx, [(session, event, "", b"", None, reason) for session, event in cleared])


def _keep(tx: Transaction, notices: Sequence[tuple[int, str, str, bytes, bytes | None, str]]) -> None:
    registry = tx.registry
    kept = [each for each in notices if each[0] in registry.sessions or each[0] in registry.lingering]
    if kept:
        numbers = tx.next_numbers(len(kept))
        tx.db.executemany(_NOTICE, [(each[0], number, *each[1:]) for number, each in zip(numbers, kept, strict=True)])
        tx.wake_all({each[0] for each in kept}, NOTICES)

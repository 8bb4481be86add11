"""Subscriptions as they stand in the file, and what operators do with them and with dead letters."""

from collections.abc import Collection, Sequence
from typing import Any, Final, cast

import msgspec

from postroom.codec import encode_outcome
from postroom.contract import Binding, Letter, News, Notice, Published, StoredLetter, StoredSubscription, letter_id
from postroom.outcomes import Cancelled

from . import rates
from .endings import Ending, finish
from .line import Share, put_back
from .registry import droppable
from .removal import Removal
from .runs import notices_of_runs
from .transaction import MAIL, ROUTES, Transaction

REMOVED: Final = "its subscription was removed"

_REGISTER: Final = """
INSERT INTO subscriptions (name, patterns, backlog, overflow) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET patterns = excluded.patterns, backlog = excluded.backlog, overflow = excluded.overflow
RETURNING id
"""

_LISTING: Final = """
SELECT name, patterns, paused, id,
    (SELECT count(*) FROM waiting WHERE subscription = s.id),
    (SELECT count(*) FROM waiting WHERE subscription = s.id AND state = 2 AND sort > ?),
    (SELECT count(*) FROM letters WHERE subscription = s.name)
FROM subscriptions s ORDER BY name
"""

_LETTERS: Final = """
SELECT token, subscription, event, body, accepted_at, letter, time FROM letters
WHERE token > ?1 AND (?2 IS NULL OR subscription = ?2) ORDER BY token LIMIT ?3
"""

_remove_letters: Final = Removal.of("letters", "token", "1")

_letters: Final = msgspec.msgpack.Decoder(Letter)
_published: Final = msgspec.msgpack.Decoder(Published)


def bind(tx: Transaction, bindings: Sequence[Binding], serve: bool) -> None:
    """See the contract."""
    tx.line_up()
    db, before = tx.db, tx.registry.by_name
    for each in bindings:
        patterns = msgspec.json.encode(each.patterns).decode()
        id = cast("int", db.execute(_REGISTER, (each.name, patterns, each.backlog, each.overflow)).get)
        rates.register(tx, id, each)
        if serve:
            db.execute("INSERT OR IGNORE INTO serves VALUES (?, ?)", (tx.session, id))
        old = before.get(each.name)
        if old is not None and each.backlog is not None:
            if old.bounded is None:
                db.execute(
                    "UPDATE subscriptions SET waiting = (SELECT count(*) FROM waiting WHERE subscription = ?1) "
                    "WHERE id = ?1",
                    (id,),
                )
            mark = droppable(each.backlog, each.overflow)
            if mark != old.droppable:
                db.execute("UPDATE waiting SET droppable = ? WHERE subscription = ?", (mark, id))
    tx.changed_registry()


def leave(tx: Transaction, names: Collection[str]) -> None:
    """See the contract."""
    for name in names:
        known = tx.registry.by_name.get(name)
        if known is not None:
            tx.db.execute("DELETE FROM serves WHERE session = ? AND subscription = ?", (tx.session, known.id))
    tx.changed_registry()


def subscriptions(tx: Transaction) -> list[StoredSubscription]:
    """See the contract."""
    tx.line_up()
    lent: dict[int, int] = {}
    for id, count in tx.db.execute("SELECT subscription, count(*) FROM lent GROUP BY subscription"):
        lent[cast("int", id)] = cast("int", count)
    registry = tx.registry
    found: list[StoredSubscription] = []
    for name, patterns, paused, id, waiting, delayed, dead in cast("Any", tx.db.execute(_LISTING, (tx.now,))):
        served_by = tuple(registry.sessions[each] for each in registry.servers.get(id, ()))
        found.append(
            StoredSubscription(
                name,
                msgspec.json.decode(patterns, type=tuple[str, ...]),
                waiting - delayed,
                delayed,
                lent.get(id, 0),
                dead,
                served_by,
                bool(paused),
            )
        )
    return found


def pause(tx: Transaction, name: str, paused: bool) -> None:
    """See the contract."""
    tx.db.execute("UPDATE subscriptions SET paused = ? WHERE name = ?", (int(paused), name))
    tx.changed_registry()
    tx.wake_all(tx.registry.sessions, MAIL | ROUTES)


def remove(tx: Transaction, name: str) -> int:
    """See the contract."""
    known = tx.registry.by_name.get(name)
    if known is None or known.id in tx.registry.servers:
        return 0
    tx.line_up()
    outcome = encode_outcome(Cancelled(name, REMOVED, 0, 0.0))
    removed = [
        Ending(cast("int", event), name, outcome)
        for table in ("waiting", "lent")
        for (event,) in tx.db.execute(
            f"DELETE FROM {table} WHERE subscription = ? RETURNING event",  # noqa: S608 - constants
            (known.id,),
        ).fetchall()
    ]
    removed.sort()
    finish(tx, removed)
    tx.db.execute("DELETE FROM subscriptions WHERE id = ?", (known.id,))
    rates.forget(tx, known.id)
    tx.changed_registry()
    return len(removed)


def letters(tx: Transaction, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
    """See the contract."""
    rows = cast("Any", tx.db.execute(_LETTERS, (_number_of(after), subscription, limit)))
    return [
        StoredLetter(letter_id(number), name, event, body, accepted_at, _letters.decode(letter), time)
        for number, name, event, body, accepted_at, letter, time in rows
    ]


def replay(tx: Transaction, number: int, letter: str) -> Published | None:
    """See the contract."""
    return tx.once(number, lambda: _replay(tx, letter))


def _replay(tx: Transaction, letter: str) -> Published | None:
    row = cast(
        "Any",
        tx.db.execute(
            "SELECT subscription, event, body, accepted_at, letter FROM letters WHERE token = ?", (_number_of(letter),)
        ).fetchone(),
    )
    if row is None or (known := tx.registry.by_name.get(row[0])) is None:
        return None
    name, event, body, accepted_at, text = row
    kept = _letters.decode(text)
    tx.db.execute("DELETE FROM letters WHERE token = ?", (_number_of(letter),))
    number = tx.next_number()
    tx.db.execute("INSERT INTO events VALUES (?, 1, ?, ?, ?, ?)", (number, tx.session, accepted_at, event, body))
    put_back(tx, [(Share(known.id, tx.now, number, kept.head_start, kept.key, 0, 0), tx.now)])
    return Published(accepted_at, (name,))


def discard(tx: Transaction, letters: Collection[str]) -> int:
    """See the contract."""
    return len(_remove_letters(tx.db, [_number_of(each) for each in letters]))


def _number_of(letter: str | None) -> int:
    """The number in a dead letter's id; 0, which none has, where it is none of ours."""
    if letter is None or not letter.isascii() or not letter.isdigit() or len(letter) > 20:
        return 0
    number = int(letter)
    return number if number < 1 << 63 else 0


def notices(tx: Transaction, seen: int) -> News:
    """What there is to tell a session, with everything up to `seen` forgotten."""
    runs = notices_of_runs(tx, seen)
    tx.db.execute("DELETE FROM notices WHERE session = ? AND number <= ?", (tx.session, seen))
    rows = cast(
        "list[Any]",
        tx.db.execute(
            "SELECT number, event, subscription, outcome, published, cleared FROM notices WHERE session = ? "
            "ORDER BY number",
            (tx.session,),
        ).fetchall(),
    )
    found = [
        (number, Notice(event, name, outcome, None if published is None else _published.decode(published), cleared))
        for number, event, name, outcome, published, cleared in rows
    ]
    if runs:
        found = sorted([*found, *runs], key=lambda each: each[0])
    number = found[-1][0] if found else seen
    return News(number, tuple(notice for _, notice in found), forgotten=tx.forgotten_at)

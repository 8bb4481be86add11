"""Sessions: how one begins, stays alive, is given up and ends; and whatever else has had its time."""

from typing import Any, Final, cast

from .endings import forget_old
from .groups import expire_groups
from .runs import forget_old_runs, give_runs_back, take_orphans
from .settling import give_back
from .times import ahead_of
from .transaction import LEASES, LINGER, Transaction

_OF_SESSIONS: Final = ("serves", "notices", "watchers", "run_notices", "run_watchers")

_NEXT_LEASE: Final = "UPDATE state SET incarnation = (incarnation + 1) % ? RETURNING incarnation"


def begin(tx: Transaction) -> None:
    """A session begins."""
    _set_time(tx)
    _take_new_lease(tx)
    take_orphans(tx)
    look(tx)


def _set_time(tx: Transaction) -> None:
    """The first session after the machine's start decides how far the store's time is ahead."""
    boot, ahead, latest = cast("Any", tx.db.execute("SELECT boot, ahead, latest FROM state").fetchone())
    if boot != tx.clock.boot:
        ahead = ahead_of(tx.clock, latest)
        tx.db.execute("UPDATE state SET boot = ?, ahead = ?", (tx.clock.boot, ahead))
    tx.now = tx.clock.reading() + ahead


def _take_new_lease(tx: Transaction) -> None:
    while True:
        tx.incarnation = cast("int", tx.db.execute(_NEXT_LEASE, (LEASES,)).get)
        taken = "SELECT 1 FROM sessions WHERE incarnation = ? AND over_at IS NULL"
        if not tx.db.execute(taken, (tx.incarnation,)).get:
            break
    tx.lease_until = tx.now + tx.terms.lease
    tx.session = cast(
        "int",
        tx.db.execute(
            "INSERT INTO sessions (name, incarnation, lease_until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET incarnation = excluded.incarnation, lease_until = excluded.lease_until, over_at = NULL RETURNING id",
            (tx.name, tx.incarnation, tx.lease_until),
        ).get,
    )
    tx.changed_registry()


def look(tx: Transaction) -> None:
    """At the beginning of each transaction: let go of what has had its time, and keep the own lease."""
    if tx.lease_until is not None and tx.lease_until <= tx.now:
        _prolong(tx)
    if tx.overdue <= tx.now:
        _expire(tx)
    if tx.lease_until is None:
        before = tx.session
        _take_new_lease(tx)
        tx.lost = True
        if tx.session != before:
            tx.forgotten_at = tx.now
    elif tx.lease_until - tx.now < tx.terms.lease * 2 / 3:
        tx.lease_until = tx.now + tx.terms.lease
        tx.db.execute("UPDATE sessions SET lease_until = ? WHERE id = ?", (tx.lease_until, tx.session))
        tx.db.execute("UPDATE state SET latest = max(latest, ?)", (tx.now,))


def _prolong(tx: Transaction) -> None:
    """Keep a lease that has run out, where nobody has noticed: what it is for was lent to nobody else.

    Those of others go on too. Who could not write for a whole lease, on a full disk or a locked file, must take it that
    they could not either; one that is dead is noticed a lease later.
    """
    tx.lease_until = tx.now + tx.terms.lease
    prolong = "UPDATE sessions SET lease_until = max(lease_until, ?) WHERE over_at IS NULL"
    tx.db.execute(prolong, (tx.lease_until,))
    tx.db.execute("UPDATE state SET latest = max(latest, ?)", (tx.now,))


def _expire(tx: Transaction) -> None:
    gone = tx.db.execute(
        "UPDATE sessions SET over_at = ?1 WHERE lease_until <= ?1 AND over_at IS NULL RETURNING id, incarnation",
        (tx.now,),
    ).fetchall()
    for session, incarnation in gone:
        give_back(tx, cast("int", incarnation), lost=True)
        give_runs_back(tx, cast("int", session), lost=True)
        tx.db.execute("DELETE FROM serves WHERE session = ?", (session,))
        if session == tx.session:
            tx.lease_until = None
    if gone:
        tx.changed_registry()
    for (session,) in tx.db.execute("SELECT id FROM sessions WHERE over_at <= ?", (tx.now - LINGER,)).fetchall():
        _forget(tx, cast("int", session))
    expire_groups(tx)
    forget_old(tx)
    forget_old_runs(tx)


def _forget(tx: Transaction, session: int) -> None:
    tx.db.execute("DELETE FROM sessions WHERE id = ?", (session,))
    for table in _OF_SESSIONS:
        tx.db.execute(f"DELETE FROM {table} WHERE session = ?", (session,))  # noqa: S608 - constants
    tx.forgotten.append(session)
    tx.changed_registry()


def end(tx: Transaction) -> None:
    """The session ends well: what it was lent is available at once."""
    give_back(tx, tx.incarnation)
    give_runs_back(tx, tx.session)
    _forget(tx, tx.session)

"""Rates: how many deliveries of a subscription may be lent now, over all processes."""

from typing import Final

from postroom.contract import Binding
from postroom.metering import due_after, may_lend, opens_at

from .registry import Known
from .transaction import Transaction

_REGISTER: Final = """
INSERT INTO rates VALUES (?, ?, ?, 0)
ON CONFLICT (subscription) DO UPDATE SET interval = excluded.interval, burst = excluded.burst
"""


def register(tx: Transaction, subscription: int, binding: Binding) -> None:
    """Note the rate of a subscription, or that it has none."""
    if binding.interval is None:
        forget(tx, subscription)
    else:
        tx.db.execute(_REGISTER, (subscription, binding.interval, binding.burst))


def forget(tx: Transaction, subscription: int) -> None:
    """Forget the rate of a subscription, if it has one."""
    tx.db.execute("DELETE FROM rates WHERE subscription = ?", (subscription,))


def allowed(tx: Transaction, known: Known) -> int:
    """How many may be lent now of a subscription with a rate."""
    assert known.interval is not None, "the caller has looked"
    return may_lend(known.interval, known.burst, _due(tx, known), tx.now)


def attempted(tx: Transaction, known: Known, count: int) -> None:
    """So many more attempts begin, or will be made again, where it has a rate."""
    if known.interval is not None and count:
        due = due_after(known.interval, _due(tx, known), tx.now, count)
        tx.db.execute("UPDATE rates SET due = ? WHERE subscription = ?", (due, known.id))


def next_opening(tx: Transaction, known: Known) -> float:
    """When more of a subscription with a rate may be lent."""
    assert known.interval is not None, "the caller has looked"
    return opens_at(known.interval, known.burst, _due(tx, known))


def _due(tx: Transaction, known: Known) -> float:
    return float(tx.db.execute("SELECT due FROM rates WHERE subscription = ?", (known.id,)).get)

"""Loans: deliveries that a store has lent to this process, and their way back.

Units: seconds.
"""

from typing import Protocol

import attrs

from .delivery import Delivery, LongDelivery
from .outcomes import Outcome
from .receipt import Receipt


class LentDelivery(LongDelivery, eq=False):
    """A delivery out of a store.

    Attributes:
        losses: How often it was lost with the process that had it.
    """

    losses: int = 0


@attrs.frozen
class Grave:
    """Why a delivery was given up on, for the dead letter that its store will keep."""

    reason: str
    error: Exception | None
    attempts: int


class Desk(Protocol):
    """Where loans go back to."""

    def settled(self, loan: "LoanReceipt", outcome: Outcome) -> None:
        """It is over."""
        ...

    def returned(self, loan: "LoanReceipt", attempts: int) -> None:
        """It was not handled, after so many failed attempts."""
        ...

    def retrying(self, loan: "LoanReceipt", attempts: int, wait: float) -> None:
        """One more attempt has failed; the next one begins after `wait` seconds."""
        ...


class LoanReceipt(Receipt, eq=False, kw_only=True):
    """Where the outcome of a lent delivery goes: to its store, and from there to the emitter, wherever that is.

    Attributes:
        token: Of the loan.
        lost: The store has lent it to somebody else meanwhile.
        due: When its next attempt begins, on the loop's clock; 0 unless it waits for one.
        grave: Where it is given up on.
    """

    subscription: str
    token: int
    desk: Desk
    due: float = 0.0
    lost: bool = False
    grave: Grave | None = None

    def settle(self, outcome: Outcome) -> None:
        """The runtime's own: the delivery is over."""
        self.desk.settled(self, outcome)


def is_lost(delivery: Delivery) -> bool:
    """Whether a delivery was lent to this process, and belongs to another one by now: nothing more is done for it."""
    return isinstance(delivery.receipt, LoanReceipt) and delivery.receipt.lost

"""Deliveries: one event on its way to one subscription."""

import msgspec

from .event import Event
from .receipt import Receipt


class Delivery(msgspec.Struct, eq=False):
    """One event for one subscription.

    Attributes:
        event: What is delivered.
        receipt: Where the outcome goes.
        attempt: The number of the attempt that is next or running, from 1.
        seconds: Spent in the handler by earlier attempts.
    """

    event: Event
    receipt: Receipt
    attempt: int = 1
    seconds: float = 0.0

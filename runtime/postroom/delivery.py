"""Deliveries: one event on its way to one subscription."""

import math

import msgspec

from .event import Event
from .receipt import Receipt


class Delivery(msgspec.Struct, eq=False):
    """One event for one subscription.

    Attributes:
        event: What is delivered.
        receipt: Where the outcome goes.
        since: When it came, or came again, to its mailbox; on the kernel's stopwatch.
        attempt: The number of the attempt that is next or running, from 1.
        seconds: Spent in the handler by earlier attempts.
        expires_at: When it is too late for another attempt; on the kernel's stopwatch.
    """

    event: Event
    receipt: Receipt
    since: float
    attempt: int = 1
    seconds: float = 0.0
    expires_at: float = math.inf

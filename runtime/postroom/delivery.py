"""Deliveries: one event on its way to one subscription."""

import math
from typing import ClassVar, Final

import attrs
import msgspec

from .event import Event
from .log import NO_FIELDS, Fields
from .receipt import Receipt


class Delivery(msgspec.Struct, eq=False, gc=False):
    """One event for one subscription, the way nearly all go: one attempt, no expiry.

    The garbage collector is not told of them: looking at each of thousands that wait was 7 % of an emit. So none may
    stand in a cycle. The one way into one is an error, in an outcome or a dead letter, whose traceback knows the frames
    that knew the delivery. Hence a delivery lets its receipt go when it settles, and one that fails goes on as a long
    one.

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
    attempt: ClassVar[int] = 1
    seconds: ClassVar[float] = 0.0
    expires_at: ClassVar[float] = math.inf


class LongDelivery(Delivery, eq=False, gc=True):
    """A delivery with a history, or an expiry. Apart, since mailboxes may hold very many of the other ones.

    The garbage collector knows these.

    Attributes:
        counted: It has caused a restart of its actor, which counts once.
    """

    attempt: int = 1  # type: ignore[misc]  # each instance has its own, which a reader of either class can't tell
    seconds: float = 0.0  # type: ignore[misc]
    expires_at: float = math.inf  # type: ignore[misc]
    counted: bool = False


LET_GO: Final = Receipt(Event("let-go"), ())
"""In the place of the receipt of a delivery that is done with."""


def let_go(delivery: Delivery) -> Receipt:
    """The receipt of a delivery that settles now, and has none from then on."""
    receipt, delivery.receipt = delivery.receipt, LET_GO
    return receipt


def as_long(delivery: Delivery) -> LongDelivery:
    """`delivery` in the form that can be written to; the other form is not to be used any more."""
    if isinstance(delivery, LongDelivery):
        return delivery
    long = LongDelivery(delivery.event, delivery.receipt, delivery.since)
    delivery.receipt = LET_GO
    return long


def deliveries_in(message: object) -> list[Delivery]:
    """What a worker has in hand, whether one at a time or a batch."""
    if isinstance(message, Delivery):
        return [message]
    return message if isinstance(message, list) else []


def fields_of(message: object, subscription: str, attempt: int | None = None) -> Fields:
    """What a log record says of what a worker has in hand; of a batch of several only whose it is."""
    deliveries = deliveries_in(message)
    if len(deliveries) != 1:
        return attrs.evolve(NO_FIELDS, subscription=subscription)
    event = deliveries[0].event
    return Fields(
        event_id=event.id,
        event_name=event.name,
        subscription=subscription,
        attempt=deliveries[0].attempt if attempt is None else attempt,
        cause=event.cause,
    )

"""What a store is given: events and subscriptions as it takes them."""

from typing import Any

from ..codec import digest_of, encode_event
from ..contract import Binding, StoredEvent
from ..event import HEAD_STARTS, Event
from ..subscriber import Subscriber


def stored_event(event: Event, given: Event | None, require: bool) -> StoredEvent:
    """An event as a store takes it; `given` as its user gave it, where the user chose its id.

    Raises:
        NotPortable, BackoffNotPortable: it can't be stored.
    """
    return StoredEvent(
        event.id,
        event.name,
        encode_event(event),
        None if given is None else digest_of(given),
        event.key,
        HEAD_STARTS[event.priority],
        event.delay or 0.0,
        require,
    )


def binding_of(subscriber: Subscriber[..., Any]) -> Binding:
    """A subscriber as a store knows it. Where it drops, its backlog is bounded as its mailbox would be."""
    backlog = subscriber.backlog
    if backlog is None and subscriber.overflow != "wait":
        backlog = subscriber.capacity
    rate = subscriber.rate
    interval, burst = (None, 1) if rate is None else (rate.per / rate.attempts, rate.burst)
    return Binding(subscriber.name, subscriber.patterns, backlog, subscriber.overflow, interval, burst)

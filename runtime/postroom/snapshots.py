"""Snapshots: the whole state of a runtime at one moment, as plain values.

They are read from the counters that the kernel keeps anyway, so that no event pays for them, and are made of attrs
classes, numbers and texts alone: `msgspec.json.encode(runtime.snapshot())` is JSON.

Units: seconds; rates are counts for each second.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from postroom_actors import Actor, Every, Hand, Need

from .behaviour import SubscriptionBehaviour
from .delivery import deliveries_in
from .errors import InvalidOption
from .stats import RuntimeStats, SubscriptionStats


@attrs.frozen(kw_only=True)
class MailboxSnapshot:
    """A mailbox at one moment.

    Attributes:
        length: Deliveries in it.
        in_line: Deliveries that wait for room in it.
        capacity: What it holds.
        high_water_mark: The most that it ever held.
        overflow: What happens to an event that finds it full.
    """

    length: int
    in_line: int
    capacity: int
    high_water_mark: int
    overflow: str


@attrs.frozen(kw_only=True)
class InHand:
    """A delivery that a handler has now.

    Attributes:
        seconds: For how long.
        waits_for: What the handler waits for that other subscriptions must do, such as room in a mailbox; empty where
            it waits for nothing of that kind.
        waits_on: The subscriptions that it waits for.
    """

    event_id: str
    event_name: str
    key: str | None
    attempt: int
    seconds: float
    waits_for: str
    waits_on: tuple[str, ...]


@attrs.frozen(kw_only=True)
class SubscriptionSnapshot:
    """A subscription at one moment.

    Attributes:
        leaving: Why no new events are routed to it; None while they are.
        age: How long it has been at work.
        in_hand: What its handler has now, one for each delivery.
        scheduled: Its deliveries that are delayed or wait for their next attempt, or for room to do so.
        failure: The class of what it was last restarted or stopped for by its supervision; None where it never was.
        stats: Its counters, of which `stuck` and `pending` are of this moment; `stats.restarts` counts fresh instances.
    """

    name: str
    patterns: tuple[str, ...]
    concurrency: int
    leaving: str | None
    age: float
    mailbox: MailboxSnapshot
    in_hand: tuple[InHand, ...]
    scheduled: int
    failure: str | None
    stats: SubscriptionStats


@attrs.frozen(kw_only=True)
class DeadLettersSnapshot:
    """The dead letters at one moment, as counts.

    Attributes:
        kept: Letters that are there.
        limit: How many are kept.
        total: Letters ever added.
        evicted: Letters that went to make room.
    """

    kept: int
    limit: int
    total: int
    evicted: int


@attrs.frozen(kw_only=True)
class Rates:
    """What became of deliveries in a time, for each second of it."""

    accepted: float
    succeeded: float
    failed: float
    dropped: float
    retried: float


@attrs.frozen(kw_only=True)
class Snapshot:
    """A runtime at one moment.

    Attributes:
        time: When, in seconds since the epoch.
        stopwatch: When, on a clock of which only differences mean anything.
        state: `not entered yet`, `open`, `draining`, `closed` or `forked`.
        scheduled: Deliveries that are delayed or wait for their next attempt.
        scheduled_in_line: Deliveries that wait until there is room for them to be scheduled.
        stats: The counters of the whole runtime.
        subscriptions: Those at work, in the order in which they came.
    """

    time: float
    stopwatch: float
    state: str
    scheduled: int
    scheduled_in_line: int
    stats: RuntimeStats
    dead_letters: DeadLettersSnapshot
    subscriptions: tuple[SubscriptionSnapshot, ...]

    def of(self, subscription: str) -> SubscriptionSnapshot:
        """One subscription, by name.

        Raises:
            KeyError: it was not at work.
        """
        for each in self.subscriptions:
            if each.name == subscription:
                return each
        raise KeyError(subscription)

    def rates_since(self, earlier: "Snapshot") -> Mapping[str, Rates]:
        """How fast each subscription went since `earlier`, by name; one that came later since it came.

        Raises:
            InvalidOption: that one is not earlier.
        """
        window = self.stopwatch - earlier.stopwatch
        if window <= 0:
            raise InvalidOption("earlier", earlier.time, f"must be a snapshot from before {self.time!r}")
        before = {each.name: each.stats for each in earlier.subscriptions}
        return {
            each.name: _rates(each.stats, before.get(each.name), window)
            if each.age >= window
            else _rates(each.stats, None, max(each.age, 1e-9))
            for each in self.subscriptions
        }

    @property
    def wait_graph(self) -> str:
        """Who waits for whom, one line for each handler that waits; empty where none does."""
        return "\n".join(
            f"{each.name} ({hand.event_name} {hand.event_id}) waits for {hand.waits_for}"
            f", which {_listed(hand.waits_on)} must bring about"
            for each in self.subscriptions
            for hand in each.in_hand
            if hand.waits_for
        )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nobody"


def _rates(now: SubscriptionStats, before: SubscriptionStats | None, window: float) -> Rates:
    counts = {
        field.name: (getattr(now, field.name) - (0 if before is None else getattr(before, field.name))) / window
        for field in attrs.fields(Rates)
    }
    return Rates(**counts)


def snapshot_of(behaviour: SubscriptionBehaviour, stats: SubscriptionStats, now: float) -> SubscriptionSnapshot:
    """One subscription now, on the kernel's stopwatch."""
    subscriber, mailbox = behaviour.subscriber, behaviour.mailbox
    failure = None if behaviour.supervisor is None else behaviour.supervisor.failure
    return SubscriptionSnapshot(
        name=behaviour.name,
        patterns=subscriber.patterns,
        concurrency=subscriber.concurrency,
        leaving=behaviour.leaving,
        age=now - behaviour.started,
        mailbox=MailboxSnapshot(
            length=len(mailbox),
            in_line=len(mailbox.line),
            capacity=mailbox.capacity,
            high_water_mark=mailbox.high_water_mark,
            overflow=mailbox.overflow.value,
        ),
        in_hand=tuple(each for hand in behaviour.actor.hands for each in _in_hand(hand, now)),
        scheduled=behaviour.scheduled + behaviour.scheduled_in_line,
        failure=None if failure is None else type(failure).__name__,
        stats=stats,
    )


def _in_hand(hand: Hand[Any], now: float) -> Iterator[InHand]:
    wait = hand.wait
    waits_on = () if wait is None else tuple(dict.fromkeys(name for need in wait.needs() for name in _names_in(need)))
    for delivery in deliveries_in(hand.message):
        yield InHand(
            event_id=delivery.event.id,
            event_name=delivery.event.name,
            key=delivery.event.key,
            attempt=delivery.attempt,
            seconds=now - hand.since,
            waits_for="" if wait is None else wait.label,
            waits_on=waits_on,
        )


def _names_in(need: Need) -> Iterator[str]:
    """The names of those who can meet a need."""
    match need:
        case Every(needs):
            for each in needs:
                yield from _names_in(each)
        case Actor() | Hand():
            yield need.name if isinstance(need, Actor) else need.actor.name
        case _:
            yield from (hand.actor.name for hand in need)

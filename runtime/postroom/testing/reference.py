"""The reference store: events in memory, kept as a durable module keeps them, for tests and simulations.

What it holds outlives runtimes, not the process; several runtimes in one event loop may have sessions on it at once,
and any of them may be killed. It is written to be obviously right, not fast: other modules are compared with it.

Units: seconds on the event loop's clock, which is virtual in tests.
"""

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, TypeVar, cast

import anyio
import attrs
import msgspec

from postroom.codec import encode_outcome
from postroom.contract import (
    EXPIRED,
    Answer,
    Binding,
    Emit,
    Fetched,
    Letter,
    Loan,
    Notice,
    Published,
    Settlement,
    Step,
    StoredEvent,
    StoredLetter,
    StoredSubscription,
)
from postroom.errors import ConflictingEvent, NoSubscriber, PostroomError
from postroom.names import tokens_of_pattern
from postroom.outcomes import Cancelled, Dropped
from postroom.routes import Routes
from postroom.staging import GroupFull
from postroom.store_errors import BacklogFull

T = TypeVar("T")

LEASE: Final = 15.0
WINDOW: Final = 600.0
MOST_STAGED: Final = 10_000

EPOCH: Final = 1_700_000_000.0
"""What the event loop's time 0 is, in seconds since the epoch."""


@attrs.define(eq=False)
class _Event:
    """An event that was accepted. Kept while a delivery of it is not over, and as long as its id is remembered."""

    stored: StoredEvent
    at: float
    targets: tuple[str, ...]
    watchers: list[str]
    outcomes: dict[str, bytes] = attrs.field(factory=dict)

    @property
    def published(self) -> Published:
        return Published(EPOCH + self.at, self.targets, dict(self.outcomes), self.stored.body)


@attrs.define(eq=False)
class _Delivery:
    """One event for one subscription, until it is over.

    Attributes:
        number: In the order of acceptance.
        due: When it may be lent for the first time.
        not_before: When it may be lent again.
        token, session: Of the loan that it is in.
    """

    number: int
    event: _Event
    subscription: str
    due: float
    not_before: float = 0.0
    token: int | None = None
    session: str | None = None
    attempts: int = 0
    losses: int = 0

    @property
    def place(self) -> tuple[float, int]:
        """Within its key."""
        return (self.due, self.number)

    @property
    def rank(self) -> tuple[float, float, int]:
        return (self.due + self.event.stored.head_start, self.due, self.number)

    @property
    def key(self) -> str | None:
        return self.event.stored.key


@attrs.define(eq=False)
class _Session:
    lease_until: float
    serves: set[str] = attrs.field(factory=set)
    last: tuple[int, object] = (0, None)
    notices: list[tuple[int, Notice]] = attrs.field(factory=list)
    numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))
    mail: bool = False
    room: bool = False
    routes: bool = False
    lost: bool = False
    was_refused_room: bool = False
    changed: anyio.Event = attrs.field(factory=anyio.Event)

    def tell(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


@attrs.define(eq=False)
class _Group:
    expires_at: float
    events: list[tuple[StoredEvent, str]] = attrs.field(factory=list)


@attrs.define(eq=False)
class ReferenceStore:
    """What the sessions share. All methods are plain: one step, which happens as a whole."""

    lease: float = LEASE
    window: float = WINDOW
    sessions: dict[str, _Session] = attrs.field(factory=dict, init=False)
    bindings: dict[str, Binding] = attrs.field(factory=dict, init=False)
    paused: set[str] = attrs.field(factory=set, init=False)
    known: dict[str, _Event] = attrs.field(factory=dict, init=False)
    deliveries: list[_Delivery] = attrs.field(factory=list, init=False)
    dead: dict[str, StoredLetter] = attrs.field(factory=dict, init=False)
    groups: dict[str, _Group] = attrs.field(factory=dict, init=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    # Sessions

    def begin(self, session: str, now: float) -> None:
        """A session begins."""
        self.sessions[session] = _Session(now + self.lease)

    def renew(self, session: str, now: float) -> None:
        """The session is alive; where its lease had run out, it is told so, and gets a new one."""
        self.expire(now)
        own = self.sessions.get(session)
        if own is None:
            self.begin(session, now)
            own = self.sessions[session]
            own.lost = own.routes = True
            own.tell()
        own.lease_until = now + self.lease

    def end(self, session: str, now: float) -> None:
        """The session ends well: what it was lent is available at once."""
        self.reclaim(session, (), now)
        self._forget_session(session)

    def _forget_session(self, session: str) -> None:
        self.sessions.pop(session, None)
        for other in self.sessions.values():
            other.mail = other.routes = True
            other.tell()

    def expire(self, now: float) -> None:
        """Let go of what has had its time: sessions, ids, groups."""
        for name, session in list(self.sessions.items()):
            if session.lease_until <= now:
                for delivery in self.deliveries:
                    if delivery.session == name:
                        delivery.token = delivery.session = None
                        delivery.losses += 1
                self._forget_session(name)
        for group, staged in list(self.groups.items()):
            if staged.expires_at <= now:
                self.clear(group, None, EXPIRED)
        pending = {id(delivery.event) for delivery in self.deliveries}
        for event_id, event in list(self.known.items()):
            if id(event) not in pending and (event.stored.digest is None or event.at + self.window <= now):
                del self.known[event_id]

    # Subscriptions

    def bind(self, session: str, bindings: Sequence[Binding], serve: bool) -> None:
        for binding in bindings:
            self.bindings[binding.name] = binding
            if serve:
                self.sessions[session].serves.add(binding.name)
        self._tell_all(routes=True)

    def leave(self, session: str, names: Collection[str]) -> None:
        self.sessions[session].serves.difference_update(names)
        self._tell_all(routes=True)

    def match(self, name: str) -> tuple[str, ...]:
        """Who subscribes to events of this name."""
        routes: Routes[str] = Routes()
        for binding in self.bindings.values():
            routes.add(tuple(tokens_of_pattern(pattern) for pattern in binding.patterns), binding.name)
        return tuple(routes.match(name))

    # Events

    def publish(self, session: str, number: int, emits: Sequence[Emit], now: float) -> list[Answer]:
        return self._once(session, number, lambda: [self._accept(session, events, now) for events in emits])

    def _accept(self, session: str, events: Emit, now: float, watchers: Sequence[str] = ()) -> Answer:
        if (refusal := self._refusal(session, events)) is not None:
            return refusal
        return [
            self._accept_one(event, watchers[position] if watchers else session, now)
            for position, event in enumerate(events)
        ]

    def _refusal(self, session: str, events: Emit) -> PostroomError | None:
        wanted: dict[str, int] = {}
        for event in events:
            known = self.known.get(event.id)
            if known is not None:
                if known.stored.digest != event.digest:
                    return ConflictingEvent(event.id, "contents")
                continue
            targets = self.match(event.name)
            if event.require and not targets:
                return NoSubscriber(event.name)
            for target in targets:
                wanted[target] = wanted.get(target, 0) + 1
        for target, count in wanted.items():
            binding = self.bindings[target]
            if binding.backlog is not None and binding.overflow in ("wait", "coalesce"):
                waiting = len(self._waiting(target))
                # More than ever fit go in once nothing waits, or they would never.
                if waiting and waiting + count > binding.backlog and not self._coalesces(binding, events):
                    self.sessions[session].was_refused_room = True
                    return BacklogFull(target, binding.backlog)
        return None

    def _accept_one(self, event: StoredEvent, watcher: str, now: float) -> Published:
        known = self.known.get(event.id)
        if known is not None:
            if watcher not in known.watchers:
                known.watchers.append(watcher)
            return known.published
        accepted = _Event(event, now, self.match(event.name), [watcher])
        self.known[event.id] = accepted
        for target in accepted.targets:
            self._enqueue(accepted, target, now)
        return Published(EPOCH + now, accepted.targets, dict(accepted.outcomes))

    def _enqueue(self, event: _Event, target: str, now: float) -> None:
        delivery = _Delivery(next(self._numbers), event, target, now + event.stored.delay)
        binding = self.bindings[target]
        waiting = self._waiting(target)
        if binding.overflow == "coalesce" and binding.backlog is not None and delivery.key is not None:
            same = [each for each in waiting if each.key == delivery.key]
            if same:
                self._drop(same[-1], "a newer one of the same key took its place (overflow: coalesce)")
        elif binding.backlog is not None and len(waiting) >= binding.backlog:
            if binding.overflow == "drop_newest":
                self._drop(delivery, "the backlog was full (overflow: drop_newest)")
                return
            if binding.overflow == "drop_oldest":
                oldest = min(waiting, key=lambda each: each.number)
                self._drop(oldest, "the backlog was full, and a newer one took its place (overflow: drop_oldest)")
        self.deliveries.append(delivery)
        for session in self.sessions.values():
            if target in session.serves:
                session.mail = True
                session.tell()

    def _coalesces(self, binding: Binding, events: Emit) -> bool:
        keys = {each.key for each in self._waiting(binding.name)}
        return binding.overflow == "coalesce" and all(event.key is not None and event.key in keys for event in events)

    def _waiting(self, subscription: str) -> list[_Delivery]:
        return [each for each in self.deliveries if each.subscription == subscription and each.token is None]

    def _drop(self, delivery: _Delivery, reason: str) -> None:
        self._over(delivery, encode_outcome(Dropped(delivery.subscription, reason, delivery.attempts, 0.0)))

    def _over(self, delivery: _Delivery, outcome: bytes, settler: str | None = None) -> None:
        """A delivery has its outcome."""
        if delivery in self.deliveries:
            self.deliveries.remove(delivery)
        delivery.event.outcomes[delivery.subscription] = outcome
        for watcher in delivery.event.watchers:
            if watcher != settler:
                self._notify(watcher, Notice(delivery.event.stored.id, delivery.subscription, outcome))
        self._tell_all(mail=True)
        for session in self.sessions.values():
            if session.was_refused_room:
                session.was_refused_room, session.room = False, True

    # Loans

    def fetch(self, session: str, demand: Mapping[str, int], now: float) -> Fetched:
        loans: list[Loan] = []
        next_due = math.inf
        for name, count in demand.items():
            candidates, due = self._candidates(session, name, now)
            next_due = min(next_due, due)
            for delivery in candidates[:count]:
                delivery.token, delivery.session = next(self._numbers), session
                loans.append(
                    Loan(
                        name,
                        delivery.token,
                        delivery.event.stored.id,
                        delivery.event.stored.body,
                        EPOCH + delivery.event.at,
                        now - delivery.due,
                        delivery.attempts,
                        delivery.losses,
                    )
                )
        return Fetched(loans, None if next_due == math.inf else next_due - now)

    def _candidates(self, session: str, name: str, now: float) -> tuple[list[_Delivery], float]:
        """What may be lent to a session, in order; and when more will be due."""
        own = [each for each in self.deliveries if each.subscription == name]
        next_due = min((t for each in own if (t := max(each.due, each.not_before)) > now), default=math.inf)
        if name in self.paused:
            return [], math.inf
        free: list[_Delivery] = []
        closed: set[str] = set()
        for delivery in sorted((each for each in own if each.due <= now), key=lambda each: each.place):
            if delivery.key in closed:
                continue
            may = delivery.token is None and delivery.not_before <= now
            if may:
                free.append(delivery)
            elif delivery.key is not None and delivery.session != session:
                closed.add(delivery.key)
        # Within a key order beats priority: one that may not go before another one goes behind it.
        ranks: dict[int, tuple[float, float, int]] = {}
        latest: dict[str, tuple[float, float, int]] = {}
        for delivery in free:
            rank = delivery.rank
            if delivery.key is not None:
                rank = latest[delivery.key] = max(rank, latest.get(delivery.key, rank))
            ranks[delivery.number] = rank
        return sorted(free, key=lambda each: (ranks[each.number], each.place)), next_due

    def settle(self, session: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
        return [self._settle_one(session, each, now) for each in settlements]

    def _settle_one(self, session: str, settlement: Settlement, now: float) -> bool:
        delivery = next((each for each in self.deliveries if each.token == settlement.token), None)
        if delivery is None or delivery.session != session:
            return False
        delivery.attempts = settlement.attempts
        match settlement.step:
            case Step.SETTLED:
                if settlement.letter is not None:
                    self._bury(delivery, settlement.letter, now)
                self._over(delivery, settlement.outcome, session)
            case Step.RETURNED:
                delivery.token = delivery.session = None
                delivery.not_before = now + settlement.wait
                self._tell_all(mail=True)
            case Step.RETRYING:
                delivery.not_before = now + settlement.wait
        return True

    def reclaim(self, session: str, holding: Collection[int], now: float) -> None:
        for delivery in self.deliveries:
            if delivery.session == session and delivery.token not in holding:
                delivery.token = delivery.session = None
        self._tell_all(mail=True)

    # Dead letters

    def _bury(self, delivery: _Delivery, letter: Letter, now: float) -> None:
        id = f"{next(self._numbers):012}"
        stored = delivery.event.stored
        self.dead[id] = StoredLetter(
            id, delivery.subscription, stored.id, stored.body, EPOCH + delivery.event.at, letter, EPOCH + now
        )

    def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        found = [
            each
            for each in self.dead.values()
            if subscription in (None, each.subscription) and (after is None or each.id > after)
        ]
        return found[:limit]

    def replay(self, session: str, number: int, id: str, now: float) -> Published | None:
        return self._once(session, number, lambda: self._replay(session, id, now))

    def _replay(self, session: str, id: str, now: float) -> Published | None:
        letter = self.dead.get(id)
        if letter is None or letter.subscription not in self.bindings:
            return None
        del self.dead[id]
        event = StoredEvent(letter.event, "", letter.body)
        again = _Event(event, letter.accepted_at - EPOCH, (letter.subscription,), [session])
        self.deliveries.append(_Delivery(next(self._numbers), again, letter.subscription, now))
        self._tell_all(mail=True)
        return Published(letter.accepted_at, again.targets)

    def discard(self, letters: Collection[str]) -> int:
        return sum(self.dead.pop(id, None) is not None for id in letters)

    # Groups

    def stage(
        self, session: str, group: str, events: Emit, ttl: float | None, now: float
    ) -> list[Published | None] | PostroomError:
        staged = self.groups.get(group)
        elsewhere = {event.id: event for other in self.groups.values() for event, _ in other.events}
        here = {event.id for event, _ in (() if staged is None else staged.events)}
        for event in events:
            known = self.known.get(event.id)
            other = elsewhere.get(event.id) if known is None else known.stored
            if other is not None and other.digest != event.digest:
                return ConflictingEvent(event.id, "contents")
        new = [event for event in events if event.id not in here and event.id not in self.known]
        if len(here) + len(new) > MOST_STAGED:
            return GroupFull(group, MOST_STAGED)
        if new and staged is None:
            staged = self.groups[group] = _Group(math.inf if ttl is None else now + ttl)
        for event in new:
            assert staged is not None
            staged.events.append((event, session))
        return [self.known[event.id].published if event.id in self.known else None for event in events]

    def release(self, session: str, number: int, group: str, now: float) -> tuple[list[str], Answer]:
        return self._once(session, number, lambda: self._release(session, group, now))

    def _release(self, session: str, group: str, now: float) -> tuple[list[str], Answer]:
        staged = self.groups.get(group)
        if staged is None:
            return [], []
        events = [event for event, _ in staged.events]
        watchers = [watcher for _, watcher in staged.events]
        answer = self._accept(session, events, now, watchers)
        if isinstance(answer, list):
            del self.groups[group]
            answer = [
                msgspec.structs.replace(published, body=event.body)
                for event, published in zip(events, answer, strict=True)
            ]
            for event, watcher, published in zip(events, watchers, answer, strict=True):
                if watcher != session:
                    self._notify(watcher, Notice(event.id, published=published))
        return [event.id for event in events], answer

    def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        staged = self.groups.get(group)
        if staged is None:
            return 0
        dropped = [each for each in staged.events if names is None or each[0].name in names]
        staged.events = [each for each in staged.events if each not in dropped]
        if not staged.events:
            del self.groups[group]
        for event, watcher in dropped:
            self._notify(watcher, Notice(event.id, cleared=reason))
        return len(dropped)

    # What operators do

    def listing(self, now: float) -> list[StoredSubscription]:
        found: list[StoredSubscription] = []
        for name, binding in sorted(self.bindings.items()):
            own = [each for each in self.deliveries if each.subscription == name]
            lent = sum(each.token is not None for each in own)
            delayed = sum(each.token is None and max(each.due, each.not_before) > now for each in own)
            dead = sum(each.subscription == name for each in self.dead.values())
            served = tuple(id for id, session in self.sessions.items() if name in session.serves)
            waiting = len(own) - lent - delayed
            found.append(
                StoredSubscription(name, binding.patterns, waiting, delayed, lent, dead, served, name in self.paused)
            )
        return found

    def pause(self, name: str, paused: bool) -> None:
        (self.paused.add if paused else self.paused.discard)(name)
        self._tell_all(mail=True, routes=True)

    def remove(self, name: str) -> int:
        if any(name in session.serves for session in self.sessions.values()) or name not in self.bindings:
            return 0
        del self.bindings[name]
        self.paused.discard(name)
        own = [each for each in self.deliveries if each.subscription == name]
        for delivery in own:
            self._over(delivery, encode_outcome(Cancelled(name, "its subscription was removed", 0, 0.0)))
        self._tell_all(routes=True)
        return len(own)

    # Telling

    def _notify(self, session: str, notice: Notice) -> None:
        own = self.sessions.get(session)
        if own is not None:
            own.notices.append((next(own.numbers), notice))
            own.tell()

    def _tell_all(self, *, mail: bool = False, routes: bool = False) -> None:
        for session in self.sessions.values():
            session.mail, session.routes = session.mail or mail, session.routes or routes
            session.tell()

    def _once(self, session: str, number: int, call: Callable[[], T]) -> T:
        own = self.sessions[session]
        if own.last[0] == number:
            return cast("T", own.last[1])  # the same call as before
        result = call()
        own.last = (number, result)
        return result

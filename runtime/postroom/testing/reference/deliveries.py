"""How the reference store accepts events, lends deliveries and takes them back."""

import math
from collections.abc import Collection, Mapping, Sequence

import attrs

from postroom.codec import encode_outcome
from postroom.contract import (
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
    letter_id,
)
from postroom.errors import ConflictingEvent, NoSubscriber, PostroomError
from postroom.metering import due_after, may_lend, opens_at
from postroom.outcomes import Dropped
from postroom.store_errors import BacklogFull

from .records import EPOCH, KeptDelivery, KeptEvent
from .sessions import Sessions


@attrs.define(eq=False)
class Deliveries(Sessions):
    """From an event that is published to deliveries that are over."""

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
        wanted: dict[str, list[StoredEvent]] = {}
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
                wanted.setdefault(target, []).append(event)
        for target, those in wanted.items():
            binding = self.bindings[target]
            if binding.backlog is not None and binding.overflow in ("wait", "coalesce"):
                waiting = self._waiting(target)
                places = _places_of(those, waiting) if binding.overflow == "coalesce" else len(those)
                # More than ever fit go in once nothing waits, or they would never.
                if places and waiting and len(waiting) + places > binding.backlog:
                    self.sessions[session].was_refused_room = True
                    return BacklogFull(target, binding.backlog)
        return None

    def _accept_one(self, event: StoredEvent, watcher: str, now: float) -> Published:
        known = self.known.get(event.id)
        if known is not None:
            if watcher not in known.watchers:
                known.watchers.append(watcher)
            return known.published
        accepted = KeptEvent(event, now, self.match(event.name), [watcher])
        self.known[event.id] = accepted
        for target in accepted.targets:
            self._enqueue(accepted, target, now)
        return Published(EPOCH + now, accepted.targets, dict(accepted.outcomes))

    def _enqueue(self, event: KeptEvent, target: str, now: float) -> None:
        delivery = KeptDelivery(next(self._numbers), event, target, now + event.stored.delay)
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

    def _waiting(self, subscription: str) -> list[KeptDelivery]:
        return [each for each in self.deliveries if each.subscription == subscription and each.token is None]

    def _drop(self, delivery: KeptDelivery, reason: str) -> None:
        self._over(delivery, encode_outcome(Dropped(delivery.subscription, reason, delivery.attempts, 0.0)))

    def _over(self, delivery: KeptDelivery, outcome: bytes, settler: str | None = None) -> None:
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
            lent, opens = self._metered(name, candidates[:count], count, now)
            next_due = min(next_due, opens)
            for delivery in lent:
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

    def _metered(
        self, name: str, candidates: list[KeptDelivery], asked: int, now: float
    ) -> tuple[list[KeptDelivery], float]:
        """What of it may be lent by the rate; and when more may be, where the rate has cut it short."""
        binding = self.bindings.get(name)
        if binding is None or binding.interval is None or name in self.paused:
            return candidates, math.inf
        allowed = may_lend(binding.interval, binding.burst, self.due.get(name, 0.0), now)
        lent = candidates[:allowed]
        if lent:
            self._attempted(binding, now, len(lent))
        is_short = len(lent) == allowed < asked
        return lent, opens_at(binding.interval, binding.burst, self.due[name]) if is_short else math.inf

    def _attempted(self, binding: Binding, now: float, count: int) -> None:
        if binding.interval is not None:
            self.due[binding.name] = due_after(binding.interval, self.due.get(binding.name, 0.0), now, count)

    def _candidates(self, session: str, name: str, now: float) -> tuple[list[KeptDelivery], float]:
        """What may be lent to a session, in order; and when more will be due."""
        own = [each for each in self.deliveries if each.subscription == name]
        waiting = [each for each in own if each.token is None]
        next_due = min((t for each in waiting if (t := max(each.due, each.not_before)) > now), default=math.inf)
        if name in self.paused:
            return [], math.inf
        free: list[KeptDelivery] = []
        # One session has all of a key that is lent, also where an earlier delivery of it was given back.
        closed = {each.key for each in own if each.key and each.token is not None and each.session != session}
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

    def settle(self, session: str, number: int, settlements: Sequence[Settlement], now: float) -> list[bool]:
        return self._once(
            session, number, lambda: [self._settle_one(session, each, now) for each in settlements], of="settle"
        )

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
                self._attempted(self.bindings[delivery.subscription], now, 1)
                delivery.not_before = now + settlement.wait
        return True

    def reclaim(self, session: str, holding: Collection[int], now: float) -> None:
        returned = [each for each in self.deliveries if each.session == session and each.token not in holding]
        for delivery in returned:
            delivery.token = delivery.session = None
        if returned:  # news in vain would hide that a session has missed real ones
            self._tell_all(mail=True)

    def _bury(self, delivery: KeptDelivery, letter: Letter, now: float) -> None:
        assert delivery.token is not None, "only what is lent is given up on"
        id = letter_id(delivery.token)
        stored = delivery.event.stored
        self.dead[id] = StoredLetter(
            id, delivery.subscription, stored.id, stored.body, EPOCH + delivery.event.at, letter, EPOCH + now
        )


def _places_of(events: Emit, waiting: Sequence[KeptDelivery]) -> int:
    """How many places events take where those of one key take one, and none where one of it waits already."""
    keys = {each.key for each in events if each.key is not None} - {each.key for each in waiting}
    return len(keys) + sum(each.key is None for each in events)

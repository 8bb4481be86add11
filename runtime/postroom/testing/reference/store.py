"""The reference store: events in memory, kept as a durable module keeps them, for tests and simulations.

What it holds outlives runtimes, not the process; several runtimes in one event loop may have sessions on it at once,
and any of them may be killed. It is written to be obviously right, not fast: other modules are compared with it.

Units: seconds on the event loop's clock, which is virtual in tests.
"""

import math
from collections.abc import Collection
from typing import Final, Literal

import attrs
import msgspec

from postroom.codec import encode_outcome
from postroom.contract import (
    EXPIRED,
    Answer,
    Emit,
    Notice,
    Published,
    StagedGroup,
    StoredEvent,
    StoredLetter,
    StoredSubscription,
)
from postroom.errors import ConflictingEvent, PostroomError
from postroom.journal import RunState
from postroom.outcomes import Cancelled
from postroom.store_errors import GroupFull

from .deliveries import Deliveries
from .records import EPOCH, KeptDelivery, KeptEvent, KeptGroup

MOST_STAGED: Final = 10_000


@attrs.define(eq=False)
class ReferenceStore(Deliveries):
    """What the sessions share."""

    # Sessions

    def enter(self, session: str, now: float) -> None:
        """A session is about to do something: let go of what has had its time.

        Where its own lease has run out and nobody has noticed, nobody could write, and all leases go on.
        """
        own = self.sessions.get(session)
        if own is not None and own.lease_until <= now:
            for each in self.sessions.values():
                each.lease_until = max(each.lease_until, now + self.lease)
        self.expire(now)

    def renew(self, session: str, now: float) -> None:
        """The session is alive; where it was taken for dead, it is told so, and gets a new lease."""
        self.enter(session, now)
        own = self.sessions.get(session)
        if own is None:
            self.begin(session, now)
            own = self.sessions[session]
            before = self.lapsed.pop(session, None)
            if before is not None:
                own.notices, own.numbers, own.last = before.notices, before.numbers, before.last
            own.lost, own.routes = next(own.numbers), True
            own.tell()
        own.lease_until = now + self.lease

    def end(self, session: str, now: float) -> None:
        """The session ends well: what it was lent is available at once."""
        self.reclaim(session, (), now)
        self.journal.give_back(session, now, lost=False)
        self._forget_session(session)

    def expire(self, now: float) -> None:
        """Let go of what has had its time: sessions, ids, groups."""
        for name, session in list(self.sessions.items()):
            if session.lease_until <= now:
                for delivery in self.deliveries:
                    if delivery.session == name:
                        delivery.token = delivery.session = None
                        delivery.losses += 1
                self.journal.give_back(name, now, lost=True)
                self._forget_session(name)
                self.lapsed[name] = session
        for group, staged in list(self.groups.items()):
            if staged.expires_at <= now:
                self.clear(group, None, EXPIRED)
        self.journal.expire(now)
        pending = {id(delivery.event) for delivery in self.deliveries}
        for event_id, event in list(self.known.items()):
            if id(event) not in pending and (event.stored.digest is None or event.at + self.window <= now):
                del self.known[event_id]

    # Dead letters

    def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        found = [
            each
            for each in sorted(self.dead.values(), key=lambda each: each.id)
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
        kept = letter.letter
        event = StoredEvent(letter.event, "", letter.body, key=kept.key, head_start=kept.head_start)
        again = KeptEvent(event, letter.accepted_at - EPOCH, (letter.subscription,), [session])
        self.deliveries.append(KeptDelivery(next(self._numbers), again, letter.subscription, now))
        self._tell_all(mail=True)
        return Published(letter.accepted_at, again.targets)

    def discard(self, letters: Collection[str]) -> int:
        return sum(self.dead.pop(id, None) is not None for id in letters)

    # Workflows

    def conclude(
        self,
        session: str,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None,
        now: float,
    ) -> "Answer | Literal[False] | None":
        """A run is concluded, and its events are accepted, in one step."""
        accept = lambda accepted: self._accept(session, accepted, now)  # noqa: E731 - reads as what it is
        return self.journal.conclude(session, token, state, result, events, keep, unless, accept, now)

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
            staged = self.groups[group] = KeptGroup(math.inf if ttl is None else now + ttl)
        for event in new:
            assert staged is not None
            staged.events.append((event, session))
        for event in events:
            known = self.known.get(event.id)
            if known is not None and session not in known.watchers:
                known.watchers.append(session)
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

    def staged(self, limit: int, now: float) -> list[StagedGroup]:
        found = sorted(self.groups.items(), key=lambda each: (each[1].expires_at, each[0]))
        left = [(id, group, group.expires_at - now) for id, group in found[:limit]]
        return [StagedGroup(id, len(group.events), None if left == math.inf else left) for id, group, left in left]

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
        self.due.pop(name, None)
        own = [each for each in self.deliveries if each.subscription == name]
        for delivery in own:
            self._over(delivery, encode_outcome(Cancelled(name, "its subscription was removed", 0, 0.0)))
        self._tell_all(routes=True)
        return len(own)

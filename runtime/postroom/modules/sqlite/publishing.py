"""Accepting events: who gets them, whether there is room, and their rows.

Rows are gathered and written by many; before anything is read that they may change, they are written.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

import attrs
import msgspec

from postroom.codec import encode_outcome
from postroom.contract import Answer, Emit, Published, StoredEvent
from postroom.errors import ConflictingEvent, NoSubscriber, PostroomError
from postroom.outcomes import Dropped
from postroom.store_errors import BacklogFull

from .endings import Ending, finish, forget, retire
from .line import INSERT, refresh_key
from .registry import Known, Match
from .schema import BEHIND, DELAYED, IN_LINE
from .transaction import Newcomers, Transaction

_EVENT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)"
_RECORD: Final = "INSERT INTO records VALUES (?, ?, ?, NULL, ?, ?, ?)"

_FIND: Final = """
SELECT event, digest, pending, at, targets, accepted_at FROM records JOIN events ON number = event
WHERE records.id = ? AND digest IS NOT NULL
"""

_HAS_KEY: Final = "SELECT 1 FROM waiting WHERE subscription = ? AND key = ? LIMIT 1"
_HAS_KEY_DUE: Final = """
SELECT 1 FROM waiting WHERE subscription = ?1 AND key = ?2 AND state IN (0, 1)
UNION ALL
SELECT 1 FROM waiting WHERE subscription = ?1 AND key = ?2 AND state = 2 AND due <= ?3
LIMIT 1
"""

_REMOVE: Final = "DELETE FROM waiting WHERE subscription = ? AND state = ? AND sort = ? AND due = ? AND event = ?"
_OLDEST: Final = """
SELECT state, sort, due, event, key, attempts FROM waiting
WHERE subscription = ? AND droppable = 1 ORDER BY event LIMIT 1
"""
_NEWEST_OF_KEY: Final = """
SELECT state, sort, due, event, key, attempts FROM waiting
WHERE subscription = ? AND key = ? AND droppable = 2 ORDER BY event DESC LIMIT 1
"""

COALESCED: Final = "a newer one of the same key took its place (overflow: coalesce)"
NEWEST: Final = "the backlog was full (overflow: drop_newest)"
OLDEST: Final = "the backlog was full, and a newer one took its place (overflow: drop_oldest)"


_NONE: Final[dict[str, bytes]] = {}
"""No outcomes yet; never changed."""


_NO_RUN: Final = Newcomers(0, 0.0, 0, -1)
"""Which no event goes on; never changed."""


class _Found(NamedTuple):
    """An event that was accepted before."""

    event: int
    digest: bytes
    pending: int
    at: float
    targets: str
    accepted_at: float


def publish(tx: Transaction, number: int, emits: Sequence[Emit]) -> list[Answer]:
    """See the contract."""
    return tx.once(number, lambda: accept_all(tx, emits, knows=tx.session))


def accept_all(tx: Transaction, emits: Sequence[Emit], knows: int | None = None) -> list[Answer]:
    """Accept several emits, each as a whole or not at all; the session that `knows` needs no news of mail."""
    intake = Intake(tx, knows=knows)
    answers = [intake.accept(events) for events in emits]
    intake.write()
    return answers


@attrs.define(eq=False)
class Intake:
    """What is accepted in one step, on its way into the tables."""

    tx: Transaction
    _knows: int | None = attrs.field(default=None, alias="knows")  # told by the answer, so it needs no news of mail
    wall: float = attrs.field(init=False)
    _events: list[tuple[object, ...]] = attrs.field(factory=list, init=False)
    _waiting: list[tuple[object, ...]] = attrs.field(factory=list, init=False)
    _runs: list[Newcomers] = attrs.field(factory=list, init=False)
    _run: Newcomers = attrs.field(init=False)  # the last of them
    _keys: set[tuple[int, str]] = attrs.field(factory=set, init=False)
    _mail: set[int] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.wall = self.tx.clock.wall()
        self._run = _NO_RUN

    def accept(self, events: Emit, watchers: Sequence[int] | None = None) -> Answer:
        """Accept events together, or say why not.

        Args:
            watchers: Sessions that are told of the outcomes; None for the own one.
        """
        refusal = self._refusal(events)
        if refusal is not None:
            return refusal
        is_brief = self.tx.terms.keep is None
        same: dict[str, tuple[Match, Published]] = {}
        answer: list[Published] = []
        for position, event in enumerate(events):
            watcher = self.tx.session if watchers is None else watchers[position]
            if event.digest is not None and (found := self._find(event.id)) is not None:
                answer.append(self._again(found, watcher))
                continue
            known = same.get(event.name)
            if known is None:
                match = self.tx.registry.match(event.name)
                known = same[event.name] = match, Published(self.wall, match.names)
            match, published = known
            if is_brief and match.alone is not None and event.digest is None and event.key is None and event.delay <= 0:
                self._accept_plain(event, match.alone, watcher)
                answer.append(published)
                continue
            outcomes = self._accept_one(event, match, watcher)
            answer.append(Published(self.wall, match.names, outcomes) if outcomes else published)
        return answer

    def accepted_before(self, event: StoredEvent, watcher: int) -> Published | ConflictingEvent | None:
        """What became of an event, where it was accepted before under this id; `watcher` is told what follows."""
        found = None if event.digest is None else self._find(event.id)
        if found is None:
            return None
        return self._again(found, watcher) if found.digest == event.digest else ConflictingEvent(event.id, "contents")

    def write(self) -> None:
        """Write what was gathered."""
        db = self.tx.db
        if self._events:
            db.executemany(_EVENT, self._events)
            self._events.clear()
        if self._runs:
            self.tx.newcomers += self._runs
            self._runs.clear()
            self._run = _NO_RUN
        if self._waiting:
            db.executemany(INSERT, self._waiting)
            self._waiting.clear()
            self._keys.clear()
        for subscription in self._mail:
            self.tx.mail_for(subscription, but=self._knows)
        self._mail.clear()

    # Refusals

    def _refusal(self, events: Emit) -> PostroomError | None:
        registry = self.tx.registry
        wanted: dict[Known, list[StoredEvent]] = {}
        last: tuple[str, Match] | None = None
        for event in events:
            if event.digest is not None and (found := self._find(event.id)) is not None:
                if found.digest != event.digest:
                    return ConflictingEvent(event.id, "contents")
                continue
            if last is None or last[0] != event.name:
                last = event.name, registry.match(event.name)
            match = last[1]
            if event.require and not match.targets:
                return NoSubscriber(event.name)
            for target in match.bounded:
                wanted.setdefault(target, []).append(event)
        for target, those in wanted.items():
            if target.overflow in ("wait", "coalesce") and not self._has_room(target, those):
                self.tx.db.execute("UPDATE sessions SET refused = 1 WHERE id = ?", (self.tx.session,))
                return BacklogFull(target.name, cast("int", target.bounded))
        return None

    def _has_room(self, target: Known, events: Emit) -> bool:
        self.write()
        waiting = self.tx.waiting(target.id)
        if not waiting:  # more than ever fit go in once nothing waits, or they would never
            return True
        places = self._places_of(target, events) if target.overflow == "coalesce" else len(events)
        return not places or waiting + places <= cast("int", target.bounded)

    def _places_of(self, target: Known, events: Emit) -> int:
        """How many places events take where those of one key take one, and none where one of it waits already."""
        db = self.tx.db
        keys = {each.key for each in events if each.key is not None}
        unkeyed = sum(each.key is None for each in events)
        return unkeyed + sum(not db.execute(_HAS_KEY, (target.id, key)).get for key in keys)

    def _find(self, id: str) -> _Found | None:
        self.write()
        row = self.tx.db.execute(_FIND, (id,)).fetchone()
        if row is None:
            return None
        found = _Found(*cast("Any", row))
        is_remembered = found.pending > 0 or found.at + self.tx.terms.window > self.tx.now
        return found if is_remembered else None

    # Rows

    def _again(self, found: _Found, watcher: int) -> Published:
        """An event that was accepted before."""
        db = self.tx.db
        body, first = cast("Any", db.execute("SELECT body, watcher FROM events WHERE number = ?", (found.event,)).get)
        if watcher != first:
            db.execute("INSERT OR IGNORE INTO watchers VALUES (?, ?)", (found.event, watcher))
        outcomes = dict(
            cast("Any", db.execute("SELECT subscription, outcome FROM outcomes WHERE event = ?", (found.event,)))
        )
        names = msgspec.json.decode(found.targets, type=tuple[str, ...])
        return Published(found.accepted_at, names, outcomes, body)

    def _accept_one(self, event: StoredEvent, match: Match, watcher: int) -> dict[str, bytes]:
        """Returns the outcomes that there are already."""
        tx, targets = self.tx, match.targets
        is_plain = len(targets) == 1 and event.digest is None and tx.terms.keep is None
        if not targets and event.digest is None and tx.terms.keep is None:
            return _NONE
        number = tx.next_number()
        self._events.append((number, int(is_plain), watcher, self.wall, event.id, event.body))
        if not is_plain:
            self._record(number, event, match)
        if is_plain and not match.bounded:
            self._enqueue(targets[0], event, number)
            return _NONE
        outcomes: dict[str, bytes] = {}
        for target in targets:
            if target.bounded is not None and (dropped := self._make_room(target, event, number)) is not None:
                outcomes[target.name] = dropped
                continue
            self._enqueue(target, event, number)
        return outcomes

    def _accept_plain(self, event: StoredEvent, target: Known, watcher: int) -> None:
        """As `_accept_one`, of what most events are."""
        number = self.tx.next_number()
        self._events.append((number, 1, watcher, self.wall, event.id, event.body))
        run, head_start = self._run, event.head_start
        if run.last == number - 1 and run.target == target.id and run.head_start == head_start:
            run.last = number
            return
        self._run = run = Newcomers(target.id, head_start, number, number)
        self._runs.append(run)
        self._mail.add(target.id)

    def _record(self, number: int, event: StoredEvent, match: Match) -> None:
        tx = self.tx
        if event.digest is not None:
            # One whose id is not remembered any more may still be there.
            old = tx.db.execute(
                "UPDATE records SET digest = NULL WHERE id = ? AND digest IS NOT NULL RETURNING event, forget_at",
                (event.id,),
            ).fetchone()
            if old is not None and (old[1] is None or cast("float", old[1]) <= tx.now):
                forget(tx, cast("int", old[0]))
        names = msgspec.json.encode(match.names).decode()
        tx.db.execute(_RECORD, (number, len(match.targets), tx.now, names, event.id, event.digest))
        if not match.targets:
            self.write()
            retire(tx, number, tx.now, event.digest)

    def _enqueue(self, target: Known, event: StoredEvent, number: int) -> None:
        tx = self.tx
        now, key = tx.now, event.key
        due = now + event.delay
        if due > now:
            state, sort = DELAYED, due
        elif key is None:
            state, sort = IN_LINE, due + event.head_start
        else:
            is_first = (target.id, key) not in self._keys and not tx.db.execute(_HAS_KEY_DUE, (target.id, key, now)).get
            state, sort = (IN_LINE, due + event.head_start) if is_first else (BEHIND, due)
            self._keys.add((target.id, key))
        self._waiting.append((target.id, state, sort, due, number, event.head_start, key, 0, 0, target.droppable))
        self._mail.add(target.id)
        if target.bounded is not None:
            tx.count_waiting(target.id, 1)

    # Overflow

    def _make_room(self, target: Known, event: StoredEvent, number: int) -> bytes | None:
        """Drop what the overflow says; the outcome of the new one where it is dropped itself."""
        self.write()
        if target.overflow == "coalesce":
            if event.key is not None:
                self._drop(target, self.tx.db.execute(_NEWEST_OF_KEY, (target.id, event.key)).fetchone(), COALESCED)
            return None
        if self.tx.waiting(target.id) < cast("int", target.bounded):
            return None
        if target.overflow == "drop_newest":
            outcome = _dropped(target, NEWEST, 0)
            finish(self.tx, [Ending(number, target.name, outcome)])
            return outcome
        if target.overflow == "drop_oldest":
            self._drop(target, self.tx.db.execute(_OLDEST, (target.id,)).fetchone(), OLDEST)
        return None

    def _drop(self, target: Known, row: Any, reason: str) -> None:
        if row is None:
            return
        state, sort, due, event, key, attempts = row
        self.tx.db.execute(_REMOVE, (target.id, state, sort, due, event))
        self.tx.count_waiting(target.id, -1)
        if key is not None:
            refresh_key(self.tx, target.id, key)
        finish(self.tx, [Ending(event, target.name, _dropped(target, reason, attempts))])


def _dropped(target: Known, reason: str, attempts: int) -> bytes:
    return encode_outcome(Dropped(target.name, reason, attempts, 0.0))

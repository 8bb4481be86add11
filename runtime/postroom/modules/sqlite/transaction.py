"""What the steps of one transaction share: its time, its numbers, the registry, and whom to wake once it is stored.

Everything that is remembered between transactions is here too, so that a rollback can take it back.
"""

from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

import apsw
import attrs

from .registry import Registry, read_registry
from .times import MachineClock

T = TypeVar("T")

LEASE_BITS: Final = 18
"""A token is the number of the loan and, in so many bits, that of the session's lease; so tokens sort by age."""

LEASES: Final = 1 << LEASE_BITS
"""Numbers of leases begin anew after so many; two sessions never have the same one at the same time."""

MOST_REMEMBERED: Final = 32
"""Results of numbered calls that are kept, in case the same call comes again."""

MAIL: Final = 1
ROOM: Final = 2
ROUTES: Final = 4
NOTICES: Final = 8
LOST: Final = 16
EVERYTHING: Final = MAIL | ROOM | ROUTES | NOTICES

_BEGINNING: Final = """
SELECT number, registry, ahead, boot,
    (SELECT lease_until FROM sessions WHERE id = ?1 AND incarnation = ?2 AND over_at IS NULL),
    (SELECT marker FROM sessions WHERE id = ?1),
    min(
        (SELECT ifnull(min(lease_until), 9e99) FROM sessions WHERE over_at IS NULL),
        (SELECT ifnull(min(over_at), 9e99) + ?3 FROM sessions WHERE over_at IS NOT NULL),
        (SELECT ifnull(min(forget_at), 9e99) FROM runs WHERE forget_at IS NOT NULL),
        (SELECT ifnull(min(expires_at), 9e99) FROM groups WHERE expires_at IS NOT NULL),
        (SELECT ifnull(min(forget_at), 9e99) FROM records WHERE forget_at IS NOT NULL)
    )
FROM state
"""

_LINE_UP: Final = """
INSERT INTO waiting SELECT ?, 0, ?, ?, number, ?, NULL, 0, 0, NULL FROM events WHERE number BETWEEN ? AND ?
"""
"""In half of the time that rows of their own take."""

LINGER: Final = 600.0
"""Seconds for which notices are kept for a session that is gone; it may come back."""


@attrs.frozen(kw_only=True)
class Terms:
    """How long things are kept, in seconds.

    Attributes:
        lease: Of a session.
        window: In which the same id is the same event.
        keep: Settled events; None for not at all.
    """

    lease: float
    window: float
    keep: float | None


@attrs.define(eq=False)
class Newcomers:
    """Events with numbers from `first` to `last` that get in line for one subscription behind each other, all alike."""

    target: int
    head_start: float
    first: int
    last: int


@attrs.define(eq=False)
class Transaction:
    """One connection's transactions, one after the other.

    Attributes:
        name, session, incarnation: Of the session: its name, its id in the file, and the number of its lease.
        now: The store's time.
        lease_until: Of the own session; None where it has none.
        overdue: When something in the file will have had its time.
        wakes: What to tell to which sessions.
        lost: The own lease had run out, which nobody has been told yet.
        forgotten_at: When the own session had been forgotten, and began anew; 0 where it never was.
        forgotten: Ids of sessions that were.
        keyed: Subscriptions of which something with a key was lent here.
        newcomers: What was accepted in this transaction and is not in line yet, since it may be lent in it too.
    """

    db: apsw.Connection
    clock: MachineClock
    terms: Terms
    name: str
    session: int = 0
    incarnation: int = 0
    now: float = attrs.field(default=0.0, init=False)
    lease_until: float | None = attrs.field(default=None, init=False)
    overdue: float = attrs.field(default=0.0, init=False)
    wakes: dict[int, int] = attrs.field(factory=dict, init=False)
    lost: bool = attrs.field(default=False, init=False)
    forgotten_at: float = attrs.field(default=0.0, init=False)
    forgotten: list[int] = attrs.field(factory=list, init=False)
    keyed: set[int] = attrs.field(factory=set, init=False)
    newcomers: list[Newcomers] = attrs.field(factory=list, init=False)
    _number: int = attrs.field(default=0, init=False)
    _number_before: int = attrs.field(default=0, init=False)
    _version: int = attrs.field(default=0, init=False)
    _registry: Registry | None = attrs.field(default=None, init=False)
    _waiting: dict[int, int] = attrs.field(factory=dict, init=False)
    _made_room: bool = attrs.field(default=False, init=False)
    _attempt: int = attrs.field(default=0, init=False)
    _attempt_used: bool = attrs.field(default=False, init=False)
    _in_doubt: bool = attrs.field(default=False, init=False)
    _results: dict[Hashable, tuple[int, object]] = attrs.field(factory=dict, init=False)
    _settled: tuple[int, int, list[bool]] | None = attrs.field(default=None, init=False)  # number, attempt, result

    # Its beginning and its end

    def begin(self) -> None:
        """Begin one; waits for its turn."""
        self.db.execute("BEGIN IMMEDIATE")
        self.wakes.clear()
        self.forgotten.clear()
        self.newcomers.clear()
        self._waiting.clear()
        self._made_room = self._attempt_used = False
        row = self.db.execute(_BEGINNING, (self.session, self.incarnation, LINGER)).fetchone()
        assert row is not None
        self._number, self._version, ahead, boot, self.lease_until, marker, self.overdue = cast("Any", row)
        self._number_before = self._number
        if self._registry is not None and self._registry.version != self._version:
            self._registry = None
        if boot == self.clock.boot:
            self.now = self.clock.reading() + ahead
        if self._in_doubt:
            self._in_doubt = False
            if marker != self._attempt:
                self._forget_attempt()
        self._attempt = max(self._attempt, marker or 0) + 1

    def prepare(self) -> None:
        """Write what was gathered; `COMMIT` comes next."""
        self.line_up()
        for subscription, change in self._waiting.items():
            if change:
                self.db.execute("UPDATE subscriptions SET waiting = waiting + ? WHERE id = ?", (change, subscription))
        if self._made_room:
            for (session,) in self.db.execute("UPDATE sessions SET refused = 0 WHERE refused = 1 RETURNING id"):
                self.wake(session, ROOM)
        if self._attempt_used:
            self.db.execute("UPDATE sessions SET marker = ? WHERE id = ?", (self._attempt, self.session))
        if self._number != self._number_before:
            self.db.execute("UPDATE state SET number = ?, latest = ?", (self._number, self.now))

    def line_up(self) -> None:
        """Let the newcomers get in line: before anything is read or changed there, but by keys."""
        for each in self.newcomers:
            due = self.now
            row = each.target, due + each.head_start, due, each.head_start, each.first, each.last
            self.db.execute(_LINE_UP, row)
        self.newcomers.clear()

    def roll_back(self) -> None:
        """Nothing of it happened."""
        with suppress(apsw.SQLError):  # SQLite has rolled back by itself
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
        self._registry = None
        self._forget_attempt()

    def doubt(self) -> None:
        """Whether it happened is found out at the beginning of the next one."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
        self._registry = None
        self._in_doubt = True

    def _forget_attempt(self) -> None:
        for key in [key for key, (attempt, _) in self._results.items() if attempt == self._attempt]:
            del self._results[key]
        if self._settled is not None and self._settled[1] == self._attempt:
            self._settled = None

    # Calls that must not happen twice

    def once(self, key: Hashable, call: Callable[[], T]) -> T:
        """The result of `call`, or of the same call before."""
        found = self._results.get(key)
        if found is not None:
            return cast("T", found[1])
        result = call()
        self._attempt_used = True
        self._results[key] = (self._attempt, result)
        if len(self._results) > MOST_REMEMBERED:
            del self._results[next(iter(self._results))]
        return result

    def settled_once(self, number: int, call: Callable[[], list[bool]]) -> list[bool]:
        """The result of `call`, which settles; or of the same call before, which no other calls make forgotten."""
        if self._settled is not None and self._settled[0] == number:
            return self._settled[2]
        result = call()
        self._attempt_used = True
        self._settled = (number, self._attempt, result)
        return result

    # Numbers

    def next_number(self) -> int:
        """A number larger than all before."""
        number = self._number
        self._number = number + 1
        return number

    def next_numbers(self, count: int) -> range:
        """So many of them."""
        first = self._number
        self._number = first + count
        return range(first, first + count)

    def next_tokens(self, count: int) -> range:
        """Tokens for so many loans, never used before."""
        numbers = self.next_numbers(count)
        return range(
            numbers.start << LEASE_BITS | self.incarnation,
            numbers.stop << LEASE_BITS | self.incarnation,
            1 << LEASE_BITS,
        )

    def owns(self, token: int) -> bool:
        """Whether a token is of the session's lease."""
        return token & LEASES - 1 == self.incarnation

    # The registry

    @property
    def registry(self) -> Registry:
        if self._registry is None:
            self._registry = read_registry(self.db, self._version)
        return self._registry

    def changed_registry(self) -> None:
        """Who subscribes to what, or who serves it, was changed in the tables; all are told."""
        self.db.execute("UPDATE state SET registry = registry + 1")
        self._version += 1
        before = self._registry
        self._registry = None
        self.wake_all({*self.registry.sessions, *(before.sessions if before else ())}, ROUTES)

    # How many wait, where that is bounded

    def count_waiting(self, subscription: int, change: int) -> None:
        """So many more wait for a subscription with a backlog; fewer, where it is negative."""
        self._waiting[subscription] = self._waiting.get(subscription, 0) + change
        if change < 0:
            self._made_room = True

    def waiting(self, subscription: int) -> int:
        """How many wait for a subscription with a backlog."""
        stored = self.db.execute("SELECT waiting FROM subscriptions WHERE id = ?", (subscription,)).get
        return int(cast("int", stored)) + self._waiting.get(subscription, 0)

    # Whom to wake

    def wake(self, session: int, what: int) -> None:
        """Have a session told something once this is stored."""
        self.wakes[session] = self.wakes.get(session, 0) | what

    def wake_all(self, sessions: Iterable[int], what: int) -> None:
        """Have several told the same."""
        for session in sessions:
            self.wakes[session] = self.wakes.get(session, 0) | what

    def mail_for(self, subscription: int, *, but: int | None = None) -> None:
        """There is something to fetch for whoever serves this subscription, `but` for one session that knows."""
        self.wake_all((each for each in self.registry.servers.get(subscription, ()) if each != but), MAIL)

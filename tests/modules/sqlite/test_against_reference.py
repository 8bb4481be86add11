"""The same calls in the same order give the same results on the file and on the reference store."""

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from postroom.contract import Binding, Emit, Fetched, Letter, Loan, News, Settlement, Step, StoredEvent
from postroom.modules.sqlite import groups, lending, operating, publishing, settling
from postroom.store_errors import BacklogFull
from postroom.testing.reference import ReferenceStore

from .driver import Driver, HandClock

NAMES = ["order.placed", "order.placed", "stock.low"]
PATTERNS = ["order.*", "order.placed", "**", "stock.low"]
SUBSCRIPTIONS = ["ledger", "mail", "shelf"]
SESSIONS = ["one", "two"]
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
KEYS = [None, "k", "k", "l"]
LETTERS = st.none() | st.builds(
    Letter,
    *map(st.just, ("gave up", "ValueError", "no", "", 2)),
    key=st.sampled_from(KEYS),
    head_start=st.sampled_from([0.0, 5.0, 30.0]),
)

bindings = st.builds(
    Binding,
    st.sampled_from(SUBSCRIPTIONS),
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple),
    st.sampled_from([None, None, None, 1, 3]),
    st.sampled_from(["wait", "drop_oldest", "drop_newest", "coalesce"]),
    st.sampled_from([None, None, 1.0, 10.0]),
    st.integers(1, 3),
)
sessions = st.sampled_from(SESSIONS)
waits = st.sampled_from([0.0, 0.0, 1.0, 5.0])
events = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(KEYS),
    st.sampled_from([0.0, 5.0, 30.0]),
    st.sampled_from([0.0, 0.0, 2.0, 40.0]),
    st.sampled_from([False, False, True]),
    st.sampled_from([None, None, None, ("same", b"1"), ("same", b"1"), ("equal", b"1"), ("same", b"2")]),
)


plain_events = st.tuples(
    st.sampled_from(NAMES), st.none(), st.sampled_from([0.0, 5.0]), st.just(0.0), st.just(False), st.none()
)


class SameAsReference(RuleBasedStateMachine):
    """Runs every call on both."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock(now=100.0)
        self.folder = tempfile.TemporaryDirectory(dir=FAST)
        self.path = Path(self.folder.name) / "events.db"
        self.reference = ReferenceStore()
        self.drivers: dict[str, Driver] = {}
        self.names = {slot: f"{slot} first" for slot in SESSIONS}  # a name is used once
        self.count = 0
        self.number = 0
        self.tokens: dict[int, int] = {}  # the reference's, by the file's
        self.held: dict[str, list[int]] = {}
        self.letter_ids: dict[str, str] = {}
        self.settled: dict[str, Any] = {}  # the last settlement of each session, by its name

    def teardown(self) -> None:
        for driver in self.drivers.values():
            driver.tx.db.close(True)
        self.folder.cleanup()

    @initialize(
        backlog=st.sampled_from([None, 2, 4]),
        overflow=st.sampled_from(["wait", "drop_oldest", "drop_newest", "coalesce"]),
        pattern=st.sampled_from(["**", "stock.low"]),
    )
    def begin(self, backlog: int | None, overflow: str, pattern: str) -> None:
        for slot in SESSIONS:
            self.start(slot)
            bound = [Binding("ledger", ("order.*",)), Binding("mail", (pattern,), backlog, overflow)]
            self.bind(slot, bound, True)

    def start(self, slot: str) -> None:
        self.reference.begin(self.names[slot], self.now)
        self.drivers[slot] = Driver(self.path, self.clock.machine(), self.names[slot])
        self.drivers[slot].tx.db.execute("PRAGMA synchronous = OFF")
        self.held[slot] = []

    @property
    def now(self) -> float:
        return self.clock.now

    def on_reference(self, slot: str, call: Any) -> Any:
        session = self.names[slot]
        self.reference.enter(session, self.now)
        if session not in self.reference.sessions:
            self.reference.renew(session, self.now)
        own = self.reference.sessions[session]
        if own.lease_until - self.now < self.reference.lease * 2 / 3:
            own.lease_until = self.now + self.reference.lease
        return call()

    def both(self, session: str, call: Any, step: Any, *arguments: Any) -> tuple[Any, Any]:
        expected = self.on_reference(session, call)
        return expected, self.drivers[session].run(step, *arguments)

    # Events

    def made(self, drawn: list[Any]) -> Emit:
        made = []
        ids = set()
        for name, key, head_start, delay, require, own in drawn:
            self.count += 1
            id, digest = (f"e{self.count}", None) if own is None else own
            if id in ids:
                continue
            ids.add(id)
            made.append(StoredEvent(id, name, f"body {self.count}".encode(), digest, key, head_start, delay, require))
        return made

    @rule(session=sessions, drawn=st.lists(st.lists(events, min_size=1, max_size=4), min_size=1, max_size=2))
    def publish(self, session: str, drawn: list[list[Any]]) -> None:
        emits = [self.made(each) for each in drawn]
        self.number += 1
        number = self.number
        expected, found = self.both(
            session,
            lambda: self.reference.publish(self.names[session], number, emits, self.now),
            publishing.publish,
            number,
            emits,
        )
        assert [as_answer(each) for each in found] == [as_answer(each) for each in expected]
        if not any(isinstance(each, BacklogFull) for each in expected):
            again = self.drivers[session].run(publishing.publish, number, emits)
            assert again == found

    @rule(
        session=sessions,
        drawn=st.lists(events, min_size=1, max_size=5),
        by=sessions,
        names=st.permutations(SUBSCRIPTIONS),
        count=st.integers(1, 4),
    )
    def publish_and_fetch(self, session: str, drawn: list[Any], by: str, names: list[str], count: int) -> None:
        self.publish(session, [drawn])
        self.fetch(by, names, count)

    @rule(
        session=sessions,
        data=st.data(),
        names=st.permutations(SUBSCRIPTIONS),
        more=st.lists(st.sampled_from(["publish", "fetch", "fetch", "list", "pause", "bind", "remove"]), max_size=4),
    )
    def together(self, session: str, data: st.DataObject, names: list[str], more: list[str]) -> None:
        """Calls that share a commit come out as those that don't."""
        drawn = st.lists(data.draw(st.sampled_from([events, plain_events])), min_size=1, max_size=5)
        with self.drivers[session].together():
            for what in ("publish", "fetch", *more):
                if what == "publish":
                    self.publish(session, [data.draw(drawn)])
                elif what == "fetch":
                    self.fetch(session, names, data.draw(st.integers(1, 6)))
                elif what == "list":
                    expected, found = self.both(
                        session, lambda: self.reference.listing(self.now), operating.subscriptions
                    )
                    assert [as_listed(each) for each in found] == [as_listed(each) for each in expected]
                elif what == "pause":
                    self.pause(session, names[0], data.draw(st.booleans()))
                elif what == "bind":
                    self.bind(session, [data.draw(bindings)], True)
                else:
                    self.remove(session, names[0])

    @rule(session=sessions, names=st.permutations(SUBSCRIPTIONS), count=st.integers(1, 4))
    def fetch_again(self, session: str, names: list[str], count: int) -> None:
        self.fetch(session, names, count)

    @rule(session=sessions, names=st.permutations(SUBSCRIPTIONS), count=st.integers(1, 4))
    def fetch(self, session: str, names: list[str], count: int) -> None:
        demand = dict.fromkeys(names, count)
        expected, found = self.both(
            session, lambda: self.reference.fetch(self.names[session], demand, self.now), lending.fetch, demand
        )
        assert as_fetched(found) == as_fetched(expected)
        for mine, theirs in zip(found.loans, expected.loans, strict=True):
            assert mine.token not in self.tokens
            self.tokens[mine.token] = theirs.token
            self.held[session].append(mine.token)

    @rule(data=st.data(), session=sessions, owner=sessions, count=st.integers(1, 3), only_ends=st.booleans())
    def settle(self, data: st.DataObject, session: str, owner: str, count: int, only_ends: bool) -> None:
        held = self.held[owner]
        if not held:
            return
        mine: list[Settlement] = []
        theirs: list[Settlement] = []
        for token in data.draw(st.lists(st.sampled_from(held), min_size=1, max_size=count)):
            step = Step.SETTLED if only_ends else data.draw(st.sampled_from(list(Step)))
            letter = data.draw(LETTERS)
            attempts, wait = data.draw(st.integers(0, 3)), data.draw(waits)
            if step is not Step.SETTLED:
                letter = None
            for tokens, each in ((mine, token), (theirs, self.tokens[token])):
                tokens.append(Settlement(each, step, b"outcome", letter, attempts, wait))
        self.number += 1
        self.settled[self.names[session]] = self.number, mine, theirs
        self.settle_again(session)
        for slot in SESSIONS:
            self.notices(slot)

    @rule(session=sessions)
    def settle_again(self, session: str) -> None:
        if self.names[session] not in self.settled:
            return
        number, mine, theirs = self.settled[self.names[session]]
        expected, found = self.both(
            session,
            lambda: self.reference.settle(self.names[session], number, theirs, self.now),
            settling.settle,
            number,
            mine,
        )
        assert found == expected

    @rule(session=sessions, chosen=st.lists(st.tuples(st.integers(0, 5), waits), max_size=6))
    def give_back(self, session: str, chosen: list[tuple[int, float]]) -> None:
        held = self.held[session][-6:]
        mine = [Settlement(held[at % len(held)], Step.RETURNED, wait=wait) for at, wait in chosen if held]
        theirs = [msgspec.structs.replace(each, token=self.tokens[each.token]) for each in mine]
        self.number += 1
        self.settled[self.names[session]] = self.number, mine, theirs
        self.settle_again(session)
        self.fetch(session, SUBSCRIPTIONS, 3)

    @rule(data=st.data(), session=sessions, count=st.integers(1, 4))
    def settle_own(self, data: st.DataObject, session: str, count: int) -> None:
        self.settle(data, session, session, count, True)

    @rule(data=st.data(), session=sessions)
    def reclaim(self, data: st.DataObject, session: str) -> None:
        held = self.held[session]
        but = data.draw(st.lists(st.sampled_from(held), max_size=2)) if held else []
        self.both(
            session,
            lambda: self.reference.reclaim(self.names[session], [self.tokens[each] for each in but], self.now),
            settling.reclaim,
            but,
        )

    # Subscriptions

    @rule(session=sessions, data=st.data(), name=st.sampled_from(SUBSCRIPTIONS), what=st.integers(0, 5))
    def operate(self, session: str, data: st.DataObject, name: str, what: int) -> None:
        """What is rare."""
        if what < 2:
            drawn = data.draw(st.lists(bindings, min_size=1, max_size=2))
            self.bind(session, drawn, data.draw(st.booleans()))
        elif what == 2:
            self.leave(session, name)
        elif what == 3:
            self.pause(session, name, data.draw(st.booleans()))
        elif what == 4:
            self.remove(session, name)
        else:
            self.restart(session)

    def bind(self, session: str, drawn: list[Binding], serve: bool) -> None:
        self.both(session, lambda: self.reference.bind(self.names[session], drawn, serve), operating.bind, drawn, serve)

    def leave(self, session: str, name: str) -> None:
        self.both(session, lambda: self.reference.leave(self.names[session], [name]), operating.leave, [name])

    def pause(self, session: str, name: str, paused: bool) -> None:
        if name in self.reference.bindings:
            self.both(session, lambda: self.reference.pause(name, paused), operating.pause, name, paused)

    def remove(self, session: str, name: str) -> None:
        expected, found = self.both(session, lambda: self.reference.remove(name), operating.remove, name)
        assert found == expected

    # Groups

    @rule(
        session=sessions,
        group=st.sampled_from("gh"),
        drawn=st.lists(events, min_size=1, max_size=3),
        ttl=st.sampled_from([None, 3.0, 50.0]),
    )
    def stage(self, session: str, group: str, drawn: list[Any], ttl: float | None) -> None:
        staged = self.made(drawn)
        expected, found = self.both(
            session,
            lambda: self.reference.stage(self.names[session], group, staged, ttl, self.now),
            groups.stage,
            group,
            staged,
            ttl,
        )
        assert as_answer(found) == as_answer(expected)
        if isinstance(expected, list) and expected == [None] * len(expected):
            again = self.both(
                session,
                lambda: self.reference.stage(self.names[session], group, staged, ttl, self.now),
                groups.stage,
                group,
                staged,
                ttl,
            )
            assert again == (expected, expected)

    @rule(session=sessions, group=st.sampled_from("gh"))
    def release(self, session: str, group: str) -> None:
        self.number += 1
        number = self.number
        (expected_ids, expected), (ids, found) = self.both(
            session,
            lambda: self.reference.release(self.names[session], number, group, self.now),
            groups.release,
            number,
            group,
        )
        assert ids == expected_ids
        assert as_answer(found) == as_answer(expected)
        for slot in SESSIONS:
            self.notices(slot)

    @rule(session=sessions, group=st.sampled_from("gh"), names=st.sampled_from([None, NAMES[:1], NAMES[2:]]))
    def clear(self, session: str, group: str, names: list[str] | None) -> None:
        expected, found = self.both(
            session, lambda: self.reference.clear(group, names, "no"), groups.clear, group, names, "no"
        )
        assert found == expected

    # Dead letters

    def letters(self, session: str, subscription: str | None, after: str | None, limit: int) -> Any:
        expected, found = self.both(
            session,
            lambda: self.reference.letters(subscription, None if after is None else self.letter_ids[after], limit),
            operating.letters,
            subscription,
            after,
            limit,
        )
        for mine, theirs in zip(found, expected, strict=True):
            self.letter_ids[mine.id] = theirs.id
            assert (mine.subscription, mine.event, mine.body, mine.accepted_at, mine.letter, mine.time) == (
                theirs.subscription,
                theirs.event,
                theirs.body,
                theirs.accepted_at,
                theirs.letter,
                theirs.time,
            )
        return found

    @rule(session=sessions, name=st.sampled_from([None, *SUBSCRIPTIONS]), limit=st.integers(1, 5), data=st.data())
    def list_letters(self, session: str, name: str | None, limit: int, data: st.DataObject) -> None:
        found = self.letters(session, name, None, limit)
        if found:
            after = data.draw(st.sampled_from(found)).id
            self.letters(session, name, after, limit)

    @rule(session=sessions, data=st.data(), discard=st.booleans())
    def end_letter(self, session: str, data: st.DataObject, discard: bool) -> None:
        found = self.letters(session, None, None, 10)
        if not found:
            return
        id = data.draw(st.sampled_from(found)).id
        theirs = self.letter_ids[id]
        if discard:
            gone = self.both(session, lambda: self.reference.discard([theirs]), operating.discard, [id])
            assert gone == (1, 1)
            return
        self.number += 1
        number = self.number
        expected, again = self.both(
            session,
            lambda: self.reference.replay(self.names[session], number, theirs, self.now),
            operating.replay,
            number,
            id,
        )
        assert again == expected

    # Time, and the ends of sessions

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 16.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(seconds=st.sampled_from([1.0, 8.0, 8.0, 601.0]))
    def wait_and_renew(self, seconds: float) -> None:
        self.clock.now += seconds
        for name in SESSIONS:
            self.both(name, lambda: None, lambda tx: None)

    def restart(self, session: str) -> None:
        """A session ends, and another one begins."""
        self.on_reference(session, lambda: self.reference.end(self.names[session], self.now))
        self.drivers[session].leave()
        self.count += 1
        self.names[session] = f"{session} {self.count}"
        self.start(session)

    @rule(session=sessions)
    def kill(self, session: str) -> None:
        """A session is gone without a word, and another one begins; its lease runs out by itself."""
        self.drivers[session].tx.db.close(True)
        self.count += 1
        self.names[session] = f"{session} {self.count}"
        self.start(session)

    # What there is in the end

    @rule(session=sessions)
    def notices(self, session: str) -> None:
        self.both(session, lambda: None, lambda tx: None)
        own = self.reference.sessions[self.names[session]]
        expected = [notice for _, notice in own.notices]
        own.notices.clear()
        news: News = self.drivers[session].run(operating.notices, 0)
        after: News = self.drivers[session].run(operating.notices, news.number)
        assert not after.notices
        found, wanted = Counter(map(repr, news.notices)), Counter(map(repr, expected))
        assert found == wanted

    @invariant()
    def the_listings_are_the_same(self) -> None:
        if not self.drivers:
            return
        expected, found = self.both("one", lambda: self.reference.listing(self.now), operating.subscriptions)
        assert [as_listed(each) for each in found] == [as_listed(each) for each in expected]

    @invariant()
    def nothing_is_left_over(self) -> None:
        """Events are there as long as something needs them, and one of each key is in line."""
        if not self.drivers:
            return
        db = self.drivers["one"].tx.db
        orphans = """
        SELECT number FROM events WHERE number NOT IN (SELECT event FROM waiting UNION SELECT event FROM lent)
            AND number NOT IN (SELECT event FROM records WHERE forget_at IS NOT NULL)
        UNION ALL SELECT event FROM records WHERE event NOT IN (SELECT number FROM events)
        UNION ALL SELECT event FROM outcomes WHERE event NOT IN (SELECT number FROM events)
        UNION ALL SELECT event FROM watchers WHERE event NOT IN (SELECT number FROM events)
        UNION ALL SELECT event FROM records r WHERE pending <> (SELECT count(*) FROM waiting w WHERE w.event = r.event)
            + (SELECT count(*) FROM lent l WHERE l.event = r.event)
        UNION ALL SELECT count(*) FROM waiting WHERE key IS NOT NULL AND state = 0
            GROUP BY subscription, key HAVING count(*) > 1
        """
        assert db.execute(orphans).fetchall() == []
        self.both("one", lambda: None, lambda tx: None)
        assert db.execute("SELECT event FROM records WHERE forget_at <= ?", (self.drivers["one"].tx.now,)).get is None
        bounded = "SELECT name, waiting, (SELECT count(*) FROM waiting WHERE subscription = s.id) FROM subscriptions s"
        assert [row for row in db.execute(bounded + " WHERE backlog IS NOT NULL") if row[1] != row[2]] == []


def as_answer(answer: Any) -> Any:
    if not isinstance(answer, list):
        return type(answer), str(answer)
    return [
        None if each is None else (each.accepted_at, each.targets, dict(each.outcomes), each.body) for each in answer
    ]


def as_fetched(fetched: Fetched) -> Any:
    due = None if fetched.next_due is None else round(fetched.next_due, 3)
    return [as_loan(each) for each in fetched.loans], due


def as_loan(loan: Loan) -> Any:
    return loan.subscription, loan.id, loan.body, loan.accepted_at, loan.age, loan.attempts, loan.losses


def as_listed(each: Any) -> Any:
    return (
        each.name,
        each.patterns,
        each.waiting,
        each.delayed,
        each.lent,
        each.dead,
        sorted(each.served_by),
        each.paused,
    )


TestSameAsReference = pytest.mark.slow(SameAsReference.TestCase)
TestSameAsReference.settings = settings(
    max_examples=100, stateful_step_count=40, phases=(Phase.generate, Phase.shrink), report_multiple_bugs=False
)

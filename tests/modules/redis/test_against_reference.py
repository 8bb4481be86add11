"""The same calls in the same order give the same results on a Redis server and on the reference store."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from postroom.codec import decode_outcome
from postroom.contract import Binding, Emit, Fetched, Letter, Loan, Notice, Settlement, Step, StoredEvent
from postroom.modules.redis import scripts, wire
from postroom.store_errors import BacklogFull
from postroom.testing.reference import ReferenceStore
from postroom.testing.reference.records import EPOCH
from tests.servers.redis import RedisServer, Wire

from .driver import Driver, done, settings_of
from .leftovers import leftovers

NAMES = ["order.placed", "order.paid", "stock.low"]
PATTERNS = ["order.*", "order.placed", "**", "stock.low"]
SUBSCRIPTIONS = ["ledger", "mail", "shelf"]
SESSIONS = ["one", "two"]
KEYS = [None, "k", "l|m"]
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
waits = st.sampled_from([0.0, 0.0, 1.0, 20.0])
chosen = st.tuples(st.sampled_from(["same", "equal"]), st.sampled_from([b"\xff1", b"\xff1", b"2"]))
events = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(KEYS),
    st.sampled_from([0.0, 5.0, 30.0]),
    st.sampled_from([0.0, 0.0, 2.0, 40.0]),
    st.booleans(),
    st.one_of(st.none(), chosen),
)

SERVER = RedisServer()


@pytest.fixture(scope="module", autouse=True)
def server() -> Any:
    with SERVER:
        yield SERVER


class Reference(ReferenceStore):
    """The reference, in which a session that comes back serves what it did: it is to hear of its mail."""

    def serve_again(self, session: str, served: set[str]) -> None:
        self.sessions[session].serves |= served & set(self.bindings)


class SameAsReference(RuleBasedStateMachine):
    """Runs every call on both."""

    count = 0  # of all machines: a namespace is used once

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        SameAsReference.count += 1
        self.settings = settings_of(SERVER.url, f"m{self.count}", lambda: EPOCH + self.now)
        self.wire = Wire(SERVER.port).__enter__()
        self.wire.ask("FLUSHALL")
        self.reference = Reference()
        self.drivers: dict[str, Driver] = {}
        self.names = {slot: f"{slot} 0" for slot in SESSIONS}
        self.lapsed: set[str] = set()
        self.served_once: dict[str, set[str]] = {}
        self.events = self.number = 0
        self.tokens: dict[int, int] = {}  # the reference's, by the server's
        self.held: dict[str, list[int]] = {}
        self.letter_ids: dict[str, str] = {}
        self.settled: dict[str, Any] = {}  # the last settlement of each session, by its name

    def teardown(self) -> None:
        self.wire.__exit__()

    @initialize()
    def begin(self) -> None:
        for slot in SESSIONS:
            self.start(slot)

    def start(self, slot: str) -> None:
        self.reference.expire(self.now)
        self.reference.begin(self.names[slot], self.now)
        self.drivers[slot] = Driver(self.wire, self.settings, self.names[slot])
        self.held[slot] = []

    def on_reference(self, slot: str, call: Any) -> Any:
        session = self.names[slot]
        served = {name: set(own.serves) for name, own in self.reference.sessions.items()}
        self.reference.enter(session, self.now)
        for name in served.keys() - self.reference.sessions.keys():
            self.lapsed.add(name)
            self.served_once[name] = served[name]
        if session not in self.reference.sessions:
            self.reference.renew(session, self.now)
            self.reference.serve_again(session, self.served_once.get(session, set()))
        return call()

    def both(self, session: str, call: Any, own: Any) -> tuple[Any, Any]:
        """The results of the reference and of the server."""
        expected = self.on_reference(session, call)
        return expected, own(self.drivers[session])

    # Events

    def made(self, drawn: list[Any]) -> Emit:
        made = []
        ids = set()
        for name, key, head_start, delay, require, own in drawn:
            self.events += 1
            id, digest = (f"e{self.events}", None) if own is None else own
            if id in ids:
                continue
            ids.add(id)
            body = b"body \xff%d" % self.events
            made.append(StoredEvent(id, name, body, digest, key, head_start, delay, require))
        return made

    @rule(session=sessions, drawn=st.lists(st.lists(events, min_size=1, max_size=4), min_size=1, max_size=2))
    def publish(self, session: str, drawn: list[list[Any]]) -> None:
        emits = [self.made(each) for each in drawn]
        self.number += 1
        number = self.number
        expected, found = self.both(
            session,
            lambda: self.reference.publish(self.names[session], number, emits, self.now),
            lambda driver: done(driver.session.publish(number, emits)),
        )
        assert [as_answer(each) for each in found] == [as_answer(each) for each in expected]
        if not any(isinstance(each, BacklogFull) for each in expected):
            again = done(self.drivers[session].session.publish(number, emits))
            assert list(map(as_answer, again)) == list(map(as_answer, found))

    @rule(session=sessions, names=st.permutations(SUBSCRIPTIONS), count=st.integers(1, 4))
    def fetch(self, session: str, names: list[str], count: int) -> None:
        demand = dict.fromkeys(names, count)
        expected, found = self.both(
            session,
            lambda: self.reference.fetch(self.names[session], demand, self.now),
            lambda driver: done(driver.session.fetch(demand)),
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

    @rule(session=sessions)
    def settle_again(self, session: str) -> None:
        if self.names[session] not in self.settled:
            return
        number, mine, theirs = self.settled[self.names[session]]
        expected, found = self.both(
            session,
            lambda: self.reference.settle(self.names[session], number, theirs, self.now),
            lambda driver: done(driver.session.settle(number, mine)),
        )
        assert found == expected

    @rule(data=st.data(), session=sessions)
    def reclaim(self, data: st.DataObject, session: str) -> None:
        held = self.held[session]
        but = data.draw(st.lists(st.sampled_from(held), max_size=2)) if held else []
        self.both(
            session,
            lambda: self.reference.reclaim(self.names[session], [self.tokens[each] for each in but], self.now),
            lambda driver: done(driver.session.reclaim(but)),
        )

    # Subscriptions

    @rule(session=sessions, drawn=st.lists(bindings, min_size=1, max_size=3), serve=st.booleans())
    def bind(self, session: str, drawn: list[Binding], serve: bool) -> None:
        self.both(
            session,
            lambda: self.reference.bind(self.names[session], drawn, serve),
            lambda driver: done(driver.session.bind(drawn, serve=serve)),
        )

    @rule(session=sessions, name=st.sampled_from(SUBSCRIPTIONS))
    def leave(self, session: str, name: str) -> None:
        self.both(
            session,
            lambda: self.reference.leave(self.names[session], [name]),
            lambda driver: done(driver.session.leave([name])),
        )

    @rule(session=sessions, name=st.sampled_from(SUBSCRIPTIONS), paused=st.booleans())
    def pause(self, session: str, name: str, paused: bool) -> None:
        if name in self.reference.bindings:
            self.both(
                session,
                lambda: self.reference.pause(name, paused),
                lambda driver: done(driver.session.pause(name, paused)),
            )

    @rule(session=sessions, name=st.sampled_from(SUBSCRIPTIONS))
    def remove(self, session: str, name: str) -> None:
        expected, found = self.both(
            session, lambda: self.reference.remove(name), lambda driver: done(driver.session.remove(name))
        )
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

        def on_both() -> tuple[Any, Any]:
            return self.both(
                session,
                lambda: self.reference.stage(self.names[session], group, staged, ttl, self.now),
                lambda driver: done(driver.session.stage(group, staged, ttl)),
            )

        expected, found = on_both()
        assert as_answer(found) == as_answer(expected)
        if isinstance(expected, list) and expected == [None] * len(expected):
            assert on_both() == (expected, expected)

    @rule(session=sessions, group=st.sampled_from("gh"))
    def release(self, session: str, group: str) -> None:
        self.number += 1
        number = self.number
        (expected_ids, expected), (ids, found) = self.both(
            session,
            lambda: self.reference.release(self.names[session], number, group, self.now),
            lambda driver: done(driver.session.release(number, group)),
        )
        assert ids == expected_ids
        assert as_answer(found) == as_answer(expected)
        if not isinstance(found, BacklogFull):
            again_ids, again = done(self.drivers[session].session.release(number, group))
            assert (again_ids, as_answer(again)) == (ids, as_answer(found))

    @rule(session=sessions, group=st.sampled_from("gh"), names=st.sampled_from([None, NAMES[:1], NAMES[1:]]))
    def clear(self, session: str, group: str, names: list[str] | None) -> None:
        expected, found = self.both(
            session,
            lambda: self.reference.clear(group, names, "no"),
            lambda driver: done(driver.session.clear(group, names, "no")),
        )
        assert found == expected

    # Dead letters

    def letters(self, session: str, subscription: str | None) -> list[Any]:
        expected, found = self.both(
            session,
            lambda: self.reference.letters(subscription, None, 1000),
            lambda driver: done(driver.session.letters(subscription, None, 1000)),
        )
        ids = {f"{mine:020}": f"{theirs:020}" for mine, theirs in self.tokens.items()}
        theirs = {each.id: each for each in expected}
        assert [each.id for each in found] == sorted(each.id for each in found)
        assert len(found) == len(expected)
        for mine in found:
            self.letter_ids[mine.id] = ids[mine.id]
            other = theirs[ids[mine.id]]
            assert (mine.subscription, mine.event, mine.body, mine.letter) == (
                other.subscription,
                other.event,
                other.body,
                other.letter,
            )
            assert (mine.accepted_at, mine.time) == pytest.approx((other.accepted_at, other.time), abs=1e-6)
        return list(found)

    @rule(session=sessions, name=st.sampled_from([None, *SUBSCRIPTIONS]), limit=st.integers(1, 5), data=st.data())
    def list_letters(self, session: str, name: str | None, limit: int, data: st.DataObject) -> None:
        found = self.letters(session, name)
        if found:
            position = data.draw(st.integers(0, len(found) - 1))
            rest = done(self.drivers[session].session.letters(name, found[position].id, limit))
            assert rest == found[position + 1 : position + 1 + limit]

    @rule(session=sessions, data=st.data(), discard=st.booleans())
    def end_letter(self, session: str, data: st.DataObject, discard: bool) -> None:
        found = self.letters(session, None)
        if not found:
            return
        id = data.draw(st.sampled_from(found)).id
        theirs = self.letter_ids[id]
        if discard:
            gone = self.both(
                session,
                lambda: self.reference.discard([theirs]),
                lambda driver: done(driver.session.discard([id, "none"])),
            )
            assert gone == (1, 1)
            return
        self.number += 1
        number = self.number
        expected, again = self.both(
            session,
            lambda: self.reference.replay(self.names[session], number, theirs, self.now),
            lambda driver: done(driver.session.replay(number, id)),
        )
        assert as_answer([again]) == as_answer([expected])
        assert done(self.drivers[session].session.replay(number, id)) == again

    # Time, and the ends of sessions

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 16.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([1.0, 8.0]))
    def wait_and_renew(self, seconds: float) -> None:
        self.now += seconds
        for slot in SESSIONS:
            self.both(
                slot, lambda slot=slot: self.reference.renew(self.names[slot], self.now), lambda driver: driver.renew()
            )

    @rule(session=sessions)
    def restart(self, session: str) -> None:
        """A session ends, and another one begins."""
        self.on_reference(session, lambda: self.reference.end(self.names[session], self.now))
        self.drivers[session].end()
        self.kill(session)

    @rule(session=sessions)
    def kill(self, session: str) -> None:
        """A session is gone without a word, and another one begins; its lease runs out by itself."""
        self.events += 1
        self.names[session] = f"{session} {self.events}"
        self.start(session)

    # What there is in the end

    @rule(session=sessions)
    def notices(self, session: str) -> None:
        self.both(session, lambda: None, lambda driver: driver.run(scripts.ROUTES))
        own = self.reference.sessions[self.names[session]]
        expected = [notice for _, notice in own.notices]
        own.notices.clear()
        news = wire.news(self.drivers[session].run(scripts.NEWS, 0, self.drivers[session].caller.life))
        after = wire.news(self.drivers[session].run(scripts.NEWS, news.number, self.drivers[session].caller.life))
        assert not after.notices
        found, wanted = Counter(map(as_notice, news.notices)), Counter(map(as_notice, expected))
        if self.names[session] in self.lapsed:  # the reference tells those nothing meanwhile
            assert not wanted - found
        else:
            assert found == wanted, (found - wanted, wanted - found)

    @invariant()
    def the_listings_are_the_same(self) -> None:
        if not self.drivers:
            return
        expected, found = self.both(
            "one", lambda: self.reference.listing(self.now), lambda driver: done(driver.session.subscriptions())
        )
        assert [as_listed(each) for each in found] == [as_listed(each) for each in expected]

    @invariant()
    def nothing_is_left_over(self) -> None:
        """Events are there as long as something needs them, counters are right, and one of each key is in line."""
        assert leftovers(self.wire, self.settings.prefix) == []


def as_answer(answer: Any) -> Any:
    if not isinstance(answer, list):
        return type(answer), str(answer)
    return [
        None
        if each is None
        else (
            round(each.accepted_at, 5),
            each.targets,
            {name: as_outcome(outcome) for name, outcome in each.outcomes.items()},
            each.body,
        )
        for each in answer
    ]


def as_outcome(encoded: bytes) -> str:
    return repr(decode_outcome(encoded)) if encoded.startswith(b"{") else repr(encoded)


def as_notice(notice: Notice) -> str:
    published = None if notice.published is None else as_answer([notice.published])
    return repr((notice.event, notice.subscription, as_outcome(notice.outcome), published, notice.cleared))


def as_fetched(fetched: Fetched) -> Any:
    due = None if fetched.next_due is None else round(fetched.next_due, 3)
    return [as_loan(each) for each in fetched.loans], due


def as_loan(loan: Loan) -> Any:
    times = (round(loan.accepted_at, 5), round(loan.age, 5))
    return loan.subscription, loan.id, loan.body, times, loan.attempts, loan.losses


def as_listed(each: Any) -> Any:
    counts = (each.waiting, each.delayed, each.lent, each.dead)
    return each.name, each.patterns, counts, sorted(each.served_by), each.paused


TestSameAsReference = pytest.mark.slow(SameAsReference.TestCase)
TestSameAsReference.settings = settings(max_examples=60, stateful_step_count=40)


@pytest.fixture
def machine() -> Iterator[SameAsReference]:
    state = SameAsReference()
    state.begin()
    yield state
    state.teardown()


def placed(name: str = "order.placed") -> Any:
    return (name, None, 0.0, 0.0, False, None)


def test_a_listing_counts_what_came_back_in_the_same_step(machine: SameAsReference) -> None:
    machine.bind(drawn=[Binding("ledger", ("order.*",))], serve=False, session="one")
    machine.publish(drawn=[[placed()]], session="one")
    machine.fetch(count=1, names=["ledger"], session="one")
    machine.wait(seconds=16.0)  # longer than a lease
    machine.the_listings_are_the_same()


def test_of_several_full_backlogs_the_first_is_named(machine: SameAsReference) -> None:
    machine.bind(drawn=[Binding("ledger", ("order.*",), 1, "wait")], serve=False, session="one")
    machine.bind(drawn=[Binding("mail", ("**",), 1, "wait")], serve=False, session="one")
    machine.publish(drawn=[[placed()], [placed("stock.low"), placed()]], session="one")

"""The same calls of a journal in the same order, on a module's store and on the reference store."""

from collections import Counter
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from postroom.contract import Binding, Emit, Notice, StoredEvent
from postroom.journal import ASLEEP, OVER, Entry, NewRun, RunLoan, RunState, StoredRun
from postroom.testing.reference import ReferenceStore

SESSIONS = ["one", "two"]
IDS = ["a", "b", "ä"]
WORKFLOWS = ["ship", "ship", "mail"]

sessions = st.sampled_from(SESSIONS)
ids = st.sampled_from(IDS)
waits = st.sampled_from([0.0, 0.0, 1.0, 20.0])
news = st.builds(
    NewRun,
    ids,
    st.sampled_from(WORKFLOWS),
    st.sampled_from([b"", b"\xff input"]),
    st.sampled_from([b"1", b"\xfe2"]),
    st.sampled_from(["", "", "lane"]),
    waits,
    st.sampled_from(["", "", "series"]),
    st.integers(0, 4),
)
entries = st.builds(Entry, st.sampled_from(["step", "signal"]), st.sampled_from("xyz"), st.sampled_from([b"", b"\xff"]))
event_kinds = st.lists(st.sampled_from(["order.placed", "nobody.cares", "needs.somebody"]), max_size=2)


class JournalMachine(RuleBasedStateMachine):
    """Runs every call on both. A subclass has the module's store."""

    now: float

    def __init__(self) -> None:
        super().__init__()
        self.reference = ReferenceStore()
        self.names = {slot: f"{slot} first" for slot in SESSIONS}  # a name is used once
        self.count = self.number = 0
        self.tokens: dict[int, int] = {}  # the reference's, by the module's
        self.held: dict[str, list[RunLoan]] = {}
        self.last_begins: dict[str, tuple[int, NewRun, bool]] = {}
        self.has_begun = False

    # What a subclass has

    def start(self, slot: str) -> None:
        """A session begins, on the module's store; the one before in this slot is gone without a word."""
        raise NotImplementedError

    def end(self, slot: str) -> None:
        """A session ends well, on the module's store."""
        raise NotImplementedError

    def real(self, slot: str, call: str, *arguments: Any) -> Any:
        """A call of the module's journal."""
        raise NotImplementedError

    def renew(self, slot: str) -> None:
        """Keep the lease, on the module's store."""
        raise NotImplementedError

    def bind(self, slot: str, binding: Binding) -> None:
        """Register a subscription, on the module's store."""
        raise NotImplementedError

    def fetch(self, slot: str) -> list[str]:
        """The ids of the events that `ledger` is lent, on the module's store."""
        raise NotImplementedError

    def heard(self, slot: str) -> list[Notice]:
        """What a session is told, once, on the module's store."""
        raise NotImplementedError

    def leftovers(self) -> list[str]:
        """What should not be in the module's store, in words."""
        raise NotImplementedError

    # Both

    def on_reference(self, slot: str, call: Any) -> Any:
        session = self.names[slot]
        self.reference.enter(session, self.now)
        if session not in self.reference.sessions:
            self.reference.renew(session, self.now)
            self.held[slot].clear()
        return call(session)

    def both(self, slot: str, call: str, *arguments: Any, of_token: int | None = None) -> tuple[Any, Any]:
        """The results of the reference and of the module; what the call is about is a token where it is given."""
        theirs: tuple[Any, ...] = () if of_token is None else (self.tokens[of_token],)
        mine: tuple[Any, ...] = () if of_token is None else (of_token,)
        expected = self.on_reference(slot, lambda session: self.theirs(session, call, *theirs, *arguments))
        return expected, self.real(slot, call, *mine, *arguments)

    def theirs(self, session: str, call: str, *arguments: Any) -> Any:
        journal: Any = self.reference.journal
        match call:
            case "conclude":
                token, state, result, events, keep, unless = arguments
                return self.reference.conclude(session, token, state, result, events, keep, unless, self.now)
            case "run":
                return journal.run(session, *arguments, self.now)
            case "runs":
                return journal.listing(*arguments)
            case "forget":
                return journal.forget(*arguments)
            case "signal" | "wake" | "reopen":
                return getattr(journal, call)(*arguments, self.now)
            case "reclaim":
                return journal.give_back(
                    session, self.now, lost=False, holding=[self.tokens[each] for each in arguments[0]]
                )
            case _:
                return getattr(journal, call)(session, *arguments, self.now)

    def lent(self, slot: str, mine: Any, theirs: Any) -> None:
        """Compare loans, or runs, and remember which token is which."""
        assert type(mine) is type(theirs)
        if mine is None:
            return
        if not isinstance(mine, RunLoan):
            assert as_run(mine) == as_run(theirs)
            return
        assert as_run(mine.run) == as_run(theirs.run)
        assert mine.entries == theirs.entries
        if mine.token not in self.tokens:
            self.tokens[mine.token] = theirs.token
            self.held[slot].append(mine)
        assert self.tokens[mine.token] == theirs.token

    # Runs begin and are lent

    @initialize()
    def begin_all(self) -> None:
        for slot in SESSIONS:
            self.reference.begin(self.names[slot], self.now)
            self.held[slot] = []
            self.start(slot)
        binding = Binding("ledger", ("order.*",))
        for slot in SESSIONS:
            self.on_reference(slot, lambda session: self.reference.bind(session, [binding], True))
            self.bind(slot, binding)
        self.has_begun = True

    @rule(slot=sessions, new=news, lend=st.booleans())
    def begin(self, slot: str, new: NewRun, lend: bool) -> None:
        self.number += 1
        self.last_begins[slot] = (self.number, new, lend)
        expected, found = self.both(slot, "begin", self.number, new, lend)
        self.lent(slot, found, expected)

    @rule(slot=sessions)
    def begin_again(self, slot: str) -> None:
        if slot in self.last_begins:
            expected, found = self.both(slot, "begin", *self.last_begins[slot])
            self.lent(slot, found, expected)

    @rule(slot=sessions, ship=st.integers(0, 3), mail=st.integers(0, 2))
    def take(self, slot: str, ship: int, mail: int) -> None:
        expected, found = self.both(slot, "take", {"ship": ship, "none": 3, "mail": mail})
        assert [loan.run.id for loan in found.loans] == [loan.run.id for loan in expected.loans]
        for mine, theirs in zip(found.loans, expected.loans, strict=True):
            self.lent(slot, mine, theirs)
        assert (found.next_due is None) == (expected.next_due is None)
        if found.next_due is not None:
            assert abs(found.next_due - expected.next_due) < 0.001

    # What is done with a loan

    def some(self, data: st.DataObject, owner: str) -> int | None:
        """A token of a session; mostly one that is worth something."""
        held = [loan.token for loan in self.held[owner]]
        runs = {run.token for run in self.reference.journal.runs.values() if run.owner is not None}
        live = [token for token in held if self.tokens[token] in runs]
        some = (live or held) if data.draw(st.integers(0, 4)) else held[-4:]
        return data.draw(st.sampled_from(some)) if some else None

    @rule(
        data=st.data(),
        slot=sessions,
        owner=sessions,
        written=st.lists(entries, max_size=3),
        state=st.sampled_from([None, None, RunState.RUNNING, RunState.COMPENSATING]),
    )
    def record(self, data: st.DataObject, slot: str, owner: str, written: list[Entry], state: RunState | None) -> None:
        token = self.some(data, owner)
        if token is not None:
            expected, found = self.both(slot, "record", written, state, of_token=token)
            assert found == expected

    @rule(
        data=st.data(),
        slot=sessions,
        state=st.sampled_from(sorted(ASLEEP)),
        kinds=event_kinds,
        keep=st.sampled_from([0.0, 30.0, 1e12]),
        of_own=st.sampled_from([True, True, False]),
        unless=st.none() | st.tuples(st.sampled_from(["step", "signal"]), st.sampled_from("xyz")),
    )
    def conclude(
        self,
        data: st.DataObject,
        slot: str,
        state: RunState,
        kinds: list[str],
        keep: float,
        of_own: bool,
        unless: tuple[str, str] | None = None,
    ) -> None:
        owner = slot if of_own else next(other for other in SESSIONS if other != slot)
        token = self.some(data, owner)
        if token is None:
            return
        arguments = (state, b"\xffresult", self.made(kinds), keep, unless)
        for _ in range(2):
            expected, found = self.both(slot, "conclude", *arguments, of_token=token)
            assert as_answer(found) == as_answer(expected)

    def made(self, kinds: list[str]) -> Emit:
        made = []
        for name in kinds:
            self.count += 1
            made.append(StoredEvent(f"e{self.count}", name, b"body", require=name == "needs.somebody"))
        return made

    @rule(data=st.data(), slot=sessions, owner=sessions, wait=waits, known=st.sampled_from([None, None, 0, 1, 2]))
    def hand_back(self, data: st.DataObject, slot: str, owner: str, wait: float, known: int | None) -> None:
        token = self.some(data, owner)
        if token is not None:
            expected, found = self.both(slot, "hand_back", wait, known, of_token=token)
            assert found == expected

    @rule(data=st.data(), slot=sessions)
    def reclaim(self, data: st.DataObject, slot: str) -> None:
        token = self.some(data, slot)
        self.both(slot, "reclaim", [] if token is None else [token])

    @rule(slot=sessions, some=st.lists(ids, min_size=2, max_size=3, unique=True), by=sessions, count=st.integers(1, 2))
    def begin_and_take(self, slot: str, some: list[str], by: str, count: int) -> None:
        for id in some:
            self.begin(slot, NewRun(id, "ship", b"", b""), False)
        self.take(by, count, 0)

    @rule(
        data=st.data(),
        slot=sessions,
        waits=st.lists(waits, min_size=2, max_size=3),
        seconds=waits,
        signals=st.lists(st.tuples(ids, entries), max_size=2),
    )
    def hand_back_and_take(
        self, data: st.DataObject, slot: str, waits: list[float], seconds: float, signals: list[tuple[str, Entry]]
    ) -> None:
        for wait in waits:
            self.hand_back(data, slot, slot, wait, None)
            self.now += 0.5
        for id, entry in signals:
            self.signal(slot, id, entry)
        self.now += seconds
        self.take(slot, 1, 1)

    @rule(
        data=st.data(),
        slot=sessions,
        before=st.sampled_from([RunState.RUNNING, RunState.COMPENSATING]),
        state=st.sampled_from([RunState.PARKED, RunState.NEEDS_ATTENTION]),
        by=sessions,
    )
    def stop_and_wake(self, data: st.DataObject, slot: str, before: RunState, state: RunState, by: str) -> None:
        for token in [loan.token for loan in self.held[slot]]:
            expected, found = self.both(slot, "record", [], before, of_token=token)
            assert found == expected
        self.conclude(data, slot, state, [], 0.0, True)
        for id in IDS:
            self.wake(by, id)
        self.notices("one")
        self.notices("two")

    # From outside

    @rule(slot=sessions, id=ids, entry=entries)
    def signal(self, slot: str, id: str, entry: Entry) -> None:
        expected, found = self.both(slot, "signal", id, entry)
        assert found == expected

    @rule(slot=sessions, id=ids)
    def wake(self, slot: str, id: str) -> None:
        expected, found = self.both(slot, "wake", id)
        assert found == expected

    @rule(slot=sessions, id=ids, entry=entries)
    def reopen(self, slot: str, id: str, entry: Entry) -> None:
        expected, found = self.both(slot, "reopen", id, entry)
        assert found == expected

    @rule(data=st.data(), slot=sessions, by=sessions, entry=entries)
    def succeed_and_reopen(self, data: st.DataObject, slot: str, by: str, entry: Entry) -> None:
        self.conclude(data, slot, RunState.SUCCEEDED, [], 30.0, True)
        for id in IDS:
            self.reopen(by, id, entry)
        self.take(by, 3, 3)

    @rule(slot=sessions, id=ids, watch=st.booleans())
    def look(self, slot: str, id: str, watch: bool) -> None:
        expected, found = self.both(slot, "run", id, watch)
        assert (found is None) == (expected is None)
        if found is not None:
            assert (found.token, as_run(found.run), found.entries) == (0, as_run(expected.run), expected.entries)

    @rule(slot=sessions, some=st.lists(ids, unique=True, max_size=2))
    def forget(self, slot: str, some: list[str]) -> None:
        expected, found = self.both(slot, "forget", some)
        assert found == expected

    @rule(
        slot=sessions,
        workflow=st.sampled_from([None, "ship", "none"]),
        states=st.one_of(st.none(), st.lists(st.sampled_from(RunState), unique=True, max_size=3)),
        after=st.sampled_from([None, "", "a", "aa", "ä"]),
        limit=st.integers(1, 3),
    )
    def runs(self, slot: str, workflow: Any, states: Any, after: Any, limit: int) -> None:
        expected, found = self.both(slot, "runs", workflow, states, after, limit)
        assert [as_run(run) for run in found] == [as_run(run) for run in expected]

    # Time, and the ends of sessions

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 16.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([1.0, 8.0, 8.0]))
    def wait_and_renew(self, seconds: float) -> None:
        self.now += seconds
        for slot in SESSIONS:
            self.on_reference(slot, lambda session: self.reference.renew(session, self.now))
            self.renew(slot)

    @rule(slot=sessions, well=st.booleans())
    def restart(self, slot: str, well: bool) -> None:
        """A session ends, well or without a word, and another one begins."""
        if well:
            self.on_reference(slot, lambda session: self.reference.end(session, self.now))
            self.end(slot)
        self.count += 1
        self.names[slot] = f"{slot} {self.count}"
        self.reference.expire(self.now)
        self.reference.begin(self.names[slot], self.now)
        self.held[slot].clear()
        self.last_begins.pop(slot, None)
        self.start(slot)

    # What there is

    @rule(slot=sessions)
    def notices(self, slot: str) -> None:
        self.on_reference(slot, lambda session: None)
        own = self.reference.sessions[self.names[slot]]
        expected = Counter(notice.run for _, notice in own.notices if notice.run)
        own.notices.clear()
        assert Counter(notice.run for notice in self.heard(slot) if notice.run) == expected

    @rule(slot=sessions)
    def events(self, slot: str) -> None:
        fetched = self.on_reference(slot, lambda session: self.reference.fetch(session, {"ledger": 100}, self.now))
        assert self.fetch(slot) == [loan.id for loan in fetched.loans]

    @invariant()
    def the_listings_are_the_same(self) -> None:
        if self.has_begun:
            self.runs("one", None, None, None, 100)

    @invariant()
    def nothing_is_left_over(self) -> None:
        if self.has_begun:
            assert self.leftovers() == []


def as_run(run: StoredRun) -> Any:
    fields = msgspec.structs.asdict(run)
    for time in ("created_at", "changed_at", "starts_at"):
        fields[time] = round(fields[time], 4)
    assert run.owner is None or run.state not in OVER
    return fields


def as_answer(answer: Any) -> Any:
    if not isinstance(answer, list):
        return type(answer), str(answer)
    return [(round(each.accepted_at, 4), each.targets, dict(each.outcomes), each.body) for each in answer]

"""The plain account of deliveries on a store: who has which, by what right, and what has become of it.

It is told of what the store does, and of what handlers do, and objects to whatever the promises don't allow. It does
not know how either works.

Units: seconds of virtual time.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

import attrs

from postroom import Dropped, Event, Failed, Outcome, Succeeded
from postroom.codec import decode_event, decode_outcome
from postroom.contract import (
    Answer,
    Binding,
    Emit,
    Fetched,
    Loan,
    Published,
    Settlement,
    Step,
    StoredEvent,
    StoredLetter,
)
from postroom.errors import PostroomError
from postroom.store_errors import BacklogFull
from postroom.testing.reference.sessions import WINDOW

from ..model import matches
from .program import StoreSpec
from .rating import RateWatch
from .records import Held, Run
from .records import Loan as InHand
from .sometimes import StoreSometimes

FUZZ: Final = 0.001
"""Seconds by which two looks at the clock may differ."""


@attrs.define(eq=False)
class StoreModel:
    """All that was accepted.

    Attributes:
        complain: Told of each broken promise.
        now: Reads the time.
        may_lose: Whether the lease of a session may run out: its process is dead, or was asleep.
        specs: By name.
        store_is_well: It takes what is settled within the time that the end of a runtime has for that.
        changes: Counts what has changed in the store.
        tokens: Of all loans there ever were.
        first_bound: What each session has registered first.
        unaware: Sessions whose lease has run out, and which have not registered again: they may not know.
        paused: Subscriptions of which nothing is lent.
        drops: Deliveries that a full backlog has let go in this very step of the store.
        times_lost, told: How often the lease of a session has run out, and how often of these it was told.
        void: Tokens of loans that were lost with the lease of their session, or made while that was unaware.
    """

    complain: Callable[[str], None]
    now: Callable[[], float]
    sometimes: StoreSometimes
    may_lose: Callable[[str], bool]
    specs: dict[str, StoreSpec]
    losses: int = 3
    store_is_well: bool = True
    changes: int = 0
    registered: dict[str, Binding] = attrs.field(factory=dict)
    accepted: dict[str, tuple[float, tuple[str, ...]]] = attrs.field(factory=dict)
    by: dict[str, list[str]] = attrs.field(factory=dict)
    deliveries: dict[tuple[str, str], Held] = attrs.field(factory=dict)
    tokens: dict[int, Held] = attrs.field(factory=dict)
    leases: dict[str, float] = attrs.field(factory=dict)
    first_bound: dict[str, set[str]] = attrs.field(factory=dict)
    unaware: set[str] = attrs.field(factory=set)
    times_lost: Counter[str] = attrs.field(factory=Counter)
    told: Counter[str] = attrs.field(factory=Counter)
    void: set[int] = attrs.field(factory=set)
    paused: set[str] = attrs.field(factory=set)
    rates: RateWatch = attrs.field(factory=RateWatch)
    drops: list[tuple[str, str]] = attrs.field(factory=list)
    groups: dict[str, list[tuple[StoredEvent, str]]] = attrs.field(factory=dict)
    _numbers: dict[tuple[str, str], tuple[int, object]] = attrs.field(factory=dict)

    @property
    def open(self) -> Iterator[Held]:
        """Those that are not over, in the order of acceptance."""
        return (each for each in self.deliveries.values() if each.outcome is None)

    # Sessions

    def renewed(self, session: str, until: float) -> None:
        self.leases[session] = until

    def ran_out(self, session: str, now: float) -> None:
        """The store has taken a session for dead."""
        if not self.may_lose(session):
            self.complain(f"the lease of {session} ran out at {now:g}, and its process lives")
        self.unaware.add(session)
        self.times_lost[session] += 1
        for one in self.of(session):
            assert one.token is not None
            self.void.add(one.token)
            if one.runs and one.runs[-1].session == session and one.runs[-1].ended is None:
                self.sometimes.hit("lease ran out in a handler")
            one.let_go()
            one.losses += 1
        self.changes += 1

    def ended(self, session: str) -> None:
        """A session has ended well."""
        for one in self.of(session):
            if self.store_is_well and one.in_loan and one.in_loan[-1].ended == "returned":
                self.complain(f"{session} has ended, and has not written that it has handled {one}")
        self.take_back(session, ())
        self.leases.pop(session, None)

    def reclaimed(self, session: str, holding: Collection[int]) -> None:
        """A session has let the store take back what it does not hold."""
        for one in self.of(session):
            was_handled = one.in_loan and one.in_loan[-1].ended == "returned"
            if was_handled and one.token not in holding and one.token not in self.void:
                self.complain(f"{session} has handled {one}, and lets it be taken back")
        self.take_back(session, holding)

    def take_back(self, session: str, holding: Collection[int]) -> None:
        for one in self.of(session):
            if one.token not in holding:
                if not one.runs or one.runs[-1].token != one.token:
                    self.sometimes.hit("reclaimed")
                one.let_go()
                one.returns += 1
        self.changes += 1

    def of(self, session: str) -> list[Held]:
        """What a session has."""
        return [each for each in self.open if each.session == session]

    def is_new(self, session: str, number: int, result: object, of: str = "call") -> bool:
        """Whether a numbered call is made for the first time; made again, it has the result that it had."""
        last, before = self._numbers.get((session, of), (0, None))
        if last == number:
            self.sometimes.hit("unknown repeated" if of == "call" else "settle repeated")
            if of == "settle" and session in self.unaware:
                self.sometimes.hit("settle repeated after a lost lease")
            if result != before:
                self.complain(f"{session} has made {of} {number} again, and got {result} instead of {before}")
            return False
        self._numbers[session, of] = (number, result)
        return True

    # Accepting

    def bound(self, session: str, bindings: Sequence[Binding], *, serve: bool) -> None:
        names = {each.name for each in bindings}
        self.registered.update({each.name: each for each in bindings})
        has_heard = self.told[session] == self.times_lost[session]
        if serve and has_heard and names >= self.first_bound.setdefault(session, names):
            self.unaware.discard(session)

    def told_lost(self, session: str) -> None:
        """The store tells a session that its lease had run out. It registers again before it asks for more news."""
        self.told[session] = self.times_lost[session]

    def published(self, emit: Emit, answer: Answer, *, is_new: bool) -> None:
        """The store has answered for some events, which are accepted together or not at all."""
        if isinstance(answer, BacklogFull):
            self.sometimes.hit("backlog full")
        if isinstance(answer, PostroomError):
            return
        for event, published in zip(emit, answer, strict=True):
            if published.body is not None:
                if event.id not in self.accepted:
                    self.complain(f"{event.id} is told to have been accepted before, and was not")
                elif is_new:
                    self.sometimes.hit("known twice")
            elif is_new:
                self.accept(event, published)

    def dropped(self) -> None:
        """A step of the store is over: look at what it has dropped, which its overflow policy must allow."""
        drops, self.drops = self.drops, []
        for at, (id, name) in enumerate(drops):
            one, spec = self.deliveries[id, name], self.specs[name]
            later = set(drops[at + 1 :])
            waiting = [
                each
                for each in self.open
                if each.subscription == name and each.session is None and (each.event.id, name) not in later
            ]
            self.sometimes.hit(f"dropped by {spec.overflow}")
            if one.outcome is not None or one.session is not None:
                self.complain(f"{one} was dropped, and is over or lent")
            elif (why := _wrong_drop(one, waiting, spec)) is not None:
                self.complain(f"{one} was dropped by {spec.overflow}, and {why}")
            one.outcome = Dropped(name, spec.overflow, one.attempts, 0.0)
            self.changes += 1

    def accept(self, event: StoredEvent, published: Published) -> None:
        """An event was accepted."""
        now = self.now()
        if event.id in self.accepted and (event.digest is None or now < self.accepted[event.id][0] + WINDOW):
            self.complain(f"{event.id} is accepted twice")
        wanted = {n for n, each in self.registered.items() if any(matches(p, event.name) for p in each.patterns)}
        if set(published.targets) != wanted:
            self.complain(f"{event.id} {event.name} went to {published.targets}, and should have to {sorted(wanted)}")
        self.accepted[event.id] = (now, published.targets)
        self.by.setdefault(marker_of(event), []).append(event.id)
        for name in published.targets:
            self.deliver(event, name, now + event.delay)

    def deliver(self, event: StoredEvent, name: str, due: float) -> None:
        before = self.deliveries.pop((event.id, name), None)  # the new one comes behind all others
        self.deliveries[event.id, name] = Held(event, name, due)
        if before is not None:
            self.deliveries[event.id, name].earlier = before.first_outcome
        self.changes += 1

    def replayed(self, letter: StoredLetter | None, answer: Published | None, *, is_new: bool) -> None:
        """A dead letter's event is delivered once more."""
        if answer is None or not is_new:
            return
        if letter is None:
            self.complain("a dead letter was replayed that is not there")
            return
        before = self.deliveries.get((letter.event, letter.subscription))
        if before is None or before.outcome is None:
            self.complain(f"{letter.event} of {letter.subscription} is replayed, and is not over")
        self.sometimes.hit("replayed")
        again = StoredEvent(letter.event, "", letter.body, key=letter.letter.key, head_start=letter.letter.head_start)
        self.deliver(again, letter.subscription, self.now())

    # Groups

    def staged(self, session: str, group: str, events: Emit, answer: "list[Published | None] | PostroomError") -> None:
        if isinstance(answer, PostroomError):
            return
        here = self.groups.setdefault(group, [])
        known = {event.id for event, _ in here}
        here += [
            (event, session)
            for event, published in zip(events, answer, strict=True)
            if published is None and event.id not in known
        ]

    def released(self, session: str, group: str, ids: Sequence[str], answer: Answer, *, is_new: bool) -> None:
        """The events of a group were accepted, all of them or none."""
        if not is_new or isinstance(answer, PostroomError):
            return
        staged = self.groups.pop(group, [])
        if [event.id for event, _ in staged] != list(ids):
            self.complain(f"of group {group}, {list(ids)} were released, and {[e.id for e, _ in staged]} were staged")
        if staged:
            self.sometimes.hit("group released")
            if any(each != session for _, each in staged):
                self.sometimes.hit("group released elsewhere")
        for (event, _), published in zip(staged, answer, strict=False):
            self.accept(event, published)

    def cleared(self, group: str, count: int) -> None:
        """All events of a group were dropped."""
        staged = self.groups.pop(group, [])
        if count:
            self.sometimes.hit("group cleared")
        if len(staged) != count:
            self.complain(f"of group {group}, {count} were cleared, and {len(staged)} were staged")

    # Lending and settling

    def asked(self, session: str, demand: Collection[str]) -> None:
        """A session asks for what waits; what that is, is told by `lent`."""
        taken = {(each.subscription, each.event.key) for each in self.open if each.session not in (None, session)}
        for one in self.open:
            place = (one.subscription, one.event.key)
            if one.subscription in demand and one.session is None and one.event.key is not None and place in taken:
                self.sometimes.hit("waited behind its key")

    def held_back(self, demand: Mapping[str, int], fetched: Fetched) -> None:
        """A session has got what it asked for, or less."""
        got = Counter(loan.subscription for loan in fetched.loans)
        for name in [name for name, count in demand.items() if got[name] < count]:
            if self.registered[name].interval is not None and name not in self.paused:
                waiting = [each for each in self.open if each.subscription == name and each.session is None]
                if any(each.due <= self.now() for each in waiting):
                    self.sometimes.hit("held back by its rate")

    def lent(self, session: str, loan: Loan) -> None:
        """A delivery was lent to a session."""
        now, one = self.now(), self.deliveries.get((loan.id, loan.subscription))
        if loan.subscription in self.paused:
            self.complain(f"{loan.id} was lent to {session}, and {loan.subscription} is paused")
        if one is None or one.outcome is not None:
            self.complain(f"{loan.id} of {loan.subscription} was lent, and is over, or never was")
            return
        if loan.token in self.tokens:
            self.complain(f"{one} was lent under a token that was used before")
        if one.session is not None:
            self.complain(f"{one} was lent to {session}, and {one.session} has it")
        if loan.losses != one.losses or loan.attempts != one.attempts:
            self.complain(
                f"{one} was lent after {loan.attempts} attempts, {loan.losses} losses, not {one.attempts}, {one.losses}"
            )
        if now < one.due - FUZZ:
            self.complain(f"{one} was lent at {now:g}, and is due at {one.due:g}")
        self.check_key(one, session)
        if (why := self.rates.lent(self.registered[one.subscription], now)) is not None:
            self.complain(why)
        if one.losses and one.last != session:
            self.sometimes.hit("taken over")
        one.session = one.last = session
        one.token, one.lent_with = loan.token, loan.attempts
        self.tokens[loan.token] = one
        if session in self.unaware:
            self.void.add(loan.token)
        self.changes += 1

    def check_key(self, one: Held, session: str) -> None:
        """What came before it under its key is over, or at the same session."""
        if one.event.key is None:
            return
        is_earlier = True
        for other in self.open:
            if other is one:
                is_earlier = False
                continue
            if other.subscription != one.subscription or other.event.key != one.event.key:
                continue
            if other.session not in (None, session):
                self.complain(f"{one} was lent to {session}, and {other.session} has {other}, of the same key")
            comes_first = other.due < one.due - FUZZ or (is_earlier and not other.event.delay and not one.event.delay)
            if comes_first and other.session is None:
                self.complain(f"{one} was lent before {other}, which came earlier and has the same key")

    def settled(self, session: str, settlement: Settlement, *, was_taken: bool) -> None:
        """The store has taken a step of a loan, or refused it."""
        one = self.tokens.get(settlement.token)
        is_valid = one is not None and one.outcome is None and (one.session, one.token) == (session, settlement.token)
        if is_valid != was_taken:
            what = "taken" if was_taken else "refused"
            self.complain(f"a settlement of {one} by {session} under {settlement.token} was {what}, wrongly")
            return
        if not was_taken:
            self.sometimes.hit("settle refused")
            return
        assert one is not None
        self.changes += 1
        if settlement.step is Step.SETTLED:
            self.over(one, settlement, decode_outcome(settlement.outcome))
            return
        if not one.attempts <= settlement.attempts <= one.lent_with + len(one.in_loan):
            self.complain(f"{one} was {settlement.step} with {settlement.attempts} attempts, after {len(one.in_loan)}")
        one.attempts = settlement.attempts
        if settlement.step is Step.RETRYING:
            self.rates.attempted(self.registered[one.subscription], self.now())
        if settlement.step is Step.RETURNED:
            one.let_go()
            one.returns += 1

    def over(self, one: Held, settlement: Settlement, outcome: Outcome) -> None:
        """A delivery has its outcome: what its handler did must allow that."""
        most = self.specs[one.subscription].attempts
        run = next((run for run in reversed(one.runs) if run.token == settlement.token), None)
        if run is not None and run.ended is None:
            self.complain(f"{one} settled {type(outcome).__name__}, and its handler runs")
        match outcome:
            case Succeeded():
                if run is None or run.ended not in ("returned", "edge"):
                    self.complain(f"{one} succeeded, and no handler has returned")
            case Failed() if settlement.letter is None:
                self.complain(f"{one} failed, and no dead letter was kept")
            case Failed(exception=error):
                if run is None and one.losses >= self.losses:
                    self.sometimes.hit("lost too often")
                elif run is None or run.ended == "returned":
                    self.complain(f"{one} failed with {error!r}, and its handler has not")
                elif outcome.attempts < most:
                    self.complain(f"{one} failed after {outcome.attempts} attempts of {most}")
                else:
                    self.sometimes.hit("failed for good")
            case _:
                self.complain(f"{one} ended as {outcome!r}, which nobody asked for")
        one.outcome = outcome
        one.let_go()

    # Handlers

    def begin(self, session: str, name: str, event: Event, loan: InHand) -> Run | None:
        """The handler of a living process begins, under a loan."""
        token, attempt = loan.token, loan.attempt
        one, lent = self.deliveries.get((event.id, name)), self.tokens.get(token)
        if one is None or lent is None:
            self.complain(f"{session} handles {event.id} of {name}, which never was, or was not lent to anybody")
            return None
        has_it = (one.session, one.token) == (session, token)
        if not has_it and (token not in self.void or session not in self.unaware):
            self.complain(f"{session} handles {one}, which it has not")
        if has_it and attempt != one.lent_with + len(one.in_loan) + 1:
            self.complain(f"{one} begins attempt {attempt} after {one.lent_with} and {len(one.in_loan)} in its loan")
        if has_it and one.losses >= self.losses:
            self.complain(f"{one} is handled, and was lost {one.losses} times of {self.losses}")
        if attempt > self.specs[name].attempts:
            self.complain(f"{one} begins attempt {attempt} of {self.specs[name].attempts}")
        for run in one.runs:
            if run.ended is None:
                self.sometimes.hit("two live runs")
                if run.token not in self.void and token not in self.void:
                    self.complain(f"{one} is handled by {session}, and {run.session} handles it still")
            elif run.ended == "returned":
                self.sometimes.hit("ran twice")
        if attempt > 1 and one.runs and one.runs[-1].session != session:
            self.sometimes.hit("retried elsewhere")
        run = Run(session, token, self.now())
        one.runs.append(run)
        return run

    def check_at_end(self) -> None:
        """Everything has come to rest."""
        left = [str(one) for one in self.open]
        if left:
            self.complain(f"at rest, and these are not over: {', '.join(left)}")
        for one in self.deliveries.values():
            # How many runs a loan may have was looked at when each began: no more than attempts are left.
            loans = len({run.token for run in one.runs})
            if loans > 1 + one.losses + one.returns:
                self.complain(f"{one} was handled in {loans} loans, of which {one.losses + one.returns} came back")
            if isinstance(one.outcome, Succeeded) and not any(run.ended in ("returned", "edge") for run in one.runs):
                self.complain(f"{one} succeeded, and was never handled")


def _wrong_drop(one: Held, waiting: Sequence[Held], spec: StoreSpec) -> str | None:
    """Why a delivery should not have been dropped, of those that wait after the step; None where it should."""
    bound = spec.bound
    others = [each for each in waiting if each is not one]
    match spec.overflow:
        case "drop_oldest" if bound is not None and waiting[0] is one and len(others) >= bound:
            return None
        case "drop_newest" if bound is not None and waiting[-1] is one and len(others) >= bound:
            return None
        case "coalesce" if bound is not None and any(each.event.key == one.event.key for each in others):
            behind = waiting[waiting.index(one) + 1 :]
            return None if any(each.event.key == one.event.key for each in behind) else "none of its key came later"
    return f"there wait {[str(each) for each in others]} of {bound}"


def marker_of(event: StoredEvent) -> str:
    """Who has emitted an event: what is in its headers."""
    return decode_event(event.body, event.id, 0.0).headers.get("by", "")

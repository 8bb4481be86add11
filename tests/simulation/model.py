"""The reference model: the plainest account of what a runtime has to do with its deliveries.

It knows nothing of how the runtime works. It is told what was accepted, which handlers began and ended, and what was
settled, and objects to whatever the promises don't allow.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from postroom import Cancelled, Dropped, Event, Expired, Failed, Outcome, Succeeded

from .program import Spec


def matches(pattern: str, name: str) -> bool:
    """The rule for patterns, said in the plainest way."""
    wanted, given = pattern.split("."), name.split(".")
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))


@attrs.define(eq=False)
class Expected:
    """One delivery.

    Attributes:
        most: Attempts that it may have.
        attempt: The last one that began.
        runs: How often the handler began.
        live: The handler has it now.
        ended: How the handler ended last: `returned`, `late` (when its time was over), `edge` (just then), `raised` or
            `cancelled`.
        ended_at: When that was.
        due: When its first attempt may begin.
        value: What it returned last.
        delayed: It did not go into the mailbox when it was accepted.
    """

    event: Event
    spec: Spec
    most: int
    delayed: bool
    due: float = 0.0
    attempt: int = 0
    runs: int = 0
    live: bool = False
    ended: str | None = None
    ended_at: float = 0.0
    value: Any = None

    @property
    def is_plain(self) -> bool:
        """Whether it is handled in the order of acceptance among others like it."""
        return not self.delayed and self.event.key is None and self.event.priority == "default"

    def __str__(self) -> str:
        key = "" if self.event.key is None else f" key {self.event.key}"
        return f"{self.event.id} {self.event.name}{key} for {self.spec.name}"


@attrs.define(eq=False)
class Model:
    """All deliveries of one runtime.

    Attributes:
        complain: Told of each broken promise.
        attempts_wait: Attempts let others run before they reach the handler, so those of several workers may overtake
            each other on the way.
        at_work: The subscriptions that get new events.
        leaving: Those that were told to end, so that their deliveries may be cancelled.
        closing: The runtime's block has ended.
        pending: The deliveries that are not settled, by subscription and event, in the order of acceptance.
        accepted, settled: How many deliveries each subscription has had, and how many of them are settled.
        emitted: How many events were accepted, by who emitted them.
        targets: For whom an event was accepted last.
    """

    complain: Callable[[str], None]
    attempts_wait: bool = False
    at_work: dict[str, Spec] = attrs.field(factory=dict)
    leaving: set[str] = attrs.field(factory=set)
    closing: bool = False
    pending: dict[str, dict[str, Expected]] = attrs.field(factory=dict)
    accepted: Counter[str] = attrs.field(factory=Counter)
    settled: Counter[str] = attrs.field(factory=Counter)
    outcomes: Counter[str] = attrs.field(factory=Counter)
    emitted: Counter[str] = attrs.field(factory=Counter)
    targets: dict[str, list[str]] = attrs.field(factory=dict)

    def check_targets(self, event: Event, targets: Iterable[str], maybe_gone: Iterable[str]) -> None:
        """An event was accepted for these subscriptions; its supervision may have ended some others unseen."""
        wanted = {n for n, spec in self.at_work.items() if any(matches(p, event.name) for p in spec.patterns)}
        wrong = (wanted ^ set(targets)) - set(maybe_gone)
        if wrong:
            self.complain(f"{event.id} {event.name} went to {sorted(targets)}, and should have to {sorted(wanted)}")

    def accept(self, event: Event, spec: Spec, most: int, due: float = 0.0) -> None:
        """A delivery has come into being."""
        mine = self.pending.setdefault(spec.name, {})
        if event.id in mine:
            self.complain(f"{event.id} is delivered to {spec.name} twice at the same time")
        if not any(matches(pattern, event.name) for pattern in spec.patterns):
            self.complain(f"{event.id} {event.name} goes to {spec.name}, which does not subscribe to it")
        mine[event.id] = Expected(event, spec, most, event.delay is not None, due)
        self.accepted[spec.name] += 1

    def begin(self, name: str, event: Event, attempt: int | None, batch: Iterable[str] = ()) -> Expected | None:
        """The handler of a subscription begins with a delivery; `attempt` is None where it does not know."""
        mine = self.pending.get(name, {})
        one = mine.get(event.id)
        if one is None:
            self.complain(f"{name} handles {event.id}, which it was not to get, or which is settled")
            return None
        if one.live:
            self.complain(f"{one} is handled twice at the same time")
        self.check_order(one, mine, set(batch))
        number = one.attempt + 1 if attempt is None else attempt
        handed_back = one.ended == "cancelled" and one.spec.kind == "actor"
        again = number == one.attempt and (handed_back or one.spec.breaker is not None)
        if number != one.attempt + 1 and not again and attempt is not None:
            self.complain(f"{one} begins attempt {number} after attempt {one.attempt} {one.ended}")
        if number > one.most and attempt is not None:
            self.complain(f"{one} begins attempt {number} of {one.most}")
        one.attempt, one.live, one.ended = number, True, None
        one.runs += 1
        return one

    def check_order(self, one: Expected, mine: dict[str, Expected], batch: set[str]) -> None:
        """Those of a key are handled one at a time in order; without keys, first come is first served."""
        if one.spec.kind == "batch":  # its order within a batch is the list's
            self.check_batch(one, mine, batch)
            return
        for other in mine.values():
            if other is one:
                break
            if one.event.key is not None and other.event.key == one.event.key and not other.delayed and not one.delayed:
                self.complain(f"{one} begins before {other}, which came earlier and has the same key")
            in_order = one.spec.concurrency == 1 or not self.attempts_wait
            if in_order and one.is_plain and other.is_plain and not one.runs and not other.runs:
                self.complain(f"{one} begins before {other}, which came earlier")
        for other in mine.values():
            if other is not one and other.runs and one.event.key is not None and other.event.key == one.event.key:
                self.complain(f"{one} begins while {other}, of the same key, is not finished")

    def overtakes(self, one: Expected) -> bool:
        """Whether a delivery of higher priority has begun before one that came earlier."""
        others = (other for other in self.pending.get(one.spec.name, {}).values() if not other.runs)
        first = next(others, None)
        return first is not None and first.is_plain and one.event.priority in ("critical", "high") and not one.delayed

    def check_batch(self, one: Expected, mine: dict[str, Expected], batch: set[str]) -> None:
        """As `check_order`, but those of one batch are handled, and may fail, together."""
        key = one.event.key
        for other in mine.values():
            if key is not None and other.event.key == key and other.live and other.event.id not in batch:
                self.complain(f"{one} begins in a batch while the handler has {other}, of the same key")
        for other in mine.values():
            if other is one:
                break
            if other.event.id in batch:
                continue
            if key is not None and other.event.key == key and not other.delayed and not one.delayed:
                self.complain(f"{one} begins in a batch before {other}, which came earlier and has the same key")
            if one.spec.concurrency == 1 and one.is_plain and other.is_plain and not one.runs and not other.runs:
                self.complain(f"{one} begins in a batch before {other}, which came earlier")

    def end(self, one: Expected | None, how: str, value: Any = None, now: float = 0.0) -> None:
        """The handler has ended."""
        if one is not None:
            one.live, one.ended, one.value, one.ended_at = False, how, value, now

    def settle(self, name: str, event: Event, outcome: Outcome) -> Expected | None:
        """A delivery has its outcome."""
        one = self.pending.get(name, {}).pop(event.id, None)
        if one is None:
            self.complain(f"{event.id} of {name} settled again, as {type(outcome).__name__}")
            return None
        self.settled[name] += 1
        self.outcomes[type(outcome).__name__] += 1
        wrong = self.objection(one, outcome)
        if wrong is not None:
            self.complain(f"{one} settled {type(outcome).__name__} after attempt {one.attempt} {one.ended}: {wrong}")
        return one

    def objection(self, one: Expected, outcome: Outcome) -> str | None:
        """What is wrong with an outcome."""
        if one.live:
            return "its handler still runs"
        if one.ended == "returned" and not isinstance(outcome, Succeeded):
            return "its handler has returned"
        match outcome:
            case Succeeded(value=value, attempts=attempts):
                if one.ended not in ("returned", "edge"):
                    return "no handler has returned in time"
                if one.spec.kind != "batch" and (value != one.value or attempts != one.attempt):
                    return f"with {value!r} of attempt {attempts}, which returned {one.value!r}"
            case Failed():
                return None  # judged where the exceptions are known
            case Dropped(reason=reason):
                if one.spec.overflow == "wait" and "went away" not in reason:
                    return reason
            case Expired():
                if one.event.expires_after is None:
                    return "it does not expire"
            case Cancelled():
                if not self.closing and one.spec.name not in self.leaving:
                    return f"nobody ended it ({outcome.reason})"
        return None

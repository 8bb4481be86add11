"""Recordings: what was emitted in a runtime, what it caused, and what became of it, as a tree to print.

Costs nothing while nobody records: the dispatcher is then exactly as it is without this file. A recording is told of
each event at its acceptance, and of each outcome by its receipt, as somebody who waits for it.

Units: seconds on the loop's clock.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import attrs

from postroom_actors import current_hand

from .checks import count_of
from .delivery import deliveries_in
from .errors import UnknownEvent
from .event import Event
from .log import printable
from .outcomes import Failed, Outcome, Succeeded
from .receipt import Receipt

DEFAULT_KEPT: Final = 10_000
"""Events that a recording keeps."""

MOST_LINES: Final = 1000
"""Lines of a printed tree."""

DEEPEST: Final = 100
"""Levels of a printed tree."""


@attrs.frozen
class RecordedOutcome:
    """An outcome, and when it came about."""

    outcome: Outcome
    at: float


@attrs.define(eq=False)
class RecordedEvent:
    """An event that was accepted while somebody recorded.

    Attributes:
        emitted_by: The subscription whose handler emitted it; None where none did.
        at: When it was accepted.
        targets: The subscriptions that it went to; one that got it again, from a dead letter, is there again.
        outcomes: How its deliveries ended, in the order in which they did.
        caused: Ids of the events that its handlers emitted, in their order.
    """

    event: Event
    emitted_by: str | None
    at: float
    targets: list[str] = attrs.field(factory=list)
    outcomes: list[RecordedOutcome] = attrs.field(factory=list)
    caused: list[str] = attrs.field(factory=list)
    listeners: "list[_Listener]" = attrs.field(factory=list, repr=False, eq=False)

    @property
    def pending(self) -> list[str]:
        """The subscriptions that have not settled yet."""
        settled = Counter(each.outcome.subscription for each in self.outcomes)
        return sorted((Counter(self.targets) - settled).elements(), key=self.targets.index)


@attrs.define(eq=False)
class _Listener:
    """Waits for the outcomes of one receipt, and never takes it up."""

    record: RecordedEvent
    receipt: Receipt
    now: Callable[[], float]
    heard: int = 0

    def wake(self) -> None:
        outcomes = self.receipt.outcomes or []
        for outcome in outcomes[self.heard :]:
            self.record.outcomes.append(RecordedOutcome(outcome, self.now()))
        self.heard = len(outcomes)


@attrs.define(eq=False)
class Recording:
    """What happened from the moment on at which it began.

    Attributes:
        limit: Events that are kept; beyond that the oldest go.
        evicted: Events that went.
    """

    limit: int = attrs.field(default=DEFAULT_KEPT, validator=count_of("events"))
    evicted: int = attrs.field(default=0, init=False)
    _records: OrderedDict[str, RecordedEvent] = attrs.field(factory=OrderedDict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[RecordedEvent]:
        return iter(tuple(self._records.values()))

    def of(self, event: str | Event | Receipt) -> RecordedEvent:
        """What is known of an event, given by its id, as itself or by its receipt.

        Raises:
            UnknownEvent: it was not recorded, or had to make room.
        """
        id = event if isinstance(event, str) else event.id
        record = self._records.get(id)
        if record is None:
            raise UnknownEvent(id)
        return record

    def tree(self, event: str | Event | Receipt) -> "EventTree":
        """An event and all that it caused, as a tree: `print` it. It shows what is known when it is read.

        Raises:
            UnknownEvent: as `of`.
        """
        return EventTree(self.of(event), self._records)

    def take(self, receipt: Receipt, now: Callable[[], float], emitter: str | None = None) -> None:
        """The runtime's own: an event was accepted; `emitter` has emitted it, if not the worker that calls."""
        event = receipt.event
        record = self._records.get(event.id)
        if record is None:
            record = RecordedEvent(event, emitter or emitter_of(event), now())
            self._records[event.id] = record
            cause = None if event.cause is None else self._records.get(event.cause)
            if cause is not None:
                cause.caused.append(event.id)
            while len(self._records) > self.limit:
                self._records.popitem(last=False)
                self.evicted += 1
        record.targets.extend(target.name for target in receipt.targets)
        listener = _Listener(record, receipt, now)
        record.listeners.append(listener)  # a receipt that nobody else keeps must go on hearing
        listener.wake()  # what was dropped at once has its outcome already
        if receipt.pending:
            receipt.tell_each()
            receipt.wake_later(listener)


def emitter_of(event: Event) -> str | None:
    """The subscription in whose handler the caller runs, where what it has in hand has caused the event."""
    hand = current_hand()
    if event.cause is None or hand is None:
        return None
    causes = {delivery.event.id for delivery in deliveries_in(hand.message)}
    return hand.actor.name if event.cause in causes else None


def emitters_of(events: Sequence[Event]) -> list[str | None]:
    """Of each of several events, as `emitter_of`."""
    return [None] * len(events) if current_hand() is None else [emitter_of(event) for event in events]


@attrs.frozen(eq=False)
class EventTree:
    """An event with what became of it and the trees of what its handlers emitted. Its `str` is for people.

    Times in the text are seconds since the first event was accepted. Ids and names are told, data never is.

    Attributes:
        record: What is known of the event at the root.
    """

    record: RecordedEvent
    _records: Mapping[str, RecordedEvent] = attrs.field(repr=False)

    @property
    def event(self) -> Event:
        """The event at the root."""
        return self.record.event

    @property
    def caused(self) -> tuple["EventTree", ...]:
        """The trees of what its handlers emitted, as far as that is kept."""
        return tuple(EventTree(self._records[id], self._records) for id in self.record.caused if id in self._records)

    @property
    def settled(self) -> bool:
        """Whether every delivery in the tree has an outcome."""
        return not any(tree.record.pending for tree in self)

    def __iter__(self) -> Iterator["EventTree"]:
        """Every tree in it, itself first, as printed."""
        # No recursion, here and below: a job that plans its next run makes a chain of any length.
        unseen: list[EventTree] = [self]
        while unseen:
            tree = unseen.pop()
            yield tree
            unseen.extend(reversed(tree.caused))

    def __str__(self) -> str:
        lines = list(islice(_lines_of(self), MOST_LINES + 1))
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = ["… and more"]
        return "\n".join(lines)


@attrs.frozen(eq=False)
class _Branch:
    """A line of a tree, and the branches below it."""

    text: str
    below: "Callable[[], list[_Branch]]"


def _lines_of(tree: EventTree) -> Iterator[str]:
    start = tree.record.at
    root = _branch_of(tree, start)
    yield root.text
    unseen = [("", branch, last) for branch, last in _from_the_last(root.below())]
    while unseen:
        indent, branch, last = unseen.pop()
        yield f"{indent}{'└─ ' if last else '├─ '}{branch.text}"
        deeper = indent + ("   " if last else "│  ")
        below = branch.below()
        if below and len(deeper) > 3 * DEEPEST:
            yield f"{deeper}└─ … and more"
        else:
            unseen.extend((deeper, each, is_last) for each, is_last in _from_the_last(below))


def _from_the_last(branches: list[_Branch]) -> Iterator[tuple[_Branch, bool]]:
    return ((branch, number == 0) for number, branch in enumerate(reversed(branches)))


def _branch_of(tree: EventTree, start: float) -> _Branch:
    return _Branch(_title(tree, start), lambda: _branches_of(tree, start))


def _branches_of(tree: EventTree, start: float) -> list[_Branch]:
    """One for each subscription, with what it emitted below; then what no known subscription has emitted."""
    emitted: dict[str | None, list[_Branch]] = {}
    for child in tree.caused:
        emitted.setdefault(child.record.emitted_by, []).append(_branch_of(child, start))
    lines = [(each.outcome.subscription, _told(each, start)) for each in tree.record.outcomes]
    lines += [(name, f"{name}: not settled yet") for name in tree.record.pending]
    branches: list[_Branch] = []
    for name, text in lines:
        children = emitted.pop(name, [])  # once only, also for who got it again as a dead letter
        branches.append(_Branch(text, lambda children=children: children))  # type: ignore[misc]  # of its own default
    return branches + [child for children in emitted.values() for child in children]


def _title(tree: EventTree, start: float) -> str:
    event = tree.event
    key = "" if event.key is None else f" key {printable(event.key)}"
    nobody = "" if tree.record.targets else ", nobody subscribes"
    return f"{event.name} {printable(event.id)}{key} at {tree.record.at - start:.3f} s{nobody}"


def _told(recorded: RecordedOutcome, start: float) -> str:
    outcome = recorded.outcome
    match outcome:
        case Succeeded():
            why = ""
        case Failed(exception=exception):
            why = f" with {type(exception).__name__}"
        case _:
            why = f", {outcome.reason}"
    attempts = f" in attempt {outcome.attempts}" if outcome.attempts else ""
    return f"{outcome.subscription}: {type(outcome).__name__.lower()}{attempts} at {recorded.at - start:.3f} s{why}"

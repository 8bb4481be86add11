"""What a journal says when a workflow runs again, and whether the code still does what it says.

Within a scope, steps that come one after the other have to be asked for in the order in which they were recorded. At
the end nothing may be left that was never asked for.

Source: deterministic replay as in Temporal; the difference is shown, and the run parked, instead of tried for ever.
"""

from collections import deque
from collections.abc import Sequence
from typing import TypeVar

import attrs

from ..journal import Entry
from .places import scope_of
from .records import Done, Failure, Kind, Moment, Signal, Undoing, Undone, WrittenEvent, read

B = TypeVar("B")


@attrs.define
class Mismatch(Exception):
    """The journal and the code differ.

    Attributes:
        journal: What the journal has.
        code: What the code does.
    """

    journal: str
    code: str


@attrs.define(eq=False)
class Replay:
    """The entries of a run.

    Attributes:
        steps: Those that have finished or failed, by path, in the order recorded, with their places in it.
        undone: Compensations, by the step's path.
    """

    steps: dict[str, tuple[int, Done | Failure]] = attrs.field(factory=dict, init=False)
    undone: dict[str, Undone] = attrs.field(factory=dict, init=False)
    signals: dict[str, Signal] = attrs.field(factory=dict, init=False)
    undoing: Undoing | None = attrs.field(default=None, init=False)
    cancelled: bool = attrs.field(default=False, init=False)
    count: int = attrs.field(default=0, init=False)
    _moments: dict[tuple[str, str], float] = attrs.field(factory=dict, init=False)
    _events: dict[str, WrittenEvent] = attrs.field(factory=dict, init=False)
    _expected: dict[str, deque[str]] = attrs.field(factory=dict, init=False)
    _unasked: dict[str, None] = attrs.field(factory=dict, init=False)

    def load(self, entries: Sequence[Entry]) -> None:
        """Take up what is in a journal.

        Raises:
            UnreadableRecord: one of them can't be read by this release.
        """
        for entry in entries[self.count :]:
            self.count += 1
            self._load(entry)

    def _load(self, entry: Entry) -> None:
        what = f"{entry.kind} of {entry.key}"
        match entry.kind:
            case Kind.STEP | Kind.FAILED:
                record: Done | Failure
                record = read(entry.body, Done, what) if entry.kind == Kind.STEP else read(entry.body, Failure, what)
                if entry.key in self.steps:
                    return
                self.steps[entry.key] = (self.count, record)
                self._unasked[entry.key] = None
                if record.in_order:
                    self._expected.setdefault(scope_of(entry.key), deque()).append(entry.key)
            case Kind.COMPENSATED:
                self.undone[entry.key] = read(entry.body, Undone, what)
            case Kind.UNDOING:
                self.undoing = read(entry.body, Undoing, what)
            case Kind.SIGNAL:
                self.signals[entry.key] = read(entry.body, Signal, what)
            case Kind.CANCEL:
                self.cancelled = True
            case Kind.EMIT:
                self._events[entry.key] = read(entry.body, WrittenEvent, what)
            case _:
                self._moments[entry.kind, entry.key] = read(entry.body, Moment, what).at

    def ask(self, path: str, *, in_order: bool) -> Done | Failure | None:
        """What is recorded of the step that the code asks for; None where it is to run now.

        Raises:
            Mismatch: something else was recorded here.
        """
        expected = self._expected.get(scope_of(path)) if in_order else None
        if expected:
            if expected[0] != path:
                raise Mismatch(f"{self._told(expected[0])} next", f"asks for step {path}")
            expected.popleft()
        found = self.steps.get(path)
        if found is None or path not in self._unasked:
            return None
        del self._unasked[path]
        return found[1]

    def check_end(self, how: str) -> None:
        """Raises Mismatch where the code ends, and something recorded was never asked for."""
        for path in self._unasked:
            raise Mismatch(self._told(path), f"{how} without asking for it")

    def moment(self, kind: Kind, key: str) -> float | None:
        """A time that was recorded."""
        return self._moments.get((kind.value, key))

    @property
    def has_begun(self) -> bool:
        """Whether any step is said to have begun, and nothing of its end is known."""
        return any(kind == Kind.BEGUN for kind, _ in self._moments)

    def may_have_begun(self, path: str) -> bool:
        """Whether a step that is not on record may have begun: it is said to have, or any may."""
        return self.moment(Kind.BEGUN, path) is not None or self.moment(Kind.BEGUN, "") is not None

    def event(self, key: str) -> WrittenEvent | None:
        """An event that the workflow itself has emitted before."""
        return self._events.get(key)

    def _told(self, path: str) -> str:
        return f"step {path}, which {'failed' if isinstance(self.steps[path][1], Failure) else 'finished'},"

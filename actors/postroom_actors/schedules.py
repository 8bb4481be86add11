"""Schedules: the messages of one owner that are due later.

Their number is bounded as that of a mailbox is: beyond it whoever sets one waits in line for room, and nobody else.
Messages of one key can be set so that they come one after the other: the next one no sooner than the one before is
finished, however often that comes back.

Units: seconds, on the loop's clock.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import attrs

from .admission import ABANDONED, Admission
from .timers import Timers

M = TypeVar("M")


class _Later(NamedTuple, Generic[M]):
    due: float
    message: M
    key: str | None


@attrs.define(eq=False)
class _Succession(Generic[M]):
    """Messages of one key that come one after the other; `first` is set, in line, or has come and is not finished."""

    first: M
    behind: deque[_Later[M]] = attrs.field(factory=deque)


@attrs.define(eq=False)
class Schedule(Generic[M]):
    """What one owner has set.

    Attributes:
        deliver: Called with each message when it is due: by due time, equal ones in the order set.
        capacity: How many messages may be set, those behind others of their key included.
        dropped: Told of each message that is removed for lack of room, and why.
        line: Messages that wait for room, with the admission they belong to.
        keeps: A message that has come takes up its room until it has got in elsewhere, which `wake` says. Otherwise a
            mailbox that is full would hold nobody back who sets its messages.
        kept: How many do.
    """

    _timers: Timers
    deliver: Callable[[M], object]
    capacity: int
    dropped: Callable[[M, str], None]
    keeps: bool = False
    line: deque[tuple[_Later[M], Admission]] = attrs.field(factory=deque, init=False, repr=False)
    _abandoned: int = attrs.field(default=0, init=False)
    _set: dict[int, _Later[M]] = attrs.field(factory=dict, init=False, repr=False)
    _successions: dict[str, _Succession[M]] = attrs.field(factory=dict, init=False, repr=False)
    _behind: int = attrs.field(default=0, init=False)
    kept: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        """How many are set, those behind others included."""
        return len(self._set) + self._behind

    @property
    def is_full(self) -> bool:
        """Whether one more would have to wait."""
        return len(self) + self.kept >= self.capacity

    def has_in_line(self, admission: Admission) -> bool:
        """Whether a message of `admission` waits for room."""
        return any(other is admission for _, other in self.line)

    def wake(self) -> None:
        """One that has come, and whose room is kept, has got in elsewhere."""
        self.kept -= 1
        self._admit()

    def set(
        self, due: float, message: M, admission: Admission | None = None, *, key: str | None = None
    ) -> Admission | None:
        """Have `message` delivered at `due`, or at the loop's next turn if that has passed.

        Args:
            admission: What to wait for room by, if there is none.
            key: It comes after those that were set before under this key, and are not `finished`.

        Returns:
            What to wait for where there is no room: `admission` where it was given.
        """
        later = _Later(due, message, key)
        if key is not None and key not in self._successions:
            self._successions[key] = _Succession(message)
        if not self.is_full:
            self._enter(later)
            return None
        admission = Admission(self._timers.port) if admission is None else admission
        admission.stand_in_line(self._abandon)
        self.line.append((later, admission))
        return admission

    def finished(self, key: str, message: M) -> bool:
        """Set the one that comes after `message`, which was set under `key` and won't come again.

        A message that was never set, or stood behind others, is finished without that.

        Returns:
            Whether another one of `key` is still to come, or has come and is not finished.
        """
        succession = self._successions.get(key)
        if succession is None:
            return False
        if succession.first is not message:
            return True
        if succession.behind:
            later = succession.behind.popleft()
            self._behind -= 1
            succession.first = later.message
            self._push(later)
            return True
        in_line = next((later for later, _ in self.line if later.key == key), None)
        if in_line is None:
            del self._successions[key]
            return False
        succession.first = in_line.message
        return True

    def cancel(self, due_after: float = -math.inf) -> list[M]:
        """Forget every message that is due after `due_after`, those in line included.

        Returns:
            Those messages, in the order in which they would have been due, then those behind them, then those in line.
            Each one that was set under a key is `finished` as soon as the caller says so.
        """
        numbers = [number for number, later in self._set.items() if later.due > due_after]
        numbers.sort(key=lambda number: (self._set[number].due, number))
        cancelled = [self._set.pop(number).message for number in numbers]
        self._timers.cancelled(len(numbers))
        for succession in self._successions.values():
            cancelled += [later.message for later in succession.behind if later.due > due_after]
            succession.behind = deque(later for later in succession.behind if later.due <= due_after)
        self._behind = sum(len(each.behind) for each in self._successions.values())
        for _ in range(len(self.line)):
            later, admission = self.line.popleft()
            if later.due > due_after:
                cancelled.append(later.message)
                self._abandoned -= admission.abandoned
                admission.admit()
            else:
                self.line.append((later, admission))
        self._admit()
        return cancelled

    def holds(self, number: int) -> bool:
        """Whether the timer of this number is one of a message that is set."""
        return number in self._set

    def fall_due(self, number: int) -> None:
        """Deliver the message of this timer."""
        later = self._set.pop(number)
        if self.keeps:
            self.kept += 1
        else:
            self._admit()
        self.deliver(later.message)

    def _enter(self, later: _Later[M]) -> None:
        succession = None if later.key is None else self._successions.get(later.key)
        if succession is None or succession.first is later.message:
            self._push(later)
        else:
            succession.behind.append(later)
            self._behind += 1

    def _push(self, later: _Later[M]) -> None:
        self._set[self._timers.set(later.due, self)] = later

    def _admit(self) -> None:
        """Let those in line in, as far as there is room."""
        while self.line and not self.is_full:
            later, admission = self.line.popleft()
            self._abandoned -= admission.abandoned
            self._enter(later)
            admission.admit()

    def _abandon(self, admission: Admission) -> None:
        """A writer has gone: its messages keep their places, within the bound that mailboxes have as well."""
        kept: deque[tuple[_Later[M], Admission]] = deque()
        removed: list[M] = []
        for entry in self.line:
            if entry[1] is admission:
                if self._abandoned >= self.capacity:
                    removed.append(entry[0].message)
                    admission.waiting -= 1
                    continue
                self._abandoned += 1
            kept.append(entry)
        self.line = kept
        for message in removed:
            self.dropped(message, ABANDONED)

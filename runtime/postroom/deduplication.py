"""Deduplication: the same id within a window is the same event.

Only ids that users choose are remembered; those that the runtime makes are unique.

Units: seconds on the loop's clock.
"""

from collections import OrderedDict
from typing import Final

import attrs

from .errors import ConflictingEvent
from .event import Event
from .receipt import Receipt

MOST_IDS: Final = 100_000
WINDOW: Final = 600.0


@attrs.define(eq=False)
class Deduplication:
    """Receipts by chosen id, the newest 100,000 of the last 10 minutes."""

    # Not a plain dict: finding the oldest one of those passes over all that were removed before it.
    _receipts: OrderedDict[str, tuple[float, Event, Receipt]] = attrs.field(factory=OrderedDict, init=False, repr=False)
    _staged: dict[str, dict[str, tuple[Event, Receipt]]] = attrs.field(factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self._receipts)

    def find(self, event: Event, now: float, group: str | None = None) -> Receipt | None:
        """The receipt of the event that was accepted under this id, or is staged in this very group, if any.

        One that is staged elsewhere may never be accepted, so it is found by nobody.

        Args:
            event: As the user gave it, before any interceptor.

        Raises:
            ConflictingEvent: that event, or one staged anywhere under this id, is another one.
        """
        self._forget_old(now)
        entry = self._receipts.get(event.id)
        if entry is not None:
            check_same(entry[1], event)
            return entry[2]
        staged = self._staged.get(event.id)
        if staged is None:
            return None
        check_same(next(iter(staged.values()))[0], event)  # all of them are the same
        return None if group is None or group not in staged else staged[group][1]

    def reserve(self, event: Event, group: str, receipt: Receipt) -> None:
        """An event with a chosen id is staged: until it is released or cleared, the id stands for it."""
        self._staged.setdefault(event.id, {})[group] = (event, receipt)

    def free(self, event: Event, group: str) -> None:
        """It is not staged there any more."""
        staged = self._staged[event.id]
        del staged[group]
        if not staged:
            del self._staged[event.id]

    def remember(self, event: Event, receipt: Receipt, now: float) -> None:
        """Keep the receipt of an event that was accepted under a chosen id; `event` is what the user gave."""
        self._receipts[event.id] = (now, event, receipt)
        while len(self._receipts) > MOST_IDS:
            self._receipts.popitem(last=False)

    def _forget_old(self, now: float) -> None:
        while self._receipts:
            id = next(iter(self._receipts))
            if self._receipts[id][0] + WINDOW > now:
                return
            self._receipts.popitem(last=False)


def check_same(first: Event, second: Event) -> None:
    """Raises ConflictingEvent where two events of one id differ in what the user gave."""
    for field in ("name", "data", "key", "headers"):
        if not _equal(getattr(first, field), getattr(second, field)):
            raise ConflictingEvent(second.id, field)


def _equal(one: object, other: object) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:  # such as an array, whose comparison is no truth value: not known to be equal
        return False

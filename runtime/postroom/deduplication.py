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
    _receipts: OrderedDict[str, tuple[float, Receipt]] = attrs.field(factory=OrderedDict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self._receipts)

    def find(self, event: Event, now: float) -> Receipt | None:
        """The receipt of the event that was accepted under this id, if any.

        Raises:
            ConflictingEvent: that event was another one.
        """
        self._forget_old(now)
        entry = self._receipts.get(event.id)
        if entry is None:
            return None
        check_same(entry[1].event, event)
        return entry[1]

    def remember(self, receipt: Receipt, now: float) -> None:
        """Keep the receipt of an event that was accepted under a chosen id."""
        self._receipts[receipt.event.id] = (now, receipt)
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

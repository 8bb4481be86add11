"""A subscription's rate over all processes, as a store meters what it lends.

A store keeps one time for each subscription with a rate: `due`, when the next delivery is due on average. Whoever asks
a little late is not charged for that: what was missed within `SLACK` may be lent at once.

Units: seconds, on the store's clock.
Source: the generic cell rate algorithm (ITU-T I.371).
"""

import math
from typing import Final

SLACK: Final = 0.05
"""How late a fetch may come without the rate getting lower by it."""

_ROUNDING: Final = 1e-6
"""Times are sums of intervals: one that is due but for this is due."""


def may_lend(interval: float, burst: int, due: float, now: float) -> int:
    """How many deliveries may be lent now."""
    return max(0, math.floor((now - max(due, now - SLACK) + _ROUNDING) / interval) + burst)


def due_after(interval: float, due: float, now: float, count: int) -> float:
    """When the next one is due on average, after so many more attempts."""
    return max(due, now - SLACK) + count * interval


def opens_at(interval: float, burst: int, due: float) -> float:
    """From when on another one may be lent."""
    return due - (burst - 1) * interval

"""How long attempts take: what `postroom top` shows as p50 and p99.

It stands around attempts as an interceptor does, so a service pays for it only where it was asked for.

Units: seconds, on the loop's own stopwatch.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs

from ..context import Context

KEPT: Final = 1024
"""Attempts of a subscription that the figures are of: the last ones."""

MOST_NAMES: Final = 10_000


@attrs.define(eq=False)
class Meter:
    """The last attempts of each subscription."""

    _seconds: dict[str, deque[float]] = attrs.field(factory=dict, init=False)

    async def around(self, context: Context, call_next: Callable[[], Awaitable[Any]]) -> Any:
        """The interceptor."""
        begun = time.perf_counter()
        try:
            return await call_next()
        finally:
            self.add(context.subscription, time.perf_counter() - begun)

    def add(self, subscription: str, seconds: float) -> None:
        """Note an attempt, however it ended."""
        kept = self._seconds.get(subscription)
        if kept is None:
            if len(self._seconds) >= MOST_NAMES:
                return
            kept = self._seconds[subscription] = deque(maxlen=KEPT)
        kept.append(seconds)

    def percentiles(self, subscription: str) -> tuple[float | None, float | None]:
        """The time within which half, and 99 of 100, of the last attempts have ended; None where none has."""
        kept = sorted(self._seconds.get(subscription, ()))
        if not kept:
            return None, None
        return kept[(len(kept) - 1) // 2], kept[-(-99 * len(kept) // 100) - 1]

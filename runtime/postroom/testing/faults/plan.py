"""Which calls of a store go wrong, and how.

Units: seconds on the event loop's clock.
"""

import enum
import random
from collections.abc import Sequence
from typing import Final, Protocol

import anyio
import attrs


class Fault(enum.StrEnum):
    """One way in which a call goes wrong."""

    BUSY = "busy"
    """`StoreBusy`, and nothing was done."""
    FULL = "full"
    """`StoreFull`, and nothing was done."""
    LOST_REQUEST = "lost request"
    """`UnknownResult`, and nothing was done."""
    LOST_REPLY = "lost reply"
    """`UnknownResult`, and it was done."""
    BROKEN = "broken"
    """`StoreBroken`, and nothing was done, now and from now on."""
    SLOW = "slow"
    """It takes some seconds more before it is done, and some more before it answers."""
    TWICE = "twice"
    """It is done twice, as a request that arrives once more; the first reply counts. Not for what waits or lends."""
    STALE = "stale"
    """It answers as it did when it was last asked for the same: a listing that lags behind. For no other calls."""
    CRASH = "crash"
    """The process dies before it is done."""
    CRASH_AFTER = "crash after"
    """It is done, and the process dies before it hears of it."""


ERRORS: Final = (Fault.BUSY, Fault.LOST_REQUEST, Fault.LOST_REPLY)
"""The three kinds that a runtime has to live with for as long as they last."""


LISTINGS: Final = frozenset({"subscriptions", "letters", "groups", "runs"})
"""The calls that may be stale."""


class Plan(Protocol):
    """Decides on each call."""

    def __call__(self, number: int, call: str, /) -> Fault | None:
        """What happens to a call, or None for nothing.

        Args:
            number: Of the call, in the order in which they were made, from 1.
            call: The name of the store's method, or of its journal's; `reclaim runs` for the journal's `reclaim`.
        """
        ...


def all_well(number: int, call: str) -> Fault | None:
    """A plan in which nothing goes wrong."""
    return None


@attrs.frozen
class Once:
    """The n-th call fails, no other one does."""

    number: int
    fault: Fault

    def __call__(self, number: int, call: str) -> Fault | None:
        return self.fault if number == self.number else None


@attrs.define(eq=False)
class While:
    """From the n-th call on every call fails, for some seconds."""

    number: int
    fault: Fault
    seconds: float
    _until: float | None = attrs.field(default=None, init=False)

    def __call__(self, number: int, call: str) -> Fault | None:
        if number < self.number:
            return None
        now = anyio.current_time()
        if self._until is None:
            self._until = now + self.seconds
        return self.fault if now < self._until else None


@attrs.define(eq=False)
class Random:
    """Calls fail at random, by a seed: as many as `rate` says, in one of some ways."""

    seed: int
    rate: float = 0.1
    faults: Sequence[Fault] = ERRORS
    _random: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, number: int, call: str) -> Fault | None:
        return self._random.choice(self.faults) if self._random.random() < self.rate else None

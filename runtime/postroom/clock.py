"""The two times that a runtime reads: the loop's, for waits, and the wall's, for people.

Units: seconds.
"""

import time
from collections.abc import Callable
from typing import Protocol

import attrs


class Clock(Protocol):
    """What `Runtime(clock=…)` takes, for simulations.

    Attributes:
        time: Reads the seconds since the epoch, UTC; only ever told to people (`Event.time`).

    Waits are on the event loop's own clock, which is virtual where the loop's is.
    """

    @property
    def time(self) -> Callable[[], float]: ...


@attrs.frozen
class SystemClock:
    """The machine's wall clock."""

    time: Callable[[], float] = time.time

"""The time of day: that of this process, for schedules; and that of the store, for runs.

Units: seconds since the epoch.
"""

from collections.abc import Callable

import anyio
import attrs

from ..journalling import Backstage


@attrs.frozen(eq=False)
class WallTime:
    """Reads the time of day; in virtual time one that goes with the loop's."""

    _backstage: Backstage

    def now(self) -> float:
        """The time of day."""
        return self._backstage.time()


@attrs.frozen(eq=False)
class StoreTime:
    """The time of day as a store told it with a run, which goes on with the loop's clock.

    A run's times are compared in whichever process has it: by their own clocks one would wait for what another one's
    has long seen.

    Attributes:
        told: What it was.
        loop: Reads the loop's clock.
    """

    told: float
    loop: Callable[[], float]
    _ahead: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_ahead", self.told - self.loop())

    def now(self) -> float:
        """The time of day."""
        return self.loop() + self._ahead

    def loop_time(self, due: float) -> float:
        """A time of day on the loop's clock; one that is over is now."""
        return max(self.loop(), due - self._ahead)

    async def sleep_until(self, due: float) -> None:
        """Wait until a time of day.

        Cancellation: changes nothing.
        """
        await anyio.sleep(max(0.0, due - self.now()))

"""The time of day, as workflows see it.

Units: seconds since the epoch.
"""

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

    async def sleep_until(self, due: float) -> None:
        """Wait until a time of day.

        Cancellation: changes nothing.
        """
        await anyio.sleep(max(0.0, due - self.now()))

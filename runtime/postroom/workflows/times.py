"""The time of day, as workflows see it: the wall clock, and in virtual time one that goes with the loop's.

Units: seconds since the epoch.
"""

import anyio
import attrs

from ..journalling import Backstage


@attrs.define(eq=False)
class WallTime:
    """Reads the time of day. In virtual time the machine's clock stands, so the loop's is added to it."""

    _backstage: Backstage
    _epoch: float = attrs.field(init=False)
    _is_virtual: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._is_virtual = self._backstage.is_virtual()
        self._epoch = self._backstage.time() - anyio.current_time()

    def now(self) -> float:
        """The time of day."""
        if self._is_virtual:
            return self._epoch + anyio.current_time()
        return self._backstage.time()

    async def sleep_until(self, due: float) -> None:
        """Wait until a time of day.

        Cancellation: changes nothing.
        """
        await anyio.sleep(max(0.0, due - self.now()))

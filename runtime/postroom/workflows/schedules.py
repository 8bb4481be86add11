"""Schedules: runs at times that a cron expression or an interval says.

Units: seconds; times in seconds since the epoch.
"""

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeAlias

import anyio
import attrs
from cronsim import CronSim, CronSimError

from ..checks import check_number
from ..errors import InvalidOption
from ..store_errors import UnknownResult
from .times import WallTime

Slots: TypeAlias = Callable[[float], float]
"""From a time to the first slot after it; infinity for none."""


def slots_of(cron: str | None, every: float | None) -> Slots:
    """The slots of a schedule.

    Raises:
        InvalidOption: neither or both are given, or one can't be read.
    """
    if (cron is None) == (every is None):
        raise InvalidOption("cron", cron, "give either `cron=` or `every=`")
    if every is not None:
        interval = check_number("every", every, "seconds", above=True)
        return lambda after: (math.floor(after / interval) + 1) * interval
    expression = str(cron)

    def next_slot(after: float) -> float:
        try:
            return next(CronSim(expression, datetime.fromtimestamp(after, UTC))).timestamp()
        except StopIteration:  # such as a second Monday that is the 1st or the 29th
            return math.inf

    try:
        next_slot(0.0)
    except CronSimError as error:
        raise InvalidOption("cron", expression, f"is no cron expression ({error})") from error
    return next_slot


@attrs.define(eq=False)
class Schedule:
    """A workflow that runs again and again; made by `workflows.schedule`.

    Attributes:
        name: Of the schedule; the beginning of its runs' ids.
        times: Runs after which it ends, in all processes together; None for no end.
        stopped: It begins nothing any more.
    """

    name: str
    _slots: Slots
    times: int | None
    stopped: bool = attrs.field(default=False, init=False)
    _stopping: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    def stop(self) -> None:
        """Begin nothing any more; a run that has begun goes on."""
        self.stopped = True
        self._stopping.set()

    async def serve(self, begin: Callable[[str], Awaitable[bool]], times: WallTime) -> None:
        """Begin runs at their times, until `begin` says that there were enough.

        Cancellation: is one end of it.
        """
        slot = times.now()
        while not self.stopped:
            slot = self._slots(max(slot, times.now() - 1e-6))
            if slot == math.inf:
                self.stop()
                return
            with anyio.move_on_after(max(0.0, slot - times.now())):
                await self._stopping.wait()
            if self.stopped:
                return
            await self._begin(begin, f"{self.name}:{datetime.fromtimestamp(slot, UTC):%Y-%m-%dT%H:%M:%S.%f}")

    async def _begin(self, begin: Callable[[str], Awaitable[bool]], id: str) -> None:
        while not self.stopped:
            try:
                if not await begin(id):
                    self.stop()
                return
            except UnknownResult:  # the store has been silent for long; the id makes it the same run
                continue

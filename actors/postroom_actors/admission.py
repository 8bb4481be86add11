"""Admissions: the wait of a writer whose messages stand in line for room."""

from collections.abc import Callable
from typing import Any, Final

import attrs

from .port import Port, Wakeable

ABANDONED: Final = "its writer went away while it waited for room, and so did too many others"


@attrs.define(eq=False)
class Admission:
    """A wait for room: of whoever has messages in the lines of one or more mailboxes.

    Attributes:
        waiting: How many of its messages still stand in a line.
        abandoned: Nobody waits any more; the messages keep their places.
    """

    _port: Port
    waiting: int = attrs.field(default=0, init=False)
    abandoned: bool = attrs.field(default=False, init=False)
    _when_abandoned: "list[Callable[[Any], None]]" = attrs.field(factory=list, init=False, repr=False)
    _sleepers: list[Wakeable] = attrs.field(factory=list, init=False, repr=False)

    def stand_in_line(self, when_abandoned: "Callable[[Admission], None]") -> None:
        """One more message stands in a line, whose owner is told if nobody waits for it any more."""
        self.waiting += 1
        if when_abandoned not in self._when_abandoned:
            self._when_abandoned.append(when_abandoned)

    def admit(self) -> None:
        """One message has left its line."""
        self.waiting -= 1
        if not self.waiting:
            for sleeper in tuple(self._sleepers):
                sleeper.wake()

    def attend(self, sleeper: Wakeable) -> None:
        """Wake `sleeper`, too, when none of the messages stands in a line any more."""
        self._sleepers.append(sleeper)

    def leave(self, sleeper: Wakeable) -> None:
        """Whose `sleeper` it is waits no more: the messages keep their places in line, and are counted there."""
        self._sleepers.remove(sleeper)
        if self.waiting and not self._sleepers and not self.abandoned:
            self.abandoned = True
            for tell in self._when_abandoned:
                tell(self)

    async def wait(self) -> None:
        """Wait until none of the messages stands in a line any more.

        Cancellation: the messages keep their places in line. Those that nobody waits for any more are counted by
        each line, and beyond its bound on them dropped.
        """
        sleeper = self._port.sleeper()
        self._sleepers.append(sleeper)
        try:
            while self.waiting:
                await sleeper.park()
        finally:
            self.leave(sleeper)

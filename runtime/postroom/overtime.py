"""Handlers that go on although their attempt was cancelled: found, named, and counted as stuck.

Such a handler cannot be abandoned inside one process, so its place at the actor stays taken; all that can be done is
to say so.

Units: seconds.
"""

import math
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs

from postroom_actors import Actor, Hand, Port, Schedule, Timers

_ROUNDING: Final = 0.001
"""The loop's clock and the stopwatch are two clocks; a timer may come early by less than this."""


class Alarm(Protocol):
    """Somebody who set an alarm."""

    def look(self) -> None:
        """It is time."""
        ...


def alarms_on(timers: Timers) -> Schedule[Alarm]:
    """A schedule for alarms, of which there are few for each who sets them."""
    return Schedule(timers, lambda alarm: alarm.look(), sys.maxsize, _never_dropped)


def _never_dropped(_alarm: Alarm, _reason: str) -> None:
    raise AssertionError("there is room for every alarm")


@attrs.define(eq=False)
class Overtime:
    """Looks after the attempts of one subscription of which some have a timeout.

    One alarm is set for all of its workers, not one for each attempt: an attempt in time costs a comparison.

    Attributes:
        grace: How long a cancelled handler may clean up before it counts as stuck.
        tell: Told of each worker that is found stuck, once.
    """

    _limit_of: Callable[[Any], float]  # how long what is in hand may take; infinite for no limit
    grace: float
    _actor: Actor[Any]
    _port: Port
    _alarms: Schedule[Alarm]
    tell: Callable[[Any, float, float], None]  # of what a worker has in hand, its limit, and the grace
    _set: list[float] = attrs.field(factory=list, init=False)  # when alarms are due, the earliest last
    _told: dict[Hand[Any], float] = attrs.field(factory=dict, init=False)

    @property
    def stuck(self) -> int:
        """How many workers are stuck now."""
        return sum(self._left(hand) <= _ROUNDING for hand in self._actor.hands)

    def expect_by(self, deadline: float) -> None:
        """An attempt has begun that is to end by `deadline`, on the loop's clock."""
        due = deadline + self.grace
        if not self._set or due < self._set[-1]:
            self._set.append(due)
            self._alarms.set(due, self)

    def look(self) -> None:
        """The alarm: name who is stuck, and set the next alarm if anybody is at work."""
        self._set.pop()  # one for each alarm
        soonest = math.inf
        for hand in self._actor.hands:
            left = self._left(hand)
            if left > _ROUNDING:
                soonest = min(soonest, left)
            elif self._told.get(hand) != hand.since:
                self._told[hand] = hand.since
                self.tell(hand.message, self._limit_of(hand.message), self.grace)
        if soonest < math.inf:
            self.expect_by(self._port.now() + soonest - self.grace)

    def _left(self, hand: Hand[Any]) -> float:
        """Seconds until what a worker has in hand would be stuck; infinite where it has nothing."""
        if hand.message is None:
            return math.inf
        return hand.since + self._limit_of(hand.message) + self.grace - self._port.stopwatch()

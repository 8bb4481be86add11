"""The rules of supervision: what a failure means for its actor and the actor's siblings, and how often it may.

Everything here decides; nothing waits, and nothing knows tasks.

Units: seconds, on whatever clock the caller reads.
Source: the supervisors of Erlang's OTP (their strategies, intensity and period) and the directives of Akka.
"""

import enum
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import attrs


class Directive(enum.Enum):
    """What is done about a failure."""

    RESUME = "resume"
    """Only what was attempted has failed; the actor goes on as it is."""
    RESTART = "restart"
    """A fresh instance goes on with the same mailbox."""
    STOP = "stop"
    """The actor ends, and what is in its mailbox fails."""
    ESCALATE = "escalate"
    """Everything ends: whoever opened the block in which it lives has to decide."""


class Moment(enum.Enum):
    """What an actor was doing when it failed."""

    HANDLING = "handling"
    """It had a message in hand."""
    STARTING = "starting"
    """Its instance was made, or started."""
    LIVING = "living"
    """Something that its instance had opened for its life failed, such as a task in the background."""
    STOPPING = "stopping"
    """Its instance was stopped; it is gone in any case."""


EFFECTIVE: Final[Mapping[Moment, Mapping[Directive, Directive]]] = {
    Moment.HANDLING: {directive: directive for directive in Directive},
    # There is no instance, or no whole one, that could be resumed.
    Moment.STARTING: {
        Directive.RESUME: Directive.RESTART,
        Directive.RESTART: Directive.RESTART,
        Directive.STOP: Directive.STOP,
        Directive.ESCALATE: Directive.ESCALATE,
    },
    Moment.LIVING: {
        Directive.RESUME: Directive.RESTART,
        Directive.RESTART: Directive.RESTART,
        Directive.STOP: Directive.STOP,
        Directive.ESCALATE: Directive.ESCALATE,
    },
    # Whatever ended the instance has been decided already.
    Moment.STOPPING: {
        Directive.RESUME: Directive.RESUME,
        Directive.RESTART: Directive.RESUME,
        Directive.STOP: Directive.RESUME,
        Directive.ESCALATE: Directive.ESCALATE,
    },
}
"""What a policy's directive comes to at each moment."""


def effective(moment: Moment, directive: Directive) -> Directive:
    """What a policy's directive comes to at a moment."""
    return EFFECTIVE[moment][directive]


class Strategy(enum.Enum):
    """Which of some siblings are restarted when one of them is."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"
    """The one that failed and those after it, which may depend on it."""


def affected(strategy: Strategy, failed: int, count: int) -> range:
    """The positions, among `count` siblings, of those that are restarted when the one at `failed` is."""
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return range(failed, failed + 1)
        case Strategy.ONE_FOR_ALL:
            return range(count)
        case _:  # the rest, for one
            return range(failed, count)


class Phase(enum.Enum):
    """Where the instance of a supervised actor is in its life."""

    DOWN = "down"
    """There is none; the next one waits for its turn."""
    STARTING = "starting"
    ALIVE = "alive"
    LEAVING = "leaving"
    """It is to stop, or stopping."""
    ENDED = "ended"
    """There will be no more."""


def may_stop(later: Iterable[Phase]) -> bool:
    """Whether an instance may be stopped, by the phases of those that started after it: they stop first."""
    return Phase.LEAVING not in later


def may_start(earlier: Iterable[Phase], all_siblings: Iterable[Phase]) -> bool:
    """Whether an instance may be started: once all that are to stop have, and those before it have started."""
    return Phase.LEAVING not in all_siblings and not {Phase.DOWN, Phase.STARTING}.intersection(earlier)


@attrs.define(eq=False)
class Intensity:
    """Counts restarts, and knows when there are too many: more than `most` within `within` seconds.

    As with OTP, both ends of the period count, and the restart that is too many isn't made.
    """

    most: int
    within: float
    _times: deque[float] = attrs.field(factory=deque, init=False, repr=False)

    @property
    def count(self) -> int:
        """Restarts in the period that ended with the last one."""
        return len(self._times)

    def allows(self, now: float) -> bool:
        """Count one more restart; whether it may be made."""
        while self._times and self._times[0] + self.within < now:
            self._times.popleft()
        self._times.append(now)
        if len(self._times) > self.most:
            self._times.popleft()  # its memory stays bounded, whatever the caller does with the answer
            return False
        return True

"""Supervision as it is declared: what a subscription's failures mean beyond the attempt that failed.

Units: seconds.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from postroom_actors import Directive, Strategy

from .checks import check_number, is_count, is_word, paired, seconds
from .errors import Closed, InvalidOption
from .retry import Backoff

DirectiveName: TypeAlias = Literal["resume", "restart", "stop", "escalate"]
BeyondName: TypeAlias = Literal["stop", "escalate"]
StrategyName: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]

DIRECTIVES: Final = tuple(each.value for each in Directive)
STRATEGIES: Final = tuple(each.value for each in Strategy)
BEYOND: Final = ("stop", "escalate")

GRAVITY: Final = tuple(Directive)
"""From the lightest to the gravest."""


def one_of(*known: str) -> Any:
    """A field's check: one of some words."""

    def check(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not is_word(value, known):
            raise InvalidOption(attribute.name, value, f"must be one of {', '.join(known)}")

    return check


def _check_on(_instance: object, _attribute: object, on: Any) -> None:
    if not isinstance(on, Mapping):
        raise InvalidOption("on", on, 'must map exception classes to directives: {ConnectionError: "restart"}')
    for kind, directive in paired("on", on).items():
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            raise InvalidOption("on", kind, "its keys must be classes of exceptions")
        if not is_word(directive, DIRECTIVES):
            raise InvalidOption("on", directive, f"its values must be one of {', '.join(DIRECTIVES)}")


def check_intensity(_instance: object, _attribute: object, value: object) -> None:
    """A field's check: how many restarts."""
    if not is_count(value, 0):
        raise InvalidOption("intensity", value, "must be a whole number of restarts, at least 0")


def _check_backoff(_instance: object, _attribute: object, value: Any) -> None:
    if value is not None and not callable(value):
        raise InvalidOption("backoff", value, "must be `exponential(…)`, `constant(…)` or a function of your own")


DEFAULT_INTENSITY: Final = 3
DEFAULT_WITHIN: Final = 60.0


@attrs.define
class SubscriptionStopped(Closed):
    """In `Failed`: the subscription was stopped by its supervision before the event was handled."""

    subscription: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.subscription!r} was stopped by its supervision: {self.reason}. "
            "Spawn it again, and replay its dead letters."
        )


@attrs.frozen(kw_only=True)
class Supervision:
    """What the failures of a subscription mean for it, beyond the attempt that failed.

    The directives: `resume`, nothing more; `restart`, a fresh instance of the actor goes on with the same mailbox;
    `stop`, the subscription ends and what is in its mailbox fails; `escalate`, the runtime falls.

    Attributes:
        on: Directives by class of exception; the nearest class of an exception's ancestors counts. For a group of
            exceptions whose own class is not named, the gravest of theirs does.
        default: The directive for all others.
        intensity: Restarts that are made within `within` seconds; one more and `beyond` happens instead. Those that
            one delivery causes count once.
        within: Seconds.
        beyond: What happens beyond the intensity: `stop` or `escalate`.
        backoff: How long to wait before a restart, by the number of restarts within the last `within` seconds; None
            for not at all.

    Source: the supervisors of Erlang's OTP (intensity and period), and the directives of Akka.
    """

    on: Mapping[type[Exception], DirectiveName] = attrs.field(factory=dict, validator=_check_on)
    default: DirectiveName = attrs.field(default="resume", validator=one_of(*DIRECTIVES))
    intensity: int = attrs.field(default=DEFAULT_INTENSITY, validator=check_intensity)
    within: float = attrs.field(default=DEFAULT_WITHIN, validator=seconds(above=True))
    beyond: BeyondName = attrs.field(default="stop", validator=one_of(*BEYOND))
    backoff: Backoff | None = attrs.field(default=None, validator=_check_backoff)

    def directive_for(self, error: BaseException) -> Directive:
        """The directive for what was raised; of a group, the gravest one of what is in it."""
        found: set[Directive] = set()
        unseen = [error]
        while unseen:  # not recursion: groups may be nested deeper than Python recurses
            current = unseen.pop()
            kind = next((kind for kind in type(current).__mro__ if kind in self.on), None)
            is_named = kind is not None and issubclass(kind, BaseExceptionGroup)
            if isinstance(current, BaseExceptionGroup) and not is_named:
                unseen.extend(current.exceptions)
            else:
                found.add(self._directive_of(type(current)))
        return max(found, key=GRAVITY.index)

    def _directive_of(self, kind: type[BaseException]) -> Directive:
        named = next((self.on[each] for each in kind.__mro__ if each in self.on), None)
        return Directive(self.default if named is None else named)

    @property
    def restarts(self) -> bool:
        """Whether it asks for a restart of anything."""
        return "restart" in (self.default, *self.on.values())


def wait_before_restart(backoff: Backoff | None, restarts: int, random: Any) -> float:
    """Seconds to wait before the restart of this number, from 1.

    Raises:
        Exception: whatever a backoff of the user's own raises.
        InvalidOption: that backoff returned what no wait can be.
    """
    if backoff is None:
        return 0.0
    wait = backoff(restarts, random)
    check_number("backoff", wait, "seconds")
    return wait

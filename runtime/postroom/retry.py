"""When a failed attempt is repeated: how often, after which exceptions, after what wait.

Units: seconds; attempts counted from 1, the first one included.
"""

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

import attrs

from .checks import check_number, is_count
from .errors import InvalidOption

Backoff: TypeAlias = Callable[[int, Random], float]
"""From the number of the attempt that failed (from 1), and the runtime's randomness, to the seconds to wait."""


@attrs.frozen
class Exponential:
    """Waits that grow by a factor, each drawn at random from half of it to all of it.

    The spread keeps deliveries that failed together from coming back together.

    Source: "Exponential Backoff and Jitter" (Brooker, AWS, 2015), there called equal jitter.
    """

    first: float
    factor: float = 2.0
    limit: float = math.inf
    jitter: bool = True

    def __call__(self, attempt: int, random: Random) -> float:
        try:
            wait = self.first * self.factor ** (attempt - 1)
        except OverflowError:
            wait = math.inf
        wait = min(wait, self.limit)
        return wait * random.uniform(0.5, 1.0) if self.jitter else wait


@attrs.frozen
class Constant:
    """The same wait each time."""

    seconds: float

    def __call__(self, attempt: int, random: Random) -> float:
        return self.seconds


def exponential(first: float, *, factor: float = 2.0, limit: float = 3600.0, jitter: bool = True) -> Exponential:
    """A backoff of `first` seconds, then `factor` times as long each time, at most `limit` seconds.

    With `jitter` each wait is drawn at random from its upper half.

    Raises:
        InvalidOption: a value that no wait can have.
    """
    check_number("first", first, "seconds")
    check_number("limit", limit, "seconds")
    check_number("factor", factor, "", least=1.0)
    return Exponential(first, factor, limit, jitter)


def constant(seconds: float) -> Constant:
    """A backoff that always waits `seconds`.

    Raises:
        InvalidOption: a value that no wait can have.
    """
    check_number("seconds", seconds, "seconds")
    return Constant(seconds)


def check_backoff(value: object) -> None:
    """Raises InvalidOption for what is no backoff."""
    if not callable(value):
        raise InvalidOption("backoff", value, "must be `exponential(…)`, `constant(…)` or a function of your own")


def check_attempts(value: object) -> None:
    """Raises InvalidOption for what is no number of attempts."""
    if not is_count(value, 1):
        raise InvalidOption("attempts", value, "must be a whole number of attempts, the first one included, at least 1")


def _check_attempts(_retry: object, _attribute: object, value: Any) -> None:
    if value is not None:
        check_attempts(value)


def _check_backoff(_retry: object, _attribute: object, value: Any) -> None:
    if value is not None:
        check_backoff(value)


def check_classes(_instance: object, _attribute: object, value: object) -> None:
    """A field's check: a tuple of classes of exceptions."""
    if not isinstance(value, tuple) or not all(
        isinstance(kind, type) and issubclass(kind, BaseException) for kind in value
    ):
        raise InvalidOption("on", value, "must be an exception class or a tuple of them")


def as_classes(value: Any) -> Any:
    """One class, or several, as a tuple."""
    return (value,) if isinstance(value, type) else value


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group, such as a task group raises, and in groups within it; else `error` alone."""
    unseen = [error]
    while unseen:  # not recursion: groups may be nested deeper than Python recurses
        current = unseen.pop()
        if isinstance(current, BaseExceptionGroup):
            unseen.extend(reversed(current.exceptions))
        else:
            yield current


@attrs.frozen(kw_only=True)
class Retry:
    """A subscriber's policy for failed attempts.

    A retry repeats whatever the handler did before it failed, which is why one attempt is the default.

    Attributes:
        attempts: How often a delivery is tried at the most, the first time included; None leaves it to the runtime's
            `defaults`, and those to 1.
        backoff: How long to wait after a failed attempt; None likewise, in the end `exponential(0.1, limit=30.0)`.
        on: Exceptions that are worth another attempt; any other one is final. A group of exceptions is worth it where
            all that are in it are.
    """

    attempts: int | None = attrs.field(default=None, validator=_check_attempts)
    backoff: Backoff | None = attrs.field(default=None, validator=_check_backoff)
    on: tuple[type[BaseException], ...] = attrs.field(
        default=(Exception,),
        converter=as_classes,
        validator=check_classes,
    )

    def is_for(self, error: BaseException) -> bool:
        """Whether `error` is worth another attempt."""
        return isinstance(error, self.on) or all(isinstance(each, self.on) for each in leaves_of(error))


def checked_wait(backoff: Backoff, attempt: int, random: Random) -> float:
    """Seconds to wait after the attempt of this number.

    Raises:
        Exception: whatever a backoff of the user's own raises.
        InvalidOption: that backoff returned what no wait can be.
    """
    wait = backoff(attempt, random)
    check_number("backoff", wait, "seconds")
    return wait

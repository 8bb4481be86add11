"""Policies: how failures, time and the log go for a delivery, and which of several wishes counts.

The one place that knows the precedence: an event's own wish wins over the call's, that over the subscriber's, that
over the runtime's, that over the defaults. Each option is decided by itself, and None says nothing.

Units: seconds; attempts counted from 1.
"""

import math
from typing import Any, Final, Protocol

import attrs

from .checks import check_number
from .errors import InvalidOption
from .retry import Backoff, check_attempts, check_backoff, exponential


class Wishes(Protocol):
    """Whatever may say something about the four options; None says nothing."""

    @property
    def attempts(self) -> int | None: ...
    @property
    def backoff(self) -> Backoff | None: ...
    @property
    def timeout(self) -> float | None: ...
    @property
    def quiet(self) -> bool | None: ...


def _check_attempts(_policy: object, _attribute: object, value: Any) -> None:
    if value is not None:
        check_attempts(value)


def _check_backoff(_policy: object, _attribute: object, value: Any) -> None:
    if value is not None:
        check_backoff(value)


def _check_timeout(_policy: object, _attribute: object, value: Any) -> None:
    if value is not None:
        check_timeout(value)


def _check_quiet(_policy: object, _attribute: object, value: Any) -> None:
    if value is not None:
        check_quiet(value)


def check_timeout(value: object) -> None:
    """Raises InvalidOption for what is no limit; infinity is one, and means none."""
    check_number("timeout", value, "seconds", above=True, finite=False)


def check_quiet(value: object) -> None:
    """Raises InvalidOption for what is neither yes nor no."""
    if not isinstance(value, bool):
        raise InvalidOption("quiet", value, "must be True or False")


@attrs.frozen(kw_only=True)
class Policy:
    """How failures, time and the log go where nobody nearer to the event says otherwise: `Runtime(defaults=…)`.

    Attributes:
        attempts: How often a delivery is tried at the most, the first time included.
        backoff: How long to wait after a failed attempt.
        timeout: Seconds that an attempt may take; `math.inf` for no limit, whatever comes after this one says.
        quiet: Retries and give-ups are not logged.

    Raises:
        InvalidOption: when it is made.
    """

    attempts: int | None = attrs.field(default=None, validator=_check_attempts)
    backoff: Backoff | None = attrs.field(default=None, validator=_check_backoff)
    timeout: float | None = attrs.field(default=None, validator=_check_timeout)
    quiet: bool | None = attrs.field(default=None, validator=_check_quiet)


SILENT: Final = Policy()
"""Says nothing."""


@attrs.frozen
class Decided:
    """The policy of one delivery, with nothing left open. `timeout` is infinite where there is no limit."""

    attempts: int = 1
    backoff: Backoff = attrs.field(factory=lambda: exponential(0.1, limit=30.0))
    timeout: float = math.inf
    quiet: bool = False


DEFAULTS: Final = Decided()


def first_said(*levels: Wishes) -> Policy:
    """Of each option what the first of `levels` says that says anything."""
    attempts: int | None = None
    backoff: Backoff | None = None
    timeout: float | None = None
    quiet: bool | None = None
    for level in levels:
        attempts = level.attempts if attempts is None else attempts
        backoff = level.backoff if backoff is None else backoff
        timeout = level.timeout if timeout is None else timeout
        quiet = level.quiet if quiet is None else quiet
    return Policy(attempts=attempts, backoff=backoff, timeout=timeout, quiet=quiet)


def decide(event: Wishes, subscriber: Wishes, runtime: Wishes, call: Wishes = SILENT) -> Decided:
    """The policy of a delivery. An accepted event has what its call said among its own."""
    said = first_said(event, call, subscriber, runtime, DEFAULTS)
    assert said.attempts is not None, "the defaults say everything"
    assert said.backoff is not None, "likewise"
    assert said.timeout is not None, "likewise"
    assert said.quiet is not None, "likewise"
    return Decided(said.attempts, said.backoff, said.timeout, said.quiet)


def says_nothing(event: Wishes) -> bool:
    """Whether an event leaves all of it to others, as nearly all do."""
    return event.attempts is None and event.backoff is None and event.timeout is None and event.quiet is None

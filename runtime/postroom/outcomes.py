"""Outcomes: how a delivery ended, one value for each subscription; and the report that holds them.

Made for `match`:

    match outcome:
        case Succeeded(value=value): ...
        case Failed(exception=exception): ...

Units: seconds spent in the handler, all attempts together; attempts that were made, 0 where there was none.
"""

from typing import Any, TypeAlias

import msgspec

from .errors import NotHandled
from .event import Event


class Succeeded(msgspec.Struct, frozen=True):
    """The handler returned `value`."""

    subscription: str
    value: Any
    attempts: int
    seconds: float


class Failed(msgspec.Struct, frozen=True):
    """The last attempt raised `exception`; the delivery is a dead letter now."""

    subscription: str
    exception: Exception
    attempts: int
    seconds: float


class Dropped(msgspec.Struct, frozen=True):
    """The mailbox had no room, and its policy or the bound on abandoned messages let this one go."""

    subscription: str
    reason: str
    attempts: int
    seconds: float


class Expired(msgspec.Struct, frozen=True):
    """It was too late to handle the event."""

    subscription: str
    reason: str
    attempts: int
    seconds: float


class Cancelled(msgspec.Struct, frozen=True):
    """The subscription or the runtime ended first."""

    subscription: str
    reason: str
    attempts: int
    seconds: float


Outcome: TypeAlias = Succeeded | Failed | Dropped | Expired | Cancelled


class Report(msgspec.Struct, frozen=True):
    """All outcomes of one event, in the order in which they came about.

    Attributes:
        event: The event as it was accepted.
        outcomes: One for each subscription that matched when it was accepted.
    """

    event: Event
    outcomes: tuple[Outcome, ...]

    @property
    def succeeded(self) -> bool:
        """Whether every subscription succeeded; true where none matched."""
        return all(isinstance(outcome, Succeeded) for outcome in self.outcomes)

    def of(self, subscription: str) -> Outcome:
        """The outcome of one subscription, by name.

        Raises:
            KeyError: it did not match when the event was accepted.
        """
        for outcome in self.outcomes:
            if outcome.subscription == subscription:
                return outcome
        names = ", ".join(outcome.subscription for outcome in self.outcomes) or "none"
        raise KeyError(f"{subscription!r} has no outcome of this event; those that have: {names}")

    def raise_for_failures(self) -> None:
        """Return if every subscription succeeded.

        Raises:
            ExceptionGroup: its message names each subscription that did not. It holds the exceptions of those
                that failed, and a `NotHandled` for each one that dropped, expired or cancelled its delivery.
        """
        names: list[str] = []
        errors: list[Exception] = []
        for outcome in self.outcomes:
            match outcome:
                case Succeeded():
                    continue
                case Failed():
                    error: Exception = outcome.exception
                case _:  # dropped, expired or cancelled
                    error = NotHandled(outcome.subscription, type(outcome).__name__.lower(), outcome.reason)
            names.append(f"{outcome.subscription} ({type(outcome).__name__.lower()})")
            errors.append(error)
        if errors:
            raise ExceptionGroup(
                f"{len(errors)} of {len(self.outcomes)} subscriptions did not succeed with "
                f"{self.event.name!r} {self.event.id}: {', '.join(names)}",
                errors,
            )

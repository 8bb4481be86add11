"""What handlers raise on purpose, and whose failure an exception is."""

from collections.abc import Iterator

import anyio
import attrs

from postroom import BatchFailure, HandlerAborted, HandlerTimeout, SubscriptionStopped


@attrs.define(eq=False)
class Failure(Exception):
    """Raised by a handler on purpose.

    Attributes:
        subscription, events: Whose handler, and what it had in hand.
    """

    subscription: str
    events: frozenset[str]


class Boom(Failure):
    """Worth another attempt."""


class Fatal(Failure):
    """Not worth one, where the policy says so."""


class Down(Failure):
    """A dependency is down: what breakers look for."""


class OddError(BaseException):
    """No `Exception` at all."""


def is_own(error: BaseException, subscription: str, event: str) -> bool:
    """Whether an exception tells of this delivery, and of no other one."""
    found = list(_origins(error))
    return bool(found) and all(owner == subscription and event in events for owner, events in found)


def _origins(error: BaseException) -> Iterator[tuple[str, frozenset[str]]]:
    match error:
        case Failure():
            yield error.subscription, error.events
        case HandlerTimeout() | HandlerAborted():
            # It names its subscription only; that it is of this attempt is seen by how the handler has ended.
            yield error.subscription, _Everything()
        case BatchFailure():
            for failure in error.failures.values():
                yield from _origins(failure)
        case BaseExceptionGroup():
            for each in error.exceptions:
                yield from _origins(each)


class _Everything(frozenset[str]):
    def __contains__(self, _event: object) -> bool:
        return True


def is_stop(error: BaseException) -> bool:
    """Whether a delivery failed because its subscription was stopped by its supervision."""
    return isinstance(error, SubscriptionStopped)


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception is a cancellation, or a group with one in it."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_cancellation, error.exceptions))
    return isinstance(error, anyio.get_cancelled_exc_class())

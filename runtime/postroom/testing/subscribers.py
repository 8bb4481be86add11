"""Subscribers to order, for tests of what goes on around them: ones that fail, are slow, or wait to be let go."""

from collections.abc import Callable
from typing import Any, Protocol, Unpack

import anyio
import anyio.lowlevel

from postroom.checks import check_number, is_count
from postroom.context import Context
from postroom.errors import InvalidOption
from postroom.event import Event
from postroom.subscriber import Subscriber, SubscriberOptions
from postroom.subscriber import subscriber as declare


class Gate(Protocol):
    """An event to wait for, such as `anyio.Event` or `trio.Event`."""

    async def wait(self) -> Any:
        """Wait until it is set.

        Cancellation: changes nothing.
        """
        ...


def failing(
    *patterns: str,
    times: int | None = None,
    error: Callable[[], Exception] = ConnectionError,
    name: str = "failing",
    **options: Unpack[SubscriberOptions],
) -> Subscriber[..., Any]:
    """A subscriber whose first `times` attempts at each event raise, and the next succeeds; None for all of them.

    Args:
        error: Makes what is raised: a class of exceptions, or a function.

    Raises:
        InvalidName, InvalidOption: of what makes no sense.
    """
    if times is not None and not is_count(times, 0):
        raise InvalidOption("times", times, "must be a whole number of attempts, at least 0, or None")

    async def fail(event: Event, context: Context) -> None:
        await anyio.lowlevel.checkpoint()
        if times is None or context.attempt <= times:
            raise error()

    return declare(*patterns, name=name, **options)(fail)


def slow(
    *patterns: str, seconds: float, name: str = "slow", **options: Unpack[SubscriberOptions]
) -> Subscriber[..., Any]:
    """A subscriber that takes so many seconds for each event, which pass at once in virtual time.

    Raises:
        InvalidName, InvalidOption: of what makes no sense.
    """
    check_number("seconds", seconds, "seconds")

    async def take_long(event: Event) -> None:
        await anyio.sleep(seconds)

    return declare(*patterns, name=name, **options)(take_long)


def blocked_until(
    gate: Gate, *patterns: str, name: str = "blocked", **options: Unpack[SubscriberOptions]
) -> Subscriber[..., Any]:
    """A subscriber that keeps each event in hand until `gate` is set: what fills its mailbox, by design.

    Raises:
        InvalidName, InvalidOption: of what makes no sense.
    """
    if not callable(getattr(gate, "wait", None)):
        raise InvalidOption("gate", gate, "must be an event to wait for, such as anyio.Event()")

    async def wait(event: Event) -> None:
        await gate.wait()

    return declare(*patterns, name=name, **options)(wait)

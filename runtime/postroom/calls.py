"""How what is in hand becomes a call of a handler: decided once a subscription, so that what is unused is free."""

import inspect
import math
from collections.abc import Awaitable, Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from postroom_actors import Port, current_hand, tidily

from .deadlock import in_thread_of
from .errors import HandlerTimeout
from .subscriber import positional_parameters

X = TypeVar("X")


def call_of(
    handler: Callable[..., Any],
    plainly: Callable[[X], Any],
    with_context: Callable[[X], Any],
    threads: anyio.CapacityLimiter,
) -> Callable[[X], Awaitable[object]]:
    """A call of `handler` with what is in hand, awaited by the actor; a plain function runs in a worker thread.

    Args:
        plainly: Calls it with the event, or with the list of them.
        with_context: Calls it with a context as well, for a handler that takes one.
    """
    call = with_context if positional_parameters(handler) == 2 else plainly
    if is_async(handler):
        return call

    def in_worker(hand: X) -> list[object]:
        in_thread_of.set(current_hand())  # in a copy of the task's context, so nobody has to reset it
        return [call(hand)]  # in a list, or trio would refuse a coroutine by an error of its own

    async def in_thread(hand: X) -> object:
        return (await anyio.to_thread.run_sync(in_worker, hand, limiter=threads))[0]

    return in_thread


def timed(
    call: Callable[[X], Awaitable[object]],
    subscription: str,
    timeout: float,
    port: Port,
    alarm: Callable[[float], None],
) -> Callable[[X], Awaitable[object]]:
    """`call`, cancelled after `timeout` seconds.

    What a handler returns after that is too late: it may have been cancelled half-way and hidden it.

    Args:
        alarm: Told of each deadline, on the loop's clock, when the call begins.
    """
    now, cancel_at = port.now, port.cancel_at

    async def attempt(hand: X) -> object:
        deadline = now() + timeout
        alarm(deadline)
        with cancel_at(deadline):
            result = await tidily(current_hand(), call(hand))
            if now() < deadline:
                return result
            if is_unawaited(result):
                close_unawaited(result)
        raise HandlerTimeout(subscription, timeout)

    return attempt


def timed_by(
    call: Callable[[X], Awaitable[object]],
    subscription: str,
    limit_of: Callable[[X], float],
    port: Port,
    alarm: Callable[[float], None],
) -> Callable[[X], Awaitable[object]]:
    """`call`, cancelled after as many seconds as `limit_of` says of what is in hand; infinite for no limit."""

    def attempt(hand: X) -> Awaitable[object]:
        limit = limit_of(hand)
        return call(hand) if limit == math.inf else timed(call, subscription, limit, port, alarm)(hand)

    return attempt


def is_unawaited(result: object) -> bool:
    """Whether a handler returned what nobody means to return: something that was not awaited."""
    kind = type(result)  # compared by identity, since a class may refuse to be hashed or compared
    return kind is CoroutineType or kind is GeneratorType or kind is AsyncGeneratorType


def close_unawaited(result: object) -> str:
    """Close what a handler returned and nobody awaited, so that Python doesn't warn of it later; says what it was."""
    if isinstance(result, CoroutineType | GeneratorType):
        result.close()
    return type(result).__name__.replace("_", " ")


def is_async(handler: Any) -> bool:
    """Whether calling it gives something to await."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(type(handler), "__call__", None))

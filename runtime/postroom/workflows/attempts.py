"""Attempts: a step, or a compensation, tried by its policy until it succeeds or fails for good.

Units: seconds; attempts counted from 1.
"""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import anyio
import anyio.to_thread
import attrs

from postroom_actors import Verdict, judge

from ..calls import close_unawaited, is_unawaited
from ..errors import HandlerAborted
from ..policy import DEFAULTS
from ..retry import Retry, checked_wait, leaves_of
from .errors import PermanentFailure, StepTimeout


@attrs.define
class Exhausted(Exception):
    """No attempt has succeeded, and there will be none. `error` is what the last one raised."""

    error: Exception
    attempts: int


@attrs.define(eq=False)
class Attempts:
    """How something is tried.

    Attributes:
        retrying: Told of a failed attempt that is followed by another one: its number, its error, the wait.
    """

    path: str
    retry: Retry
    timeout: float | None
    random: Random
    retrying: Callable[[int, Exception, float], None]

    async def run(self, call: Callable[[int], Awaitable[Any]]) -> tuple[Any, int]:
        """Try until it succeeds; what it returned, and the number of the attempt.

        Raises:
            Exhausted: it failed for good.

        Cancellation: comes out; an attempt was interrupted, or none was running.
        """
        most = DEFAULTS.attempts if self.retry.attempts is None else self.retry.attempts
        attempt = 0
        while True:
            attempt += 1
            error = await self._once(call, attempt)
            if not isinstance(error, Failed):
                return error, attempt
            exception = error.error
            if attempt >= most or is_permanent(exception) or not self.retry.is_for(exception):
                raise Exhausted(exception, attempt)
            try:
                wait = checked_wait(self.retry.backoff or DEFAULTS.backoff, attempt, self.random)
            except Exception as policy_error:
                group = ExceptionGroup(f"{self.path} failed, and so did its retry policy", [exception, policy_error])
                raise Exhausted(group, attempt) from None
            self.retrying(attempt, exception, wait)
            await anyio.sleep(wait)

    async def _once(self, call: Callable[[int], Awaitable[Any]], attempt: int) -> Any:
        try:
            if self.timeout is None:  # most have none, and a scope takes as long as all else here
                return self._looked_at(await call(attempt))
            with anyio.move_on_after(self.timeout) as limit:
                result = self._looked_at(await call(attempt))
                if isinstance(result, Failed) or anyio.current_time() < limit.deadline:
                    return result
        except BaseException as error:
            if judge(error) is not Verdict.FAILURE:
                raise
            return Failed(as_exception(self.path, error))
        return Failed(StepTimeout(self.path, self.timeout))

    def _looked_at(self, result: Any) -> Any:
        """What an attempt has returned, unless somebody forgot to await it."""
        if not is_unawaited(result):
            return result
        text = f"returned a {close_unawaited(result)} that nobody awaited (is an `await` missing?)"
        return Failed(HandlerAborted(self.path, text))


@attrs.frozen
class Failed:
    """An attempt failed."""

    error: Exception


def is_permanent(error: BaseException) -> bool:
    """Whether another attempt won't help."""
    return any(isinstance(each, PermanentFailure) for each in leaves_of(error))


def as_exception(path: str, error: BaseException) -> Exception:
    """What is told of something that a step let out and that is no ordinary exception."""
    if isinstance(error, Exception):
        return error
    kind = type(error).__name__
    aborted = HandlerAborted(path, "was cancelled from inside" if "Cancelled" in kind else f"raised {kind}")
    aborted.__cause__ = error
    return aborted


async def called(
    function: Callable[..., Any], is_async: bool, threads: anyio.CapacityLimiter, *arguments: Any, **options: Any
) -> Any:
    """What a function returns; a plain one runs in a worker thread.

    Cancellation: of a plain one waits for its thread to end.
    """
    if is_async:
        return await function(*arguments, **options)

    def in_worker() -> list[Any]:
        return [function(*arguments, **options)]  # in a list, or trio would refuse a coroutine by an error of its own

    return (await anyio.to_thread.run_sync(in_worker, limiter=threads))[0]

"""The guard around each message: what a handler let out, sorted by what it means for its actor.

On asyncio a handler that awaits a cancelled future lets a raw cancellation out, and a task group takes that for a
quiet end of the task: the actor would be gone without a word. So only a cancellation that somebody asked for
through a scope around the actor counts as one.
"""

import enum

import anyio

from .port import cancellation_was_asked_for


class Verdict(enum.Enum):
    """What something that a handler raised means."""

    FAILURE = "failure"
    """The handler failed; the actor goes on."""
    CANCELLED = "cancelled"
    """A scope around the actor was cancelled: the message was interrupted, and the exception must go on."""
    INTERRUPTED = "interrupted"
    """`KeyboardInterrupt` or `SystemExit`: the program is to end."""


def judge(error: BaseException) -> Verdict:
    """Sort what a handler raised. Called in the handler's task, right where it came out."""
    if _first_in(error, (KeyboardInterrupt, SystemExit)) is not None:
        return Verdict.INTERRUPTED
    if not isinstance(error, Exception) and cancellation_was_asked_for() and _ends_its_task(error):
        return Verdict.CANCELLED
    return Verdict.FAILURE


def interrupt_of(error: BaseException) -> BaseException:
    """The `KeyboardInterrupt` or `SystemExit` in `error`, the first one where it is a group."""
    interrupt = _first_in(error, (KeyboardInterrupt, SystemExit))
    assert interrupt is not None
    return interrupt


def _ends_its_task(error: BaseException) -> bool:
    # Anything else that is odd, and comes out in the moment in which a scope is cancelled, has failed by itself.
    return _first_in(error, (anyio.get_cancelled_exc_class(), GeneratorExit)) is not None


def _first_in(error: BaseException, kinds: tuple[type[BaseException], ...]) -> BaseException | None:
    # A stack, not recursion: a handler may raise groups nested deeper than Python recurses.
    unseen = [error]
    while unseen:
        current = unseen.pop()
        if isinstance(current, kinds):
            return current
        if isinstance(current, BaseExceptionGroup):
            unseen.extend(reversed(current.exceptions))
    return None

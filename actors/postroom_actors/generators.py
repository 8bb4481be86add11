"""Async generators that a handler leaves unfinished are closed at the end of its attempt, in its own task.

A generator may hold a cancel scope or a task group open, which only the task that entered it may leave. Both loops
would close what nobody holds any more in a task of their own; on trio the whole run ends of that, on asyncio the
scopes around the actor do. So Python is asked to tell of generators that begin and of those that are dropped, and the
hand in which that happens closes them. One that a handler keeps, on an instance say, goes on.

Source: PEP 525, whose hooks these are; and PEP 533, which would have closed generators in the same way.
"""

import sys
import traceback
import weakref
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, TypeVar

import attrs

T = TypeVar("T")

Generator: TypeAlias = AsyncGenerator[Any, Any]


class Place(Protocol):
    """A hand, as far as generators know it."""

    generators: "Generators | None"

    def is_here(self) -> bool:
        """Whether the caller runs in its task."""
        ...


@attrs.define(eq=False)
class Generators:
    """The async generators that began in one attempt.

    Attributes:
        begun: By their identity, in order. A dead one's identity may be another's by now, which does no harm.
        dropped: Those of them that were dropped unfinished, and are to be closed.
    """

    begun: dict[int, "weakref.ref[Any]"] = attrs.field(factory=dict, init=False)
    dropped: list[Generator] = attrs.field(factory=list, init=False)

    def let_go(self, error: BaseException, since: int) -> None:
        """Drop what only the frames of `error` still hold, of the generators that began after the first `since`."""
        references = [*self.begun.values()][since:]
        if any(each is not None and each.ag_frame is not None for each in (ref() for ref in references)):
            traceback.clear_frames(error.__traceback__)

    async def close(self) -> None:
        """Close what was dropped, the newest first.

        Raises:
            BaseException: what a generator raises when it is closed; the others are closed all the same.

        Cancellation: comes out of a generator that waits; the others are closed all the same.
        """
        while self.dropped:
            order = [*self.begun]
            self.dropped.sort(key=lambda each: order.index(id(each)))
            try:
                await self.dropped.pop().aclose()
            except BaseExceptionGroup as group:
                # A task group puts even the signal that closes a generator into a group.
                _, rest = group.split(GeneratorExit)
                if rest is not None:
                    raise rest from None
            finally:
                await self.close()


async def tidily(place: Place | None, doing: Awaitable[T]) -> T:
    """Await `doing`, and close the generators that it drops, here in its own task.

    Raises:
        BaseException: what it raised, or else what closing them did.

    Cancellation: as `doing`.
    """
    generators = None if place is None else place.generators
    since = 0 if generators is None else len(generators.begun)
    try:
        result = await doing
    except BaseException as error:
        if place is None or place.generators is None:
            raise
        raise await close_after(place.generators, error, since)  # noqa: B904 - it is the same one, or has it as context
    if place is not None and place.generators is not None:
        await place.generators.close()
    return result


async def close_after(generators: Generators, error: BaseException, since: int = 0) -> BaseException:
    """Close what was dropped by what raised `error`.

    Returns:
        The error that counts: a cancellation or an interrupt that comes meanwhile is more than a failure.

    Cancellation: as `Generators.close`; it is returned.
    """
    generators.let_go(error, since)
    try:
        await generators.close()
    except BaseException as second:
        if isinstance(error, Exception) and not isinstance(second, Exception):
            return second
        error.add_note(f"closing an async generator that it had left raised {type(second).__name__}")
    return error


@attrs.define(eq=False)
class _Hooks:
    """Listens to the generators of one thread, in front of whoever listened before, while somebody wants it."""

    # A plain tuple of the two hooks: the garbage collector does not look into what `sys` gives, and generators know
    # their finalizer, so that a runtime would be kept for ever by its own generator.
    former: tuple[Any, Any]
    current: Any  # gives the hand in which the caller runs
    users: int = 0

    def begins(self, generator: Generator) -> None:
        firstiter = self.former[0]
        if firstiter is not None:
            firstiter(generator)
        place = self.current()
        if place is not None and self.users and place.is_here():
            if place.generators is None:
                place.generators = Generators()
            place.generators.begun.pop(id(generator), None)
            place.generators.begun[id(generator)] = weakref.ref(generator)

    def is_dropped(self, generator: Generator) -> None:
        place = self.current()
        known = None if place is None or not place.is_here() else place.generators
        if known is not None and id(generator) in known.begun:
            known.dropped.append(generator)
        elif self.former[1] is not None:
            self.former[1](generator)


@contextmanager
def listening(current: Any) -> Iterator[None]:
    """A block in which generators that hands drop are told to them. `current` gives the hand of the caller."""
    before = sys.get_asyncgen_hooks()
    hooks = getattr(before.firstiter, "__self__", None)
    if not isinstance(hooks, _Hooks):
        hooks = _Hooks((before.firstiter, before.finalizer), current)
        sys.set_asyncgen_hooks(firstiter=hooks.begins, finalizer=hooks.is_dropped)
    hooks.users += 1
    try:
        yield
    finally:
        hooks.users -= 1
        is_first = getattr(sys.get_asyncgen_hooks().firstiter, "__self__", None) is hooks
        if not hooks.users and is_first:  # else the loop has set its own anew, or somebody has come before us
            sys.set_asyncgen_hooks(*hooks.former)

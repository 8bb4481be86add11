"""Actors as users write them: a class with state, and the methods that handle its events."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import MethodType
from typing import Any, ClassVar, Final, Protocol, TypeGuard, TypeVar, Unpack

import attrs

from .errors import InvalidHandler, InvalidOption, Rejected
from .event_types import name_of_type
from .names import tokens_of_name, tokens_of_pattern
from .options import EmitOptions
from .patterns import covers, overlap
from .receipt import Receipt

F = TypeVar("F", bound=Callable[..., Any])
A = TypeVar("A")

MARK: Final = "__postroom_on__"

MOST_NAMES_REMEMBERED: Final = 1024


@attrs.define
class OutsideRuntime(Rejected):
    """An actor that lives in no runtime was asked for what only a runtime can give it."""

    actor: str
    what: str

    def __str__(self) -> str:
        return (
            f"{self.actor}.{self.what} is there from `started` on, in a runtime; this instance was made by hand. "
            "Spawn it, or leave that out of what the test calls."
        )


class Bound(Protocol):
    """What ties an actor to the runtime in which it lives."""

    @property
    def name(self) -> str: ...
    async def spawn_child(self, handler: Any, arguments: tuple[Any, ...], name: str | None, options: Any) -> Any: ...
    async def emit(self, name: Any, data: Any, options: EmitOptions) -> Receipt: ...


def on(*patterns: str | type[Any]) -> Callable[[F], F]:
    """Mark a method of an `Actor` as the one that handles events that match any of `patterns`.

    A class with `@event_type` is a pattern too. The method gets the event and, where it takes one more argument, a
    `Context`. Of all the methods of an actor one handles an event: the one whose pattern is the most specific.

    Raises:
        InvalidName, InvalidOption: when the decorator is applied.
    """
    if not patterns:
        raise InvalidOption("patterns", patterns, 'name at least one event or pattern: @on("order.placed")')
    names = tuple(name_of_type(pattern) for pattern in patterns)
    for pattern in names:
        tokens_of_pattern(pattern)

    def mark(method: F) -> F:
        setattr(method, MARK, names)
        return method

    return mark


@attrs.define(eq=False)
class Methods:
    """Which method of a class of actors handles what.

    Attributes:
        by_pattern: The names of the methods, by their patterns as tokens.
    """

    by_pattern: Mapping[tuple[str, ...], str]
    _chosen: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def patterns(self) -> tuple[str, ...]:
        """All patterns."""
        return tuple(".".join(tokens) for tokens in self.by_pattern)

    @property
    def names(self) -> frozenset[str]:
        """All methods."""
        return frozenset(self.by_pattern.values())

    def choose(self, name: str) -> str:
        """The method for an event of this name, which matches one of the patterns."""
        method = self._chosen.get(name)
        if method is None:
            tokens = tokens_of_name(name)
            best: tuple[str, ...] | None = None
            for pattern in self.by_pattern:
                if covers(pattern, tokens) and (best is None or covers(best, pattern)):
                    best = pattern
            assert best is not None, "only events that match are routed to it"
            if len(self._chosen) >= MOST_NAMES_REMEMBERED:  # names may carry ids of things
                self._chosen.clear()
            method = self._chosen[name] = self.by_pattern[best]
        return method


def _methods_of(kind: type[Any]) -> Methods:
    """Raises InvalidHandler where two methods would handle the same event, or an override forgot its mark."""
    found: dict[tuple[str, ...], str] = {}
    for name in dict.fromkeys(name for base in reversed(kind.__mro__) for name in vars(base)):
        marks = [getattr(vars(base)[name], MARK, None) for base in kind.__mro__ if name in vars(base)]
        if not any(marks):
            continue
        if not marks[0]:
            raise InvalidHandler(kind, f"its {name!r} overrides a method that is marked with @on: mark it, too")
        for pattern in marks[0]:
            tokens = tokens_of_pattern(pattern)
            for other, owner in found.items():
                _check_pair(kind, (tokens, name), (other, owner))
            found[tokens] = name
    return Methods(found)


def _check_pair(kind: type[Any], one: tuple[tuple[str, ...], str], other: tuple[tuple[str, ...], str]) -> None:
    first, second = one[0], other[0]
    if one[1] == other[1] or not overlap(first, second) or (covers(first, second) != covers(second, first)):
        return
    raise InvalidHandler(
        kind,
        f"{other[1]!r} on {'.'.join(second)!r} and {one[1]!r} on {'.'.join(first)!r} match the same events, and "
        "neither pattern is more specific than the other",
    )


class Actor:
    """A stateful subscriber: one instance handles one event at a time, so it needs no locks.

    Methods marked with `@on` handle events. All of them, `started` and `stopped` run in one task, which is the
    instance's own. When its supervision says so, a fresh instance is made with the same arguments, and goes on with
    the same mailbox.

    Source: Agha, *Actors* (1986); the processes of Erlang's OTP.
    """

    _postroom_methods: ClassVar[Methods] = Methods({})
    _postroom_bound: Bound | None = None
    _postroom_scope: AsyncExitStack | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._postroom_methods = _methods_of(cls)

    async def started(self) -> None:
        """Called before the first event. What it raises is a failed start, and its supervision decides.

        Cancellation: the instance is given up; what is in `scope` is closed.
        """

    async def stopped(self) -> None:
        """Called after the last event of an instance that has started. What it raises is logged.

        Cancellation: after `Runtime.cleanup_within` seconds.
        """

    @property
    def name(self) -> str:
        """The name of its subscription.

        Raises:
            OutsideRuntime: it was made by hand, as in a unit test.
        """
        return self._bound("name").name

    @property
    def scope(self) -> AsyncExitStack:
        """Where `started` enters what is to live until the instance has stopped: a connection, a task group.

        If a task of such a group fails, the instance has failed.

        Raises:
            OutsideRuntime: it was made by hand, as in a unit test.
        """
        if self._postroom_scope is None:
            raise OutsideRuntime(type(self).__name__, "scope")
        return self._postroom_scope

    async def spawn(self, handler: Any, *arguments: Any, name: str | None = None, **options: Any) -> Any:
        """Put a child to work, as `Runtime.spawn` does; its name is put behind this actor's: `stock.shelf-1`.

        Children stop before their parent does, and are restarted with it, after it. A child that `started` spawns
        under the name of one that it had before takes over that one's mailbox.

        Returns:
            The child's subscription.

        Raises:
            OutsideRuntime: it was made by hand, as in a unit test.
            Exception: as `Runtime.spawn`; nothing was started.

        Cancellation: only before anything was started.
        """
        return await self._bound("spawn").spawn_child(handler, arguments, name, options)

    async def emit(self, name: Any, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt:
        """Emit an event, as `Runtime.emit` does.

        Raises:
            OutsideRuntime: it was made by hand, as in a unit test.
            Exception: as `Runtime.emit`.

        Cancellation: as `Runtime.emit`.
        """
        return await self._bound("emit").emit(name, data, options)

    def _bound(self, what: str) -> Bound:
        if self._postroom_bound is None:
            raise OutsideRuntime(type(self).__name__, what)
        return self._postroom_bound


def bind(instance: Actor, bound: Bound, scope: AsyncExitStack) -> None:
    """Tie an instance to the runtime. Written past what its class says: it may be frozen."""
    object.__setattr__(instance, "_postroom_bound", bound)
    object.__setattr__(instance, "_postroom_scope", scope)


def class_of(handler: object) -> type[Actor] | None:
    """The class of actors that calling `handler` makes, where it is one or a `functools.partial` of one."""
    while isinstance(handler, partial):
        handler = handler.func
    return handler if is_actor_class(handler) else None


def is_actor_class(thing: object) -> TypeGuard[type[Actor]]:
    """Whether it is a class of actors."""
    return isinstance(thing, type) and issubclass(thing, Actor)


def check_actor(handler: Any, kind: type[Actor]) -> None:
    """Raises InvalidHandler where no instance could be made, or it would handle nothing, or can't be started."""
    if not kind._postroom_methods.by_pattern:
        raise InvalidHandler(kind, "no method of it is marked with @on")
    for hook in ("started", "stopped"):
        if not inspect.iscoroutinefunction(getattr(kind, hook)):
            raise InvalidHandler(kind, f"its {hook!r} must be `async def`")
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    while isinstance(handler, partial):  # the signature of a partial that can't be called is a `ValueError`
        arguments, keywords, handler = (*handler.args, *arguments), {**handler.keywords, **keywords}, handler.func
    try:
        inspect.signature(handler).bind(*arguments, **keywords)
    except (TypeError, ValueError) as error:
        raise InvalidHandler(
            kind, f"it can't be made: {error}; give `spawn` its arguments, or use functools.partial"
        ) from None


def methods_of(kind: type[Actor]) -> Methods:
    """Which method handles what."""
    return kind._postroom_methods


def unbound(kind: type[Actor], method: str) -> Any:
    """The method as its instances have it, without one: for whoever reads its parameters."""
    return MethodType(getattr(kind, method), object())

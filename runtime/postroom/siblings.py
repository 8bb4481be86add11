"""Declarations in the forms in which users give them: functions, actors, and siblings that live together.

Units: seconds.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, Final, TypeAlias

import attrs

from .actor import Actor, class_of
from .checks import listed, seconds
from .errors import InvalidHandler, InvalidOption
from .subscriber import Subscriber, subscriber
from .supervision import (
    BEYOND,
    DEFAULT_INTENSITY,
    DEFAULT_WITHIN,
    STRATEGIES,
    BeyondName,
    StrategyName,
    check_intensity,
    one_of,
)

AnySubscriber: TypeAlias = Subscriber[..., Any]

Declaration: TypeAlias = "AnySubscriber | Siblings | type[Actor] | partial[Any]"

_HINT: Final = "must hold subscribers: declare a handler with @subscriber(…), or name an Actor class"


def as_subscriber(thing: Any) -> AnySubscriber:
    """The declaration that `thing` is, or that a class of actors stands for.

    Raises:
        InvalidOption: it is neither.
    """
    if isinstance(thing, Subscriber):
        return thing
    if class_of(thing) is None:
        raise InvalidOption("subscribers", thing, _HINT)
    made: AnySubscriber = subscriber()(thing)
    return made


def declared(handler: Any, arguments: tuple[Any, ...], name: str | None, options: Any) -> AnySubscriber:
    """What a call of `spawn` asks for: `arguments` are patterns, or those of an actor's constructor."""
    changed: dict[str, Any] = {**options}
    if name is not None:
        changed["name"] = name
    target = handler.handler if isinstance(handler, Subscriber) else handler
    if class_of(target) is not None:
        if arguments:
            target = partial(target, *arguments)
        if isinstance(handler, Subscriber):
            return attrs.evolve(handler, handler=target, **changed)
        return subscriber(**changed)(target)
    if not isinstance(handler, Subscriber):
        made: AnySubscriber = subscriber(*arguments, **changed)(handler)
        return made
    if arguments:
        changed["patterns"] = arguments
    return attrs.evolve(handler, **changed)


def _members(things: Any) -> tuple[AnySubscriber, ...]:
    members = tuple(as_subscriber(thing) for thing in listed("members", things, "actors"))
    if not members:
        raise InvalidOption("members", members, "name at least one actor")
    for member in members:
        if class_of(member.handler) is None:
            raise InvalidHandler(member.handler, "a function has nothing to restart: only actors can be siblings")
    return members


@attrs.frozen
class Siblings:
    """Actors that depend on each other, and are restarted together.

    Attributes:
        members: Actors, in the order in which they start. They stop in reverse.
        strategy: Which of them are restarted when one is: `one_for_one`, that one; `one_for_all`, all; `rest_for_one`,
            that one and those after it.
        intensity, within, beyond: As in `Supervision`, for the restarts of all of them together; each member's own
            are not used. `stop` stops all of them.

    Raises:
        InvalidHandler, InvalidOption: when it is made.

    Source: the supervisors of Erlang's OTP.
    """

    members: tuple[AnySubscriber, ...] = attrs.field(converter=_members)
    strategy: StrategyName = attrs.field(default="one_for_one", kw_only=True, validator=one_of(*STRATEGIES))
    intensity: int = attrs.field(default=DEFAULT_INTENSITY, kw_only=True, validator=check_intensity)
    within: float = attrs.field(default=DEFAULT_WITHIN, kw_only=True, validator=seconds(above=True))
    beyond: BeyondName = attrs.field(default="stop", kw_only=True, validator=one_of(*BEYOND))


def as_declarations(things: "Iterable[Declaration]") -> "tuple[AnySubscriber | Siblings, ...]":
    """What a runtime is to begin with, checked.

    Raises:
        InvalidOption, InvalidHandler: something in it is no declaration.
    """
    known = listed("subscribers", things, "subscribers")
    return tuple(thing if isinstance(thing, Siblings) else as_subscriber(thing) for thing in known)


def members_of(declarations: "Iterable[AnySubscriber | Siblings]") -> list[AnySubscriber]:
    """All subscribers."""
    return [member for each in declarations for member in (each.members if isinstance(each, Siblings) else (each,))]

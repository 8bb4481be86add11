"""Reading: what a handler asks for by its annotation, made of the event. Decided once a subscription."""

import inspect
import re
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from .actor import class_of, methods_of, unbound
from .errors import InvalidHandler, UnreadableEvent
from .event import Event
from .event_types import EventType, Unreadable, declaration_of, is_record
from .subscriber import Subscriber

_UNRESOLVED: Final = object()
_is_plain_event = re.compile(r"(list\[|Sequence\[)?(\w+\.)*Event\]?").fullmatch


def reader_of(subscriber: Subscriber[..., Any]) -> Callable[[Event], Any] | None:
    """What makes of an event what the handler's annotation asks for; None where it asks for the event as it is.

    Raises:
        InvalidHandler: it asks for what cannot be.
    """
    kind = class_of(subscriber.handler)
    if kind is None:
        return reader_of_handler(subscriber.handler, subscriber.name, in_batches=subscriber.batch is not None)
    for method in methods_of(kind).names:  # each instance reads for itself; here only what cannot be is found
        reader_of_handler(unbound(kind, method), subscriber.name)
    return None


def reader_of_handler(handler: Any, subscription: str, *, in_batches: bool = False) -> Callable[[Event], Any] | None:
    """As `reader_of`, for one function or method."""
    annotation = _annotation_of(handler)
    if annotation is _UNRESOLVED:
        return None
    if in_batches:
        if get_origin(annotation) not in (list, Sequence):
            if declaration_of(annotation) is not None:
                raise InvalidHandler(
                    handler, f"it takes batches: annotate list[{annotation.__name__}] instead of {annotation.__name__}"
                )
            return None
        (annotation,) = get_args(annotation)
    whole = get_origin(annotation) is Event
    wanted = get_args(annotation)[0] if whole else annotation
    declared = [declaration_of(each) for each in _members_of(wanted)]
    found = tuple(each for each in declared if each is not None)
    if len(found) == len(declared):
        return _reader(found, subscription, whole=whole)
    if found:
        raise InvalidHandler(handler, f"it is annotated with {wanted}, of which not all are event types")
    if isinstance(wanted, type) and is_record(wanted) and not whole and not issubclass(wanted, Event):
        raise InvalidHandler(
            handler, f"it is annotated with {wanted.__name__}, which is no event type: declare it with @event_type(…)"
        )
    return None


def types_asked_for(subscriber: Subscriber[..., Any]) -> tuple[EventType, ...]:
    """The event types that its handler, or a method of its actor, is annotated with; none where it takes any event."""
    kind = class_of(subscriber.handler)
    handlers = (
        [subscriber.handler] if kind is None else [unbound(kind, name) for name in sorted(methods_of(kind).names)]
    )
    found: dict[type, EventType] = {}
    for handler in handlers:
        annotation = _annotation_of(handler)
        for around in ((list, Sequence), (Event,)):
            if get_origin(annotation) in around:
                annotation = get_args(annotation)[0]
        for each in map(declaration_of, _members_of(annotation)):
            if each is not None:
                found[each.cls] = each
    return tuple(found.values())


def _members_of(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _members_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _reader(declared: tuple[EventType, ...], subscription: str, *, whole: bool) -> Callable[[Event], Any]:
    classes = frozenset(each.cls for each in declared)
    by_name = {each.name: each for each in declared}
    only = declared[0] if len(declared) == 1 else None
    names = ", ".join(by_name)

    def data_of(event: Event) -> Any:
        try:
            kind = only or by_name.get(event.name)
            if kind is None:
                raise Unreadable("$", f"it is none of {names}")
            return kind.read(event)
        except Unreadable as error:
            raise UnreadableEvent(subscription, event.name, event.id, error.path, error.reason) from error.__cause__

    def read(event: Event) -> Any:
        return event.data if event.data.__class__ in classes else data_of(event)

    def read_whole(event: Event) -> Any:
        if event.data.__class__ in classes:
            return event
        return msgspec.structs.replace(event, data=data_of(event))

    return read_whole if whole else read


def _annotation_of(handler: Any) -> Any:
    """The annotation of a handler's first parameter, or the mark of one that says nothing."""
    parameters = inspect.signature(handler).parameters.values()
    first = next((p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)), None)
    if first is None or first.annotation is first.empty:
        return _UNRESOLVED
    if not _has_text(first.annotation):
        return first.annotation
    function = inspect.unwrap(handler if inspect.isroutine(handler) else type(handler).__call__)
    function = getattr(function, "__func__", function)
    names = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
    holder = types.SimpleNamespace(__annotations__={"first": first.annotation})
    try:
        return get_type_hints(holder, getattr(function, "__globals__", {}), dict(names), include_extras=True)["first"]
    except Exception as error:
        # The commonest one is imported for type checkers only, and asks for nothing.
        if isinstance(first.annotation, str) and _is_plain_event(first.annotation):
            return _UNRESOLVED
        raise InvalidHandler(
            handler, f"its annotation {first.annotation!r} can't be resolved ({error}); import it at run time"
        ) from None


def _has_text(annotation: Any) -> bool:
    if isinstance(annotation, str) or type(annotation).__name__ == "ForwardRef":
        return True
    return any(_has_text(each) for each in get_args(annotation))

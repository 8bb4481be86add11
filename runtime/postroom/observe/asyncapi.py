"""An AsyncAPI 3 document of what a service hears and says, made of its subscribers and typed events.

A pattern is a channel, whose wildcards are parameters of its address; a subscription receives from the channels of its
patterns; an event type that a handler is annotated with is a message, with the JSON Schema of its class.

Source: AsyncAPI Initiative, "AsyncAPI Specification", version 3.0.0.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import msgspec

from ..actor import class_of
from ..checks import listed
from ..errors import InvalidEventType, InvalidOption
from ..event_types import VERSION_HEADER, EventType, declaration_of
from ..names import ONE, REST, tokens_of_name, tokens_of_pattern
from ..patterns import covers
from ..quoting import told
from ..reading import types_asked_for
from ..runtime import Runtime
from ..siblings import Declaration, as_declarations, members_of
from ..subscriber import Subscriber

VERSION: Final = "3.0.0"

ANY: Final = "any"
"""The message of a channel of which nobody says what its events are."""


@attrs.define(eq=False)
class _Document:
    """A document in the making."""

    types: Sequence[EventType]
    schemas: dict[type, dict[str, Any]] = attrs.field(init=False)
    components: dict[str, Any] = attrs.field(init=False)
    channels: dict[str, Any] = attrs.field(factory=dict, init=False)
    operations: dict[str, Any] = attrs.field(factory=dict, init=False)
    messages: dict[str, Any] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        classes = list(dict.fromkeys(each.cls for each in self.types))
        try:
            found, self.components = msgspec.json.schema_components(classes, ref_template="#/components/schemas/{name}")
        except Exception as error:  # a type that JSON Schema can't tell, of the user's own
            names = ", ".join(each.__name__ for each in classes)
            raise InvalidEventType(names, f"no JSON Schema can be made of these: {told(error)}") from error
        self.schemas = dict(zip(classes, found, strict=True))

    def add_subscriber(self, subscriber: Subscriber[..., Any]) -> None:
        asked = types_asked_for(subscriber)
        for pattern in subscriber.patterns:
            tokens = tokens_of_pattern(pattern)
            heard = [each for each in asked if covers(tokens, tokens_of_name(each.name))]
            operation = self._operation("receive", pattern, heard)
            if (
                isinstance(text := getattr(class_of(subscriber.handler) or subscriber.handler, "__doc__", None), str)
                and text.strip()
            ):
                operation["summary"] = text.strip().splitlines()[0]
            name = subscriber.name if len(subscriber.patterns) == 1 else f"{subscriber.name} from {pattern}"
            self.operations[name] = operation

    def add_type(self, sent: EventType) -> None:
        self.operations[f"send {_message_name(sent)}"] = self._operation("send", sent.name, [sent])

    def _operation(self, action: str, pattern: str, types: Iterable[EventType]) -> dict[str, Any]:
        channel = self.channels.setdefault(pattern, _channel(pattern))
        names = [self._message(each) for each in types] or [self._any()]
        for name in names:
            channel["messages"][name] = {"$ref": f"#/components/messages/{name}"}
        place = f"#/channels/{pattern}"
        messages = [{"$ref": f"{place}/messages/{name}"} for name in names]
        return {"action": action, "channel": {"$ref": place}, "messages": messages}

    def _message(self, declared: EventType) -> str:
        name = _message_name(declared)
        message = {"name": declared.name, "title": declared.cls.__name__, "payload": self.schemas[declared.cls]}
        if declared.version != 1:
            version = {"type": "string", "const": str(declared.version)}
            message["headers"] = {
                "type": "object",
                "properties": {VERSION_HEADER: version},
                "required": [VERSION_HEADER],
            }
        known = self.messages.setdefault(name, message)
        if known != message:
            raise InvalidEventType(declared.name, "two classes stand for this name and version, and they differ")
        return name

    def _any(self) -> str:
        self.messages[ANY] = {"name": ANY, "payload": {}}
        return ANY


def asyncapi(
    service: "Runtime | Iterable[Declaration]",
    *,
    title: str,
    version: str = "1.0.0",
    sends: Iterable[type[Any]] = (),
) -> dict[str, Any]:
    """The AsyncAPI 3 document of a service, as plain data: `msgspec.json.encode(asyncapi(runtime, title="Shop"))`.

    Args:
        service: A runtime, of which those count that are at work, or that it will begin with; or subscribers.
        title, version: Of the service.
        sends: Classes with `@event_type` that it emits; nobody can tell that from its subscribers.

    Raises:
        InvalidOption: no subscribers, or a title or version that is no text.
        InvalidEventType: a class that is no event type, of which no schema can be made, or that contradicts another.
        InvalidHandler: an annotation that can't be resolved.
    """
    for option, text in (("title", title), ("version", version)):
        if not isinstance(text, str) or not text:
            raise InvalidOption(option, text, "must be a text that is not empty")
    subscribers = _subscribers_of(service)
    sent = [_declared(each) for each in listed("sends", sends, "event types")]
    asked = [each for subscriber in subscribers for each in types_asked_for(subscriber)]
    document = _Document([*asked, *sent])
    for subscriber in subscribers:
        document.add_subscriber(subscriber)
    for each in sent:
        document.add_type(each)
    return {
        "asyncapi": VERSION,
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "channels": document.channels,
        "operations": document.operations,
        "components": {"messages": document.messages, "schemas": document.components},
    }


def _subscribers_of(service: "Runtime | Iterable[Declaration]") -> list[Subscriber[..., Any]]:
    if not isinstance(service, Runtime):
        return members_of(as_declarations(service))
    at_work = [each.subscriber for each in service.subscriptions.values()]
    return at_work or members_of(service.subscribers)


def _declared(cls: object) -> EventType:
    declared = declaration_of(cls)
    if declared is None:
        raise InvalidEventType(getattr(cls, "__name__", type(cls).__name__), "it is no event type: see @event_type(…)")
    return declared


def _channel(pattern: str) -> dict[str, Any]:
    """A channel; each wildcard of its pattern is a parameter of its address."""
    address: list[str] = []
    parameters: dict[str, Any] = {}
    for position, token in enumerate(tokens_of_pattern(pattern), 1):
        if token in (ONE, REST):
            name = f"token{position}" if token == ONE else "rest"
            parameters[name] = {"description": "One token." if token == ONE else "One or more tokens, joined by dots."}
            token = f"{{{name}}}"
        address.append(token)
    channel: dict[str, Any] = {"address": ".".join(address), "messages": {}}
    return {**channel, "parameters": parameters} if parameters else channel


def _message_name(declared: EventType) -> str:
    return declared.name if declared.version == 1 else f"{declared.name}.v{declared.version}"

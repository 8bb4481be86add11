"""The AsyncAPI document of a service."""

import json
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import msgspec
import pytest

from postroom import (
    Actor,
    Batch,
    Event,
    InvalidEventType,
    InvalidOption,
    Runtime,
    Siblings,
    Subscriber,
    event_type,
    on,
    subscriber,
)
from postroom.observe.asyncapi import asyncapi

SCHEMA = json.loads((Path(__file__).parent / "data" / "asyncapi-3.0.0.json").read_text(encoding="utf-8"))
PUBLISHED = jsonschema.Draft7Validator(SCHEMA)


@attrs.frozen
class Line:
    article: str
    count: int


@event_type("order.placed")
@attrs.frozen
class OrderPlaced:
    id: str
    lines: list[Line]
    note: str | None = None


@event_type("order.cancelled", version=2)
class OrderCancelled(msgspec.Struct):
    id: str


@subscriber("order.placed")
async def confirm(order: OrderPlaced) -> None:
    """Write a mail.

    And more.
    """


@subscriber("order.*", "audit.**")
async def ledger(event: Event) -> None:
    pass


@subscriber("order.placed", batch=Batch(size=10, within=1))
async def insert(orders: list[Event[OrderPlaced]]) -> None:
    pass


@subscriber("order.*")
async def either(order: OrderPlaced | OrderCancelled) -> None:
    pass


class Stock(Actor):
    @on(OrderPlaced)
    async def take(self, order: OrderPlaced) -> None:
        pass

    @on("order.cancelled")
    async def put_back(self, event: Event[OrderCancelled]) -> None:
        pass


ALL: list[Any] = [confirm, ledger, insert, either, Siblings([Stock])]


def every_reference_leads_somewhere(document: Any) -> None:
    def look(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                target = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
            for each in node.values():
                look(each)
        elif isinstance(node, list):
            for each in node:
                look(each)

    look(document)


@pytest.mark.parametrize("service", [[], [confirm], ALL])
def test_the_document_is_what_the_published_schema_asks_for(service: list[Subscriber[..., Any]]) -> None:
    document = json.loads(msgspec.json.encode(asyncapi(service, title="Shop", sends=[OrderCancelled])))
    PUBLISHED.validate(document)
    every_reference_leads_somewhere(document)


def test_the_published_schema_refuses_what_is_no_such_document() -> None:
    document = asyncapi([confirm], title="Shop")
    document["operations"]["confirm"]["action"] = "listen"
    with pytest.raises(jsonschema.ValidationError):
        PUBLISHED.validate(document)


def test_a_typed_event_is_a_message_with_the_schema_of_its_class() -> None:
    document = asyncapi([confirm], title="Shop", version="2.1")
    assert document["info"] == {"title": "Shop", "version": "2.1"}
    assert document["operations"] == {
        "confirm": {
            "action": "receive",
            "channel": {"$ref": "#/channels/order.placed"},
            "messages": [{"$ref": "#/channels/order.placed/messages/order.placed"}],
            "summary": "Write a mail.",
        }
    }
    assert document["components"]["messages"]["order.placed"]["payload"] == {"$ref": "#/components/schemas/OrderPlaced"}
    assert document["components"]["schemas"]["OrderPlaced"]["required"] == ["id", "lines"]


def test_wildcards_are_parameters_of_the_address() -> None:
    channels = asyncapi([ledger], title="Shop")["channels"]
    assert {name: each["address"] for name, each in channels.items()} == {
        "order.*": "order.{token2}",
        "audit.**": "audit.{rest}",
    }
    assert channels["order.*"]["messages"] == {"any": {"$ref": "#/components/messages/any"}}


def test_the_methods_of_an_actor_each_have_their_own_message() -> None:
    operations = asyncapi([Stock], title="Shop")["operations"]
    assert {name: [each["$ref"] for each in made["messages"]] for name, made in operations.items()} == {
        "stock from order.placed": ["#/channels/order.placed/messages/order.placed"],
        "stock from order.cancelled": ["#/channels/order.cancelled/messages/order.cancelled.v2"],
    }


def test_a_version_is_told_by_the_header_that_carries_it() -> None:
    document = asyncapi([], title="Shop", sends=[OrderCancelled])
    headers = document["components"]["messages"]["order.cancelled.v2"]["headers"]
    assert headers["properties"] == {"postroom-version": {"type": "string", "const": "2"}}
    assert document["operations"]["send order.cancelled.v2"]["action"] == "send"


async def test_a_runtime_tells_what_is_at_work_in_it() -> None:
    runtime = Runtime(subscribers=[confirm])
    assert asyncapi(runtime, title="Shop")["operations"].keys() == {"confirm"}
    async with runtime:
        await runtime.spawn(ledger)
        operations = asyncapi(runtime, title="Shop")["operations"]
    assert operations.keys() == {"confirm", "ledger from order.*", "ledger from audit.**"}


def test_two_classes_of_one_name_that_differ_are_refused() -> None:
    @event_type("order.placed")
    @attrs.frozen
    class Other:
        id: int

    @subscriber("order.placed")
    async def other(order: Other) -> None:
        pass

    with pytest.raises(InvalidEventType, match="differ"):
        asyncapi([confirm, other], title="Shop")


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidOption, match="title"):
        asyncapi([], title="")
    with pytest.raises(InvalidEventType, match="no event type"):
        asyncapi([], title="Shop", sends=[int])
    with pytest.raises(InvalidOption, match="subscribers"):
        asyncapi([print], title="Shop")  # type: ignore[list-item]  # that is the point


def test_a_type_of_which_no_schema_can_be_made_is_refused_by_name() -> None:
    @event_type("odd.thing")
    @attrs.frozen
    class OddThing:
        odd: "Elsewhere"  # type: ignore[name-defined]  # noqa: F821 - that is the point

    with pytest.raises(InvalidEventType, match="no JSON Schema can be made of these"):
        asyncapi([], title="odd", version="1", sends=[OddThing])

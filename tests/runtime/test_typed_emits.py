"""Typed events by every way to emit: checked alike, and handed over as the very instance with its version."""

import datetime
import decimal
import enum
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import anyio.to_thread
import attrs
import msgspec
import pytest

from postroom import (
    Actor,
    Batch,
    ConflictingEvent,
    Context,
    Event,
    Failed,
    InvalidEventType,
    InvalidHandler,
    InvalidOption,
    InvalidPayload,
    Runtime,
    event_type,
    on,
    subscriber,
)
from postroom.testing.reference import ReferenceModule

pytestmark = pytest.mark.anyio


@event_type("order.placed", version=2)
@attrs.frozen
class OrderPlaced:
    id: str
    cents: int = 0


GOOD = OrderPlaced("1", 1299)
BAD = OrderPlaced("1", "dear")  # type: ignore[arg-type]

Way = Callable[[Runtime, Any], Awaitable[Event]]
"""Emits by one way, and returns the event that was accepted."""


async def by_emit(runtime: Runtime, event: Any) -> Event:
    return (await runtime.emit(event, key="k")).event


async def by_emit_and_wait(runtime: Runtime, event: Any) -> Event:
    return (await runtime.emit_and_wait(event, key="k")).event


async def by_emit_nowait(runtime: Runtime, event: Any) -> Event:
    return runtime.emit_nowait(event, key="k").event


async def by_emit_many(runtime: Runtime, event: Any) -> Event:
    return (await runtime.emit_many([event]))[0].event


async def by_emit_many_as_an_event(runtime: Runtime, event: Any) -> Event:
    return (await runtime.emit_many([Event("order.placed", event, key="k")]))[0].event


async def by_emit_from_thread(runtime: Runtime, event: Any) -> Event:
    return await anyio.to_thread.run_sync(lambda: runtime.emit_from_thread(event, key="k").event)


async def by_context(runtime: Runtime, event: Any) -> Event:
    async def handler(cause: Event, context: Context) -> Event:
        return (await context.emit(event, key="k")).event

    return await by_handler(runtime, handler)


async def by_handler(runtime: Runtime, handler: Any) -> Event:
    patterns = () if isinstance(handler, type) else ("cause",)
    await runtime.spawn(handler, *patterns, name="causes")
    outcome = (await runtime.emit_and_wait("cause")).of("causes")
    if isinstance(outcome, Failed):
        raise outcome.exception
    event: Event = outcome.value  # type: ignore[union-attr]  # else the test fails here
    assert event.cause is not None
    return event


async def by_actor(runtime: Runtime, event: Any) -> Event:
    class Causes(Actor):
        @on("cause")
        async def handle(self, cause: Event) -> Event:
            return (await self.emit(event, key="k")).event

    return await by_handler(runtime, Causes)


async def by_group(runtime: Runtime, event: Any) -> Event:
    async with runtime.group() as group:
        receipt = await group.emit(event, key="k")
    return receipt.event


async def by_group_emit_many(runtime: Runtime, event: Any) -> Event:
    async with runtime.group() as group:
        (receipt,) = await group.emit_many([event])
    return receipt.event


async def by_id_of_a_group(runtime: Runtime, event: Any) -> Event:
    await runtime.emit(event, key="k", group="g")
    (receipt,) = await runtime.release_group("g")
    return receipt.event


WAYS: list[Way] = [
    by_emit,
    by_emit_and_wait,
    by_emit_nowait,
    by_emit_many,
    by_emit_many_as_an_event,
    by_emit_from_thread,
    by_context,
    by_actor,
    by_group,
    by_group_emit_many,
    by_id_of_a_group,
]

every_way = pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])


@every_way
async def test_the_instance_reaches_its_handler_with_its_name_and_version(way: Way) -> None:
    seen: list[object] = []

    @subscriber(OrderPlaced)
    async def handle(order: OrderPlaced) -> None:
        seen.append(order)

    async with Runtime(subscribers=[handle]) as runtime:
        event = await way(runtime, GOOD)
        await runtime.idle()
    assert len(seen) == 1
    assert seen[0] is GOOD
    assert (event.name, event.headers["postroom-version"]) == ("order.placed", "2")
    assert event.data is GOOD
    assert event.key == ("k" if "emit_many" not in way.__name__ or "as_an_event" in way.__name__ else None)


@every_way
async def test_an_instance_of_wrong_shape_is_refused_with_the_path_and_nothing_is_accepted(way: Way) -> None:
    @subscriber(OrderPlaced)
    async def handle(order: OrderPlaced) -> None:
        raise AssertionError("never called")

    async with Runtime(subscribers=[handle]) as runtime:
        with pytest.raises(InvalidPayload, match=r"order\.placed: \$\.cents: expected `int`, got `str`"):
            await way(runtime, BAD)
        assert runtime.subscriptions["handle"].stats.accepted == 0
        assert runtime.stats.staged == 0


@every_way
async def test_in_a_portable_runtime_the_handler_gets_an_equal_instance_of_its_own(way: Way) -> None:
    seen: list[object] = []

    @subscriber(OrderPlaced)
    async def handle(order: OrderPlaced) -> None:
        seen.append(order)

    async with Runtime(subscribers=[handle], portable=True) as runtime:
        await way(runtime, GOOD)
        await runtime.idle()
    assert seen == [GOOD]
    assert seen[0] is not GOOD


@pytest.mark.parametrize("group", [False, True])
async def test_of_many_typed_events_none_is_accepted_where_one_is_wrong(group: bool) -> None:
    async with Runtime() as runtime, runtime.group() as block:
        emit_many = block.emit_many if group else runtime.emit_many
        with pytest.raises(InvalidPayload) as caught:
            await emit_many([GOOD, BAD, GOOD])
        assert (runtime.stats.accepted, runtime.stats.staged) == (0, 0)
    assert "event number 1 (from 0)" in caught.value.__notes__[0]


async def test_a_typed_event_with_data_beside_it_is_refused() -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption, match="comes with a typed event"):
            await runtime.emit(GOOD, {"id": "1"})


async def test_the_header_of_the_version_is_the_classs_own_whatever_the_caller_says() -> None:
    async with Runtime() as runtime:
        receipt = await runtime.emit(GOOD, headers={"postroom-version": "7", "trace": "t"})
    assert receipt.event.headers == {"postroom-version": "2", "trace": "t"}


async def test_the_same_id_with_an_equal_instance_is_the_same_event_and_with_another_a_conflict() -> None:
    async with Runtime() as runtime:
        first = await runtime.emit(GOOD, id="1")
        assert await runtime.emit(OrderPlaced("1", 1299), id="1") is first
        with pytest.raises(ConflictingEvent):
            await runtime.emit(OrderPlaced("1", 1), id="1")


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Inner:
    numbers: tuple[int, str]


@event_type("all.kinds")
@dataclass
class AllKinds:
    text: str = "t"
    number: float = 1
    when: datetime.datetime = datetime.datetime(2020, 1, 1)
    money: decimal.Decimal = decimal.Decimal(1)
    id: uuid.UUID | None = None
    raw: bytes = b"b"
    colour: Colour = Colour.RED
    level: Literal["low", "high"] = "low"
    inner: Inner | None = None
    names: frozenset[str] = frozenset({"a"})
    by_name: "dict[str, list[int]] | None" = None
    anything: Any = None


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("text", 1, "$.text"),
        ("text", b"t", "$.text"),
        ("number", "1", "$.number"),
        ("number", True, "$.number"),
        ("when", "2020-01-01T00:00:00", "$.when"),
        ("money", "1", "$.money"),
        ("id", "00000000-0000-0000-0000-000000000001", "$.id"),
        ("raw", "Yg==", "$.raw"),
        ("colour", "red", "$.colour"),
        ("level", "middle", "$.level"),
        ("inner", Inner((1, 2)), "$.inner.numbers[1]"),  # type: ignore[arg-type]
        ("inner", Inner([1, "a"]), "$.inner.numbers"),  # type: ignore[arg-type]
        ("inner", {"numbers": [1, "a"]}, "$.inner"),
        ("names", {"a"}, "$.names"),
        ("names", frozenset({1}), "$.names[0]"),
        ("by_name", {"a": [1, "2"]}, "$.by_name[...][1]"),
        ("by_name", {"a": (1,)}, "$.by_name[...]"),
        ("by_name", {1: [1]}, "$.by_name: of a key: expected `str`, got `int`"),
        ("anything", object(), "$"),
    ],
)
async def test_every_kind_of_field_is_checked_with_its_path(field: str, value: object, path: str) -> None:
    async with Runtime() as runtime:
        await runtime.emit(AllKinds())
        with pytest.raises(InvalidPayload) as caught:
            await runtime.emit(AllKinds(**{field: value}))  # type: ignore[arg-type]
        assert runtime.stats.accepted == 1
    assert str(caught.value).startswith(f"all.kinds: {path}")


@event_type("tree")
class Tree(msgspec.Struct):
    value: int
    children: "list[Tree]" = []


async def test_a_class_that_holds_itself_is_checked_all_the_way_down() -> None:
    async with Runtime() as runtime:
        await runtime.emit(Tree(1, [Tree(2, [Tree(3)])]))
        with pytest.raises(InvalidPayload, match=r"\$\.children\[0\]\.children\[0\]\.value"):
            await runtime.emit(Tree(1, [Tree(2, [Tree("3")])]))  # type: ignore[arg-type]


@attrs.frozen
class Private:
    _secret: int = 0


async def test_private_fields_of_attrs_classes_are_refused_since_no_encoding_has_them() -> None:
    @attrs.frozen
    class Holds:
        private: list[Private]

    with pytest.raises(InvalidEventType, match=r"Private, \$\._secret: its name begins with `_`"):
        event_type("n")(Private)
    with pytest.raises(InvalidEventType, match=r"Holds, \$\.private\[\.\.\.\]\._secret: its name begins"):
        event_type("n")(Holds)


@event_type("early")
@attrs.frozen
class Early:
    later: "Later"


@attrs.frozen
class Later:
    _secret: int = 0


async def test_what_a_class_could_not_be_checked_for_when_it_was_declared_is_found_by_the_first_emit() -> None:
    async with Runtime() as runtime:
        for _ in range(2):
            with pytest.raises(InvalidPayload, match=r"\$\.later\._secret: its name begins with `_`"):
                await runtime.emit(Early(Later(1)))


@event_type("stock.counted")
@attrs.frozen
class StockCounted:
    by_shelf: dict[int, str]


async def test_keys_of_mappings_are_read_from_texts_as_json_has_them() -> None:
    @subscriber(StockCounted)
    async def count(counted: StockCounted) -> StockCounted:
        return counted

    async with Runtime(subscribers=[count]) as runtime:
        assert await runtime.request("stock.counted", {"by_shelf": {"1": "a", "2": "b"}}) == StockCounted(
            {1: "a", 2: "b"}
        )
        assert await runtime.request("stock.counted", {"by_shelf": {1: "a"}}) == StockCounted({1: "a"})
        with pytest.raises(ExceptionGroup):
            await runtime.request("stock.counted", {"by_shelf": {"top": "a"}})
        with pytest.raises(InvalidPayload, match=r"\$\.by_shelf"):
            await runtime.emit(StockCounted({"1": "a"}))  # type: ignore[dict-item]


@event_type("plain.told")
@attrs.frozen
class PlainTold:
    text: str


async def test_an_event_of_version_1_carries_no_version_whatever_the_caller_or_an_interceptor_leaves_there() -> None:
    def swap(event: Event) -> Event | None:
        if event.name != "order.placed":
            return None
        return msgspec.structs.replace(event, name="plain.told", data=PlainTold("swapped"))

    async with Runtime(interceptors=[swap]) as runtime:
        told = await runtime.emit(PlainTold("a"), headers={"postroom-version": "7", "trace": "t"})
        swapped = await runtime.emit(GOOD, headers={"trace": "t"})
    assert told.event.headers == swapped.event.headers == {"trace": "t"}
    assert swapped.event.data == PlainTold("swapped")


@pytest.mark.parametrize("events", [None, 5, Event("n"), GOOD, "n", {"n": 1}])
@pytest.mark.parametrize("group", [False, True])
async def test_many_events_that_are_no_list_of_them_are_refused_by_name(events: Any, group: bool) -> None:
    async with Runtime() as runtime, runtime.group() as block:
        with pytest.raises(InvalidOption, match=r"^events="):
            await (block.emit_many if group else runtime.emit_many)(events)
        assert (runtime.stats.accepted, runtime.stats.staged) == (0, 0)


@pytest.mark.parametrize("way", [each for each in WAYS if each is not by_emit_nowait], ids=lambda way: way.__name__)
async def test_a_store_gives_back_an_equal_instance_by_every_way(way: Way) -> None:
    seen: list[object] = []

    @subscriber(OrderPlaced)
    async def handle(order: OrderPlaced) -> None:
        seen.append(order)

    async with Runtime(subscribers=[handle], module=ReferenceModule()) as runtime:
        event = await way(runtime, GOOD)
        await runtime.idle()
        with pytest.raises(InvalidPayload):
            await runtime.emit(BAD)
    assert seen == [GOOD]
    assert event.headers["postroom-version"] == "2"


@event_type("day.closed")
@attrs.frozen
class DayClosed:
    day: datetime.date


async def test_a_moment_in_place_of_a_day_is_noticed() -> None:
    async with Runtime() as runtime:
        await runtime.emit(DayClosed(datetime.date(2020, 1, 2)))
        with pytest.raises(InvalidPayload, match=r"\$\.day: expected `date`, got `datetime`"):
            await runtime.emit(DayClosed(datetime.datetime(2020, 1, 2)))


async def test_annotations_may_be_texts_wholly_or_in_part() -> None:
    seen: list[object] = []

    async def whole(order: "OrderPlaced") -> None:
        seen.append(order)

    async def around(event: "Event[OrderPlaced]") -> None:
        seen.append(event.data)

    async def in_part(orders: list["OrderPlaced"]) -> None:
        seen.extend(orders)

    async def of_a_union(order: "OrderPlaced | DayClosed") -> None:
        seen.append(order)

    async with Runtime() as runtime:
        for handler in (whole, around, of_a_union):
            await runtime.spawn(handler, "order.placed")
        await runtime.spawn(in_part, "order.placed", batch=Batch(size=1, within=0))
        await runtime.emit_and_wait("order.placed", {"id": "1", "cents": 3}, headers={"postroom-version": "2"})
    assert seen == [OrderPlaced("1", 3)] * 4


async def test_of_a_union_the_name_of_the_event_says_which_class_it_is() -> None:
    @subscriber("*.*")
    async def either(event: PlainTold | StockCounted) -> object:
        return event

    async with Runtime(subscribers=[either]) as runtime:
        assert await runtime.request("plain.told", {"text": "a"}) == PlainTold("a")
        assert await runtime.request("stock.counted", {"by_shelf": {}}) == StockCounted({})
        outcome = (await runtime.emit_and_wait("other.name", {"text": "a"})).outcomes[0]
    assert isinstance(outcome, Failed)
    assert "it is none of plain.told, stock.counted" in str(outcome.exception)


def test_a_union_of_which_not_all_are_event_types_is_refused() -> None:
    async def either(event: PlainTold | int) -> None: ...

    with pytest.raises(InvalidHandler, match="of which not all are event types"):
        Runtime(subscribers=[subscriber("n")(either)])

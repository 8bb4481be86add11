"""Portable runtimes: as strict as a store, with copies for handlers (scenarios 16 and 71)."""

import datetime
import math
from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Batch, Event, InvalidOption, InvalidPayload, NotPortable, Runtime, event_type, subscriber
from postroom.nesting import DEEPEST, is_deep
from postroom.portable import LARGEST, portable_copy

pytestmark = pytest.mark.anyio


@attrs.frozen
class Order:
    id: str
    lines: tuple[int, ...] = ()
    at: datetime.date = datetime.date(2024, 1, 1)


class Struct(msgspec.Struct):
    value: float


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {"a": [1]}
    value["a"].append(value)
    return value


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        ({"a": [1, object()]}, "data['a'][1]", "is a object, which JSON can't carry"),
        ([math.nan], "data[0]", "is nan"),
        ({"a": -math.inf}, "data['a']", "is -inf"),
        (circular(), "data['a'][1]", "contains itself"),
        (nested(DEEPEST + 1), "data" + "[0]" * DEEPEST, "nested deeper than 64"),
        (["\ud800"], "data[0]", "lone surrogate"),
        ({"\ud800": 1}, "data", "a key that has a lone surrogate"),
        (2**64, "data", "more than 64 bits"),
        (-(2**63) - 1, "data", "more than 64 bits"),
        (10**5000, "data", "more than 64 bits"),
        ((1, 2), "data", "a tuple, which would come back as a list"),
        ({1: 2}, "data", "a key that is a int"),
        ({"at": datetime.date(2024, 1, 1)}, "data['at']", "a date, which would come back as a str"),
        ({"order": Order("1")}, "data['order']", "is a Order"),
        (Struct(math.nan), "data.value", "is nan"),
        ("x" * LARGEST, "data", f"takes {LARGEST + 2} bytes as JSON, and {LARGEST} is the most"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 80 else "value",
)
async def test_71_a_payload_that_a_store_could_not_carry_is_refused_with_its_path(
    data: Any, path: str, reason: str
) -> None:
    async with Runtime(portable=True) as runtime:
        with pytest.raises(NotPortable) as one:
            await runtime.emit("n", data)
        with pytest.raises(NotPortable) as another:
            await runtime.emit_many([Event("n", 1), Event("n", data)])
        with pytest.raises(NotPortable):
            runtime.emit_nowait(Event("n", data))
        assert runtime.stats.accepted == 0
    assert one.value.path == another.value.path == path
    assert reason in one.value.reason


@pytest.mark.parametrize(
    "data",
    [nested(DEEPEST), 2**64 - 1, -(2**63), "x" * (LARGEST - 2), Order("1", (1, 2)), None],
    ids=lambda value: type(value).__name__,
)
def test_71_what_is_just_within_bounds_comes_back_as_it_was(data: Any) -> None:
    copy = portable_copy(data)
    assert copy == data
    assert type(copy) is type(data)


texts = st.text(st.characters(exclude_categories=["Cs"]))
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20
)


@given(values)
def test_71_whatever_json_has_comes_back_equal_and_shares_nothing(data: Any) -> None:
    copy = portable_copy(data)
    assert copy == data
    assert copy is not data or not isinstance(data, list | dict)


@pytest.mark.parametrize("portable", [True, False])
async def test_16_a_handler_that_changes_its_payload_changes_nobody_elses_in_a_portable_runtime(portable: bool) -> None:
    seen: list[Any] = []

    @subscriber("n")
    async def careless(event: Event) -> None:
        event.data["items"].append("mine")

    @subscriber("n")
    def in_thread(event: Event) -> None:
        seen.append(list(event.data["items"]))

    @subscriber("n", batch=Batch(size=2))
    async def batching(batch: list[Event]) -> None:
        seen.append(list(batch[0].data["items"]))
        batch[0].data["items"].append("too")

    data = {"items": ["one"]}
    async with Runtime(subscribers=[careless, in_thread, batching], portable=portable) as runtime:
        receipt = await runtime.emit("n", data)
        await receipt
        data["items"].append("late")
    assert (receipt.event.data == {"items": ["one"]}) is portable
    assert (seen == [["one"], ["one"]]) is portable


async def test_16_a_retry_gets_the_payload_as_it_was_emitted() -> None:
    seen: list[int] = []

    async def careless(event: Event) -> None:
        event.data.append(1)
        seen.append(len(event.data))
        raise ValueError

    async with Runtime(portable=True) as runtime:
        subscription = await runtime.spawn(careless, "n")
        receipt = await runtime.emit("n", [])
        await receipt
        (letter,) = await runtime.dead_letters.list()
        await (await runtime.dead_letters.replay(letter))
        assert subscription.stats.failed == 2
    assert seen == [1, 1]


async def test_a_typed_payload_reaches_its_handler_as_what_it_was() -> None:
    seen: list[Order] = []

    async def take(event: Event) -> None:
        seen.append(event.data)

    order = Order("1", (1, 2))
    async with Runtime(portable=True) as runtime:
        await runtime.spawn(take, "n")
        await runtime.emit_and_wait("n", order)
    assert seen == [order]
    assert seen[0] is not order


def test_portable_is_a_flag() -> None:
    with pytest.raises(InvalidOption, match="True or False"):
        Runtime(portable="yes")  # type: ignore[arg-type]


@event_type("order.shipped")
@attrs.frozen
class Shipped:
    id: str
    lines: tuple[int, ...] = ()


async def test_typed_events_reach_their_handlers_in_a_portable_runtime_and_bad_ones_are_told_of_by_type() -> None:
    seen: list[object] = []

    @subscriber("order.shipped")
    async def take(shipped: Shipped) -> None:
        seen.append(shipped)

    @subscriber("order.shipped", batch=Batch(size=1))
    async def take_many(shipped: list[Shipped]) -> None:
        seen.extend(shipped)

    order = Shipped("1", (1, 2))
    async with Runtime(subscribers=[take, take_many], portable=True) as runtime:
        await runtime.emit_and_wait(order)
        await runtime.emit_and_wait("order.shipped", {"id": "1", "lines": [1, 2]})
        with pytest.raises(InvalidPayload):
            await runtime.emit(Shipped(1))  # type: ignore[arg-type]
    assert seen == [order] * 4
    assert all(each is not order for each in seen)


@attrs.frozen(eq=False)
class ByIdentity:
    """Two of them are never equal."""

    number: int


@attrs.frozen(eq=False)
class Incomparable:
    """Its comparison is a mistake of the user's."""

    number: int

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise LookupError


@pytest.mark.parametrize("data", [ByIdentity(1), Incomparable(1)])
def test_what_is_not_equal_to_its_copy_is_refused(data: object) -> None:
    with pytest.raises(NotPortable, match="would not come back from JSON as it was"):
        portable_copy(data)


@attrs.frozen
class Prices:
    by_number: dict[int, float]


def test_keys_that_are_no_strings_come_back_where_their_type_is_known() -> None:
    assert portable_copy(Prices({1: 2.5, 2: 3.0})) == Prices({1: 2.5, 2: 3.0})


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": 1, "b": inner}, lambda inner: (1, inner)])
def test_data_is_deep_beyond_as_many_levels_as_a_store_takes(wrap: Callable[[Any], Any]) -> None:
    data: Any = wrap(1)
    for _ in range(DEEPEST - 1):
        data = wrap(data)
    assert not is_deep(data)
    assert is_deep(wrap(data))


def test_data_that_contains_itself_or_the_same_often_is_looked_at_once() -> None:
    itself: list[Any] = []
    itself.append(itself)
    assert not is_deep(itself)
    doubled: Any = [1]
    for _ in range(40):
        doubled = [doubled, doubled]
    assert not is_deep(doubled)

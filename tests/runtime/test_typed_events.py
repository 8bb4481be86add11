"""Typed events: checked where they are emitted, read as what a handler annotates, lifted from older versions."""

import datetime
from collections.abc import Mapping
from typing import Annotated, Any

import anyio
import attrs
import msgspec
import pytest

from postroom import (
    Batch,
    Event,
    Failed,
    InvalidEventType,
    InvalidHandler,
    InvalidPayload,
    Retry,
    Runtime,
    Succeeded,
    UnreadableEvent,
    constant,
    event_type,
    subscriber,
)

from .type_checked import takes

pytestmark = pytest.mark.anyio


@attrs.frozen
class Item:
    price: int


@event_type("order.placed")
@attrs.define
class OrderPlaced:
    id: str
    items: list[Item]
    at: datetime.datetime | None = None


@event_type("order.renamed", version=3, upcast={1: lambda d: {"name": d["n"]}, 2: lambda d: {**d, "by": "me"}})
@attrs.frozen
class Renamed:
    name: str
    by: str


ORDER = OrderPlaced("1", [Item(3)])


async def test_the_handler_gets_the_very_instance_that_was_emitted() -> None:
    seen: list[object] = []

    @subscriber(OrderPlaced)
    async def plain(order: OrderPlaced) -> None:
        seen.append(order)

    @subscriber(OrderPlaced)
    async def whole(event: Event[OrderPlaced]) -> None:
        seen.append(event.data)

    async with Runtime(subscribers=[plain, whole]) as runtime:
        (await runtime.emit_and_wait(ORDER, key="k")).raise_for_failures()
        (await (await runtime.emit_many([ORDER]))[0]).raise_for_failures()
    assert len(seen) == 4
    assert all(each is ORDER for each in seen)


async def test_plain_data_is_read_as_what_the_handler_annotates() -> None:
    @subscriber("order.placed")
    async def plain(order: OrderPlaced) -> OrderPlaced:
        return order

    async with Runtime(subscribers=[plain]) as runtime:
        assert await runtime.request("order.placed", {"id": "1", "items": [{"price": 3}]}) == ORDER


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (OrderPlaced("1", [Item(1), Item("2")]), "order.placed: $.items[1].price: expected `int`, got `str`"),  # type: ignore[arg-type]
        (OrderPlaced("1", [{"price": 1}]), "order.placed: $.items[0]: expected `Item`, got `dict`"),  # type: ignore[list-item]
        (OrderPlaced("1", (Item(1),)), "order.placed: $.items: expected `list`, got `tuple`"),  # type: ignore[arg-type]
        (OrderPlaced("1", [], "2020-01-01T00:00:00"), "order.placed: $.at: expected `datetime | null`, got `str`"),  # type: ignore[arg-type]
    ],
)
async def test_an_instance_of_wrong_shape_is_refused_with_the_path(order: OrderPlaced, message: str) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidPayload) as caught:
            await runtime.emit(order)
        assert runtime.stats.accepted == 0
    assert str(caught.value) == message


async def test_74_data_that_does_not_fit_is_a_dead_letter_after_one_attempt() -> None:
    @subscriber("order.placed", retry=Retry(attempts=5))
    async def plain(order: OrderPlaced) -> None:
        raise AssertionError("never called")

    async with Runtime(subscribers=[plain]) as runtime:
        outcome = (await runtime.emit_and_wait("order.placed", {"id": 1, "items": []})).of("plain")
        (letter,) = await runtime.dead_letters.list()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, UnreadableEvent)
    assert (outcome.attempts, letter.reason) == (
        1,
        "'plain' can't read order.placed: $.id: expected `str`, got `int`",
    )


@pytest.mark.parametrize(
    ("version", "data", "result"),
    [
        (None, {"n": "a"}, Renamed("a", "me")),
        ("2", {"name": "a"}, Renamed("a", "me")),
        ("3", {"name": "a", "by": "b"}, Renamed("a", "b")),
        ("4", {}, "it has version 4, and 3 is the newest known here"),
        ("x", {}, "its header postroom-version says 'x', which is no version"),
    ],
)
async def test_74_old_versions_are_lifted_and_newer_ones_refused(version: str | None, data: Any, result: Any) -> None:
    @subscriber(Renamed)
    async def renamed(event: Renamed) -> Renamed:
        return event

    headers = None if version is None else {"postroom-version": version}
    async with Runtime(subscribers=[renamed]) as runtime:
        outcome = (await runtime.emit_and_wait("order.renamed", data, headers=headers)).of("renamed")
        emitted = await runtime.emit(Renamed("a", "b"))
    assert emitted.event.headers == {"postroom-version": "3"}
    if isinstance(outcome, Succeeded):
        assert outcome.value == result
    else:
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.exception, UnreadableEvent)
        assert outcome.exception.reason == result


async def test_of_a_batch_only_what_cannot_be_read_fails() -> None:
    seen: list[list[OrderPlaced]] = []

    @subscriber(OrderPlaced, batch=Batch(size=3, within=1))
    async def many(orders: list[OrderPlaced]) -> None:
        seen.append(orders)

    async with Runtime(subscribers=[many]) as runtime:
        receipts = await runtime.emit_many([ORDER, Event("order.placed", {}), ORDER])
        kinds = [type((await receipt).outcomes[0]) for receipt in receipts]
        alone = await runtime.emit_and_wait("order.placed", {})
        assert (runtime.stats.succeeded, runtime.stats.failed) == (2, 2)
    assert kinds == [Succeeded, Failed, Succeeded]
    assert isinstance(alone.outcomes[0], Failed)
    assert seen == [[ORDER, ORDER]]


def test_bad_declarations_are_refused() -> None:
    class Odd: ...

    @attrs.frozen
    class Holds:
        odd: Odd

    async def handler(event: Item) -> None: ...

    with pytest.raises(InvalidEventType, match=r"Holds, \$\.odd: its type `Odd`"):
        event_type("n")(Holds)
    with pytest.raises(InvalidEventType, match="no attrs class"):
        event_type("n")(Odd)
    with pytest.raises(InvalidEventType, match="upcast from 2 is missing"):
        event_type("n", version=3, upcast={1: dict})
    with pytest.raises(InvalidHandler, match="no event type"):
        Runtime(subscribers=[subscriber("n")(handler)])


async def test_an_events_own_timeout_holds_and_a_retry_is_timed_again() -> None:
    @subscriber("n")
    async def slow(event: Event) -> None:
        await anyio.sleep(10)

    async with Runtime(subscribers=[slow]) as runtime:
        await runtime.emit("n")  # the reader has begun before the first timeout comes
        began = anyio.current_time()
        report = await runtime.emit_and_wait("n", timeout=2, attempts=2, backoff=constant(0))
        took = anyio.current_time() - began
        later = await runtime.emit_and_wait("n")
    assert isinstance(report.outcomes[0], Failed)
    assert isinstance(report.outcomes[0].exception, TimeoutError)
    assert report.outcomes[0].attempts == 2
    assert took == pytest.approx(14, abs=0.01)
    assert later.succeeded


async def test_a_replayed_event_keeps_its_timeout() -> None:
    @subscriber("n")
    async def slow(event: Event) -> None:
        await anyio.sleep(10)

    async with Runtime(subscribers=[slow]) as runtime:
        await runtime.emit_and_wait("n", timeout=2)
        await runtime.subscriptions["slow"].stop()
        await runtime.spawn(slow)
        await runtime.emit_and_wait("n")  # the new reader has begun, and knows of no timeout
        report = await (await runtime.dead_letters.replay((await runtime.dead_letters.list())[0]))
    assert isinstance(report.outcomes[0], Failed)


@event_type("order.gapped", version=3, upcast={2: lambda d: d})
@attrs.frozen
class Gapped:
    name: str


def _refuse(data: object, *_: object) -> None:
    raise LookupError("a rule of its own")


@event_type("order.checked")
@attrs.frozen
class Checked:
    name: str
    __attrs_post_init__ = _refuse


@pytest.mark.parametrize(
    ("kind", "name", "data", "message"),
    [
        (Gapped, "order.gapped", {"name": "a"}, "it has version 1, from which no upcast leads to version 3"),
        (Checked, "order.checked", {"name": "a"}, "a rule of its own"),
    ],
)
async def test_74_what_cannot_be_made_of_data_is_a_failure_that_says_why(
    kind: Any, name: str, data: Any, message: str
) -> None:
    async def reads(event: Any) -> None: ...

    reads.__annotations__["event"] = kind
    async with Runtime(subscribers=[subscriber(name, name="reads")(reads)]) as runtime:
        outcome = (await runtime.emit_and_wait(name, data)).of("reads")
    assert isinstance(outcome, Failed)
    assert message in str(outcome.exception)


class Unreadable(Mapping[int, Any]):
    """A mapping that can't be read."""

    def __getitem__(self, key: int) -> Any: ...

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Any:
        raise LookupError


def test_steps_between_versions_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(InvalidEventType, match=r"upcast can't be read \(LookupError\)"):
        event_type("n", version=2, upcast=Unreadable())(Item)


def test_a_handler_of_batches_that_is_annotated_with_one_event_is_refused() -> None:
    async def handler(order: OrderPlaced) -> None: ...

    with pytest.raises(InvalidHandler, match=r"annotate list\[OrderPlaced\] instead of OrderPlaced"):
        Runtime(subscribers=[subscriber("order.placed", batch=Batch(size=2))(handler)])


async def test_an_annotation_that_carries_more_is_read_as_what_it_is_of() -> None:
    async def handler(order: Annotated[OrderPlaced, "the customer's own"]) -> OrderPlaced:
        return order

    async with Runtime(subscribers=[subscriber("order.placed")(handler)]) as runtime:
        assert await runtime.request("order.placed", {"id": "1", "items": [{"price": 3}]}) == ORDER


async def test_an_event_that_is_imported_for_type_checkers_only_asks_for_nothing_and_another_name_is_refused() -> None:
    async def unknown(event: "Elsewhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that is the point

    async with Runtime(subscribers=[subscriber("n")(takes)]) as runtime:
        assert await runtime.request("n", 1) == 1
    with pytest.raises(InvalidHandler, match=r"'Elsewhere' can't be resolved .* import it at run time"):
        Runtime(subscribers=[subscriber("n")(unknown)])


@event_type("stock.counted")
@attrs.frozen
class Counted:
    tags: set[str]
    count: Annotated[int, msgspec.Meta(description="of the shelf")] = 0


async def test_sets_and_what_is_described_are_checked_as_what_they_are() -> None:
    @subscriber("stock.counted")
    async def take(counted: Counted) -> Counted:
        return counted

    async with Runtime(subscribers=[take]) as runtime:
        assert await runtime.request("stock.counted", {"tags": ["a"], "count": 3}) == Counted({"a"}, 3)
        assert (await runtime.emit_and_wait(Counted({"a"}, 3))).succeeded
        with pytest.raises(InvalidPayload, match=r"\$.tags: expected `set`, got `frozenset`"):
            await runtime.emit(Counted(frozenset("a")))  # type: ignore[arg-type]

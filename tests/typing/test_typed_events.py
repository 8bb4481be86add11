"""Typed events are typed all the way: checked by the type checkers, and run, so that it is true as well."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_type

import attrs
import msgspec

from postroom import (
    Actor,
    Batch,
    Context,
    Event,
    Group,
    Receipt,
    Report,
    Runtime,
    Subscriber,
    ThreadReceipt,
    event_type,
    on,
    subscriber,
)


@event_type("order.placed")
@attrs.frozen
class OrderPlaced:
    id: str


@event_type("order.paid")
@dataclass(frozen=True)
class OrderPaid:
    id: str


@event_type("order.sent", version=2, upcast={1: lambda data: {"id": data}})
class OrderSent(msgspec.Struct, frozen=True):
    id: str


class Untyped:
    """No event type."""


@subscriber(OrderPlaced)
async def instance(order: OrderPlaced) -> str:
    assert_type(order, OrderPlaced)
    return order.id


@subscriber(OrderPaid, capacity=3, name="around")
async def around(event: Event[OrderPaid], context: Context) -> str:
    assert_type(event.data, OrderPaid)
    assert_type(event.key, str | None)
    return event.data.id


@subscriber(OrderSent, batch=Batch(size=10, within=0.1))
async def instances(orders: list[OrderSent]) -> None:
    for each in orders:
        assert_type(each, OrderSent)


@subscriber(OrderPlaced, batch=Batch(size=10, within=0.1))
async def events(orders: list[Event[OrderPlaced]], context: Context) -> None:
    for each in orders:
        assert_type(each.data, OrderPlaced)


@subscriber(OrderPlaced)
def in_a_thread(order: OrderPlaced) -> bytes:
    return order.id.encode()


@subscriber(OrderPlaced, OrderPaid)
async def of_two(event: Event[OrderPlaced | OrderPaid]) -> str:
    return event.data.id


class Ledger(Actor):
    @on(OrderPlaced)
    async def book(self, order: OrderPlaced) -> str:
        assert_type(await self.emit(OrderPaid(order.id)), Receipt)
        return order.id


def test_a_class_that_is_declared_stays_the_class_that_it_is() -> None:
    assert_type(OrderPlaced("1"), OrderPlaced)
    assert_type(OrderPaid("1"), OrderPaid)
    assert_type(OrderSent("1"), OrderSent)
    assert_type(Event("order.placed", OrderPlaced("1")).data, OrderPlaced)


async def test_declarations_keep_the_types_of_their_handlers() -> None:
    first: Subscriber[[OrderPlaced], Any] = instance
    second: Subscriber[[Event[OrderPaid], Context], Any] = around
    third: Subscriber[[list[OrderSent]], Any] = instances
    fourth: Subscriber[[list[Event[OrderPlaced]], Context], Any] = events
    fifth: Subscriber[[OrderPlaced], bytes] = in_a_thread
    assert [each.name for each in (first, second, third, fourth, fifth)] == [
        "instance",
        "around",
        "instances",
        "events",
        "in_a_thread",
    ]
    assert_type(await instance(OrderPlaced("1")), str)
    assert_type(in_a_thread(OrderPlaced("1")), bytes)
    assert await instance(OrderPlaced("1")) == "1"


async def test_every_emit_takes_a_typed_event_in_place_of_name_and_data() -> None:
    async with Runtime(subscribers=[instance, around, instances, events, of_two, Ledger]) as runtime:
        assert_type(await runtime.emit(OrderPlaced("1"), key="k"), Receipt)
        assert_type(await runtime.emit_and_wait(OrderPaid("1")), Report)
        assert_type(runtime.emit_nowait(OrderSent("1")), Receipt)
        assert_type(
            await runtime.emit_many([OrderPlaced("1"), OrderSent("2"), Event("order.paid", OrderPaid("3"))]),
            list[Receipt],
        )
        async with runtime.group() as group:
            assert_type(group, Group)
            assert_type(await group.emit(OrderPlaced("1")), Receipt)
            assert_type(await group.emit_many([OrderPlaced("1"), OrderPaid("2")]), list[Receipt])


if TYPE_CHECKING:
    # What has to be an error: a suppression that is not needed is one itself.

    def from_thread(runtime: Runtime) -> None:
        assert_type(runtime.emit_from_thread(OrderPlaced("1")), ThreadReceipt)

    @subscriber(OrderPlaced)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    async def other_class(order: OrderPaid) -> None: ...

    @subscriber(OrderPlaced)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    async def event_of_another(event: Event[OrderPaid]) -> None: ...

    @subscriber(OrderPlaced, batch=Batch(size=2, within=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    async def list_of_another(orders: list[OrderPaid]) -> None: ...

    @subscriber(OrderPlaced)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    async def no_argument() -> None: ...

    async def wrong_values(runtime: Runtime, group: Group) -> None:
        Event("order.placed", OrderPlaced("1")).data.missing  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
        await runtime.emit(17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await runtime.emit(Untyped())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await runtime.emit(OrderPlaced("1"), prioritty="high")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        await runtime.emit_many([Untyped()])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        await group.emit(Untyped())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await group.emit_many([17])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        OrderPlaced(id=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

"""Checks of deduplication: the same id is the same event."""

import anyio

from postroom.capabilities import Capability
from postroom.errors import ConflictingEvent
from postroom.event import Event
from postroom.outcomes import Succeeded

from .check import check
from .ledger import Ledger
from .refusals import raises
from .world import World


@check(Capability.DEDUPLICATION)
async def the_same_id_is_the_same_event(world: World) -> None:
    """Emitted twice it is handled once, and both receipts tell the same: before it is settled, and afterwards."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate))
    first = await shop.emit("order.placed", {"a": 1, "b": 2}, id="order-1")
    await world.until(lambda: ledger.lines)
    second = await shop.emit("order.placed", {"b": 2, "a": 1}, id="order-1")
    gate.set()
    assert [(await receipt).succeeded for receipt in (first, second)] == [True, True]
    third = await shop.emit("order.placed", {"a": 1, "b": 2}, id="order-1")
    assert (await third).outcomes == (await first).outcomes
    assert {receipt.id for receipt in (first, second, third)} == {"order-1"}
    await shop.idle()
    assert len(ledger.lines) == 1


@check(Capability.DEDUPLICATION)
async def the_same_id_with_other_contents_is_refused(world: World) -> None:
    """Other data, another name, other headers; the first one goes on, and of several none is accepted."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    await (await shop.emit("order.placed", 1, id="order-1"))
    await raises(ConflictingEvent, lambda: shop.emit("order.placed", 2, id="order-1"))
    await raises(ConflictingEvent, lambda: shop.emit("order.paid", 1, id="order-1"))
    await raises(ConflictingEvent, lambda: shop.emit("order.placed", 1, id="order-1", headers={"a": "b"}))
    several = [Event("order.placed", 3), Event("order.placed", 2, id="order-1")]
    await raises(ConflictingEvent, lambda: shop.emit_many(several))
    await shop.idle()
    assert ledger.lines == [1]


@check(Capability.DEDUPLICATION, Capability.SHARED)
async def the_same_id_is_the_same_event_in_all_processes(world: World) -> None:
    """Emitted at once by several processes it is handled once, and each one's receipt hears of it."""
    ledger, gate = Ledger(), anyio.Event()
    shops = [await world.start(ledger.handler(then=lambda event, context: _after(gate, event.data))) for _ in range(3)]
    receipts = []

    async def emit(position: int) -> None:
        receipts.append(await shops[position].emit("order.placed", 7, id="order-1"))

    async with anyio.create_task_group() as tasks:
        for position in range(3):
            tasks.start_soon(emit, position)
    await world.until(lambda: ledger.lines)
    await raises(ConflictingEvent, lambda: shops[1].emit("order.placed", 8, id="order-1"))
    gate.set()
    late = await shops[2].emit("order.placed", 7, id="order-1")
    for receipt in (*receipts, late):
        outcome = (await receipt).of("ledger")
        assert isinstance(outcome, Succeeded)
        assert outcome.value == 7
    await shops[0].idle()
    assert ledger.lines == [7]


async def _after(gate: anyio.Event, value: int) -> int:
    await gate.wait()
    return value


@check(Capability.DEDUPLICATION, Capability.DURABLE)
async def ids_are_remembered_when_a_process_ends(world: World) -> None:
    """Within the window the same event is not handled again by the next process; its outcomes are known there."""
    ledger = Ledger()
    shop = await world.start(ledger.handler(then=lambda event, context: "done"))
    await (await shop.emit("order.placed", 1, id="order-1"))
    await world.stop(shop)
    shop = await world.start(ledger.handler())
    outcome = (await (await shop.emit("order.placed", 1, id="order-1"))).of("ledger")
    assert isinstance(outcome, Succeeded)
    assert outcome.value == "done"
    await raises(ConflictingEvent, lambda: shop.emit("order.placed", 2, id="order-1"))
    await shop.idle()
    assert ledger.lines == [1]


@check(Capability.DEDUPLICATION, forgets=True)
async def an_id_is_forgotten_after_its_window_and_not_before(world: World) -> None:
    """Until then it is the same event, or refused; later it is a new one. To emit it again does not prolong that."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    await (await shop.emit("order.placed", 1, id="order-1"))
    await world.pass_window(0.6)
    assert (await (await shop.emit("order.placed", 1, id="order-1"))).succeeded
    await raises(ConflictingEvent, lambda: shop.emit("order.placed", 2, id="order-1"))
    await shop.idle()
    assert ledger.lines == [1]
    await world.pass_window(0.6)
    assert (await (await shop.emit("order.placed", 2, id="order-1"))).succeeded
    await raises(ConflictingEvent, lambda: shop.emit("order.placed", 1, id="order-1"))
    assert ledger.lines == [1, 2]


@check(Capability.DEDUPLICATION, has_store=True, forgets=True)
async def an_id_is_remembered_as_long_as_its_event_is_pending(world: World) -> None:
    """However long that takes: a store may keep events for days."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate))
    first = await shop.emit("order.placed", 1, id="order-1")
    await world.until(lambda: ledger.lines)
    await world.pass_window(1.5)
    second = await shop.emit("order.placed", 1, id="order-1")
    await raises(ConflictingEvent, lambda: shop.emit("order.placed", 2, id="order-1"))
    gate.set()
    assert [(await receipt).succeeded for receipt in (first, second)] == [True, True]
    await shop.idle()
    assert ledger.lines == [1]

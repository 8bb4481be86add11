"""Checks of bounded backlogs: what may wait for a subscription in its store, and what happens beyond that."""

import anyio

from postroom.capabilities import Capability
from postroom.context import Context
from postroom.errors import WouldDeadlock
from postroom.event import Event
from postroom.options import EmitOptions
from postroom.outcomes import Dropped, Outcome
from postroom.receipt import Receipt
from postroom.runtime import Runtime

from .check import check
from .ledger import Ledger
from .world import World


async def _fill(world: World, shop: Runtime, ledger: Ledger, count: int, keys: str = "") -> list[Receipt]:
    """Emit one event that stays in hand, and so many behind it that wait in the store."""
    receipts = [await shop.emit("order.placed", "in hand")]
    await world.until(lambda: ledger.lines)
    for n in range(count):
        options: EmitOptions = {"key": keys[n]} if keys else {}
        receipts.append(await shop.emit("order.placed", n, **options))
    return receipts


def _dropped(outcomes: list[Outcome]) -> list[int]:
    return [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Dropped)]


@check(Capability.BACKLOG)
async def a_full_backlog_holds_its_emitters_back(world: World) -> None:
    """First come, first served; one that goes away while it waits has emitted nothing."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate, backlog=2))
    await _fill(world, shop, ledger, 2)
    accepted: list[int] = []

    async def emit(n: int) -> None:
        await shop.emit("order.placed", n)
        accepted.append(n)

    async with anyio.create_task_group() as tasks:
        for n in (10, 11):
            tasks.start_soon(emit, n)
            await world.wait(0.2)
        with anyio.move_on_after(2 * world.moment) as patience:
            await shop.emit("order.placed", "gone")
        assert patience.cancelled_caught
        assert accepted == []
        gate.set()
    await shop.idle()
    assert set(accepted) == {10, 11}
    assert ledger.lines == ["in hand", 0, 1, 10, 11]
    assert shop.stats.accepted == 5


@check(Capability.BACKLOG)
async def a_full_backlog_drops_the_newest_or_the_oldest(world: World) -> None:
    """As the policy says; what is dropped settles so, and what is in hand does not count."""
    for overflow, dropped, kept in (("drop_newest", [3, 4], [0, 1]), ("drop_oldest", [1, 2], [2, 3])):
        ledger, gate = Ledger(), anyio.Event()
        shop = await world.start(ledger.blocked(gate, name=overflow, backlog=2, overflow=overflow))
        receipts = await _fill(world, shop, ledger, 4)
        gate.set()
        assert _dropped([(await receipt).of(overflow) for receipt in receipts]) == dropped
        assert ledger.lines == ["in hand", *kept]
        await world.stop(shop)
        async with world.session() as store:
            await store.remove(overflow)


@check(Capability.BACKLOG)
async def a_policy_that_drops_keeps_the_capacity(world: World) -> None:
    """Where no backlog is given, as many wait as a mailbox would hold."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate, capacity=3, overflow="drop_newest"))
    receipts = await _fill(world, shop, ledger, 5)
    gate.set()
    assert _dropped([(await receipt).of("ledger") for receipt in receipts]) == [4, 5]


@check(Capability.BACKLOG, Capability.KEYS)
async def a_backlog_keeps_the_newest_of_each_key(world: World) -> None:
    """With `coalesce`; an event of another key waits for room."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate, backlog=2, overflow="coalesce"))
    receipts = await _fill(world, shop, ledger, 5, keys="ababa")
    with anyio.move_on_after(world.moment) as patience:
        await shop.emit("order.placed", "other", key="c")
    assert patience.cancelled_caught
    gate.set()
    outcomes = [(await receipt).of("ledger") for receipt in receipts]
    assert _dropped(outcomes) == [1, 2, 3]
    assert sorted(map(str, ledger.lines)) == ["3", "4", "in hand"]


@check(Capability.BACKLOG, Capability.KEYS)
async def events_of_one_key_that_are_emitted_together_take_one_place(world: World) -> None:
    """With `coalesce`, and none where one of the key waits already; one without a key takes its own."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate, backlog=2, overflow="coalesce"))
    await _fill(world, shop, ledger, 1, keys="a")
    with anyio.move_on_after(world.moment) as patience:
        await shop.emit_many([Event("order.placed", n, key=key) for n, key in enumerate("baabb")])
    assert not patience.cancelled_caught
    with anyio.move_on_after(world.moment) as patience:
        await shop.emit_many([Event("order.placed", "a", key="a"), Event("order.placed", "no key")])
    assert patience.cancelled_caught
    gate.set()
    await shop.idle()
    assert sorted(map(str, ledger.lines)) == ["2", "4", "in hand"]


@check(Capability.BACKLOG)
async def a_handler_that_waits_for_room_that_only_it_can_make_is_told(world: World) -> None:
    """Where no other process serves the subscription: `WouldDeadlock`, and nothing is emitted."""
    ledger = Ledger()
    errors: list[Exception] = []

    async def emit(event: Event, context: Context) -> None:
        if event.data != "in hand":
            return
        for n in range(3):
            try:
                await context.emit("order.placed", n)
            except WouldDeadlock as error:
                errors.append(error)

    shop = await world.start(ledger.handler(then=emit, backlog=2))
    await shop.emit("order.placed", "in hand")
    await shop.idle()
    assert (len(errors), ledger.lines) == (1, ["in hand", 0, 1])


@check(Capability.BACKLOG, Capability.SHARED)
async def a_backlog_is_that_of_all_processes(world: World) -> None:
    """What one process emits takes the room of another; room that one makes lets the other go on."""
    ledger, gate = Ledger(), anyio.Event()
    subscriber = ledger.blocked(gate, backlog=2)
    one, two = await world.start(subscriber), await world.start(role="emit")
    await _fill(world, one, ledger, 2)
    with anyio.move_on_after(world.moment) as patience:
        await two.emit("order.placed", "too much")
    assert patience.cancelled_caught
    gate.set()
    with anyio.fail_after(world.patience):
        await two.emit("order.placed", "fits")
    await two.idle()
    await world.until(lambda: ledger.lines[-1] == "fits")
    assert ledger.lines == ["in hand", 0, 1, "fits"]

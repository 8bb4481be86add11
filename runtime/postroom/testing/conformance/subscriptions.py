"""Checks of subscriptions that come, pause, change and go while events flow."""

import anyio

from postroom.capabilities import Capability
from postroom.context import Context
from postroom.errors import DuplicateSubscription, WouldDeadlock
from postroom.event import Event
from postroom.retry import Retry, constant

from .check import check
from .failing import fail_until
from .ledger import Ledger
from .refusals import raises
from .world import World


@check()
async def a_subscriber_that_is_spawned_gets_what_is_accepted_from_then_on(world: World) -> None:
    """And nothing of before; its name is taken as long as it is at work."""
    ledger, late = Ledger(), Ledger()
    shop = await world.start(ledger.handler())
    await (await shop.emit("order.placed", 1))
    await shop.spawn(late.handler(name="late"))
    await raises(DuplicateSubscription, lambda: shop.spawn(late.handler(name="late")))
    report = await (await shop.emit("order.placed", 2))
    assert {outcome.subscription for outcome in report.outcomes} == {"ledger", "late"}
    assert (ledger.lines, late.lines) == ([1, 2], [2])


@check()
async def a_subscription_that_stops_finishes_what_it_took(world: World) -> None:
    """`stop()` waits until what is in hand, and what it had in its mailbox, is handled."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate))
    receipt = await shop.emit("order.placed", 1)
    await world.until(lambda: ledger.lines)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.subscriptions["ledger"].stop)
        await world.wait(1)
        gate.set()
    assert (await receipt).succeeded
    assert "ledger" not in shop.subscriptions


@check(has_store=True)
async def what_a_stopped_subscription_leaves_waits_for_the_next(world: World) -> None:
    """Neither a stop that drains nor one that cuts short loses anything, or spends an attempt."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate, capacity=2))
    receipts = [await shop.emit("order.placed", n) for n in range(5)]
    await world.until(lambda: ledger.lines)
    await shop.subscriptions["ledger"].stop(drain=False)
    late = await shop.emit("order.placed", 5)  # it is registered still
    again = Ledger()
    await shop.spawn(again.handler())
    assert [(await receipt).succeeded for receipt in (*receipts, late)] == [True] * 6
    assert (again.lines, again.attempts) == ([0, 1, 2, 3, 4, 5], [1] * 6)
    await shop.idle()


@check(has_store=True)
async def a_retry_of_a_stopped_subscription_waits_for_the_next(world: World) -> None:
    """It keeps its time and its attempts."""
    ledger = Ledger()
    retry = Retry(attempts=3, backoff=constant(6 * world.moment))
    subscriber = ledger.handler(then=fail_until(2), retry=retry)
    shop = await world.start(subscriber)
    receipt = await shop.emit("order.placed", 1)
    await world.until(lambda: shop.stats.retried)
    await shop.subscriptions["ledger"].stop(drain=False)
    await shop.spawn(subscriber)
    assert (await receipt).outcomes[0].attempts == 2
    assert ledger.attempts == [1, 2]
    assert ledger.at[1] - ledger.at[0] >= 6 * world.moment


@check()
async def a_paused_subscription_takes_nothing(world: World) -> None:
    """What is in hand goes on; after `resume` all that came meanwhile is handled, in order."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    await (await shop.emit("order.placed", 0))
    await shop.subscriptions["ledger"].pause()
    receipts = [await shop.emit("order.placed", n) for n in range(1, 5)]
    await world.wait(3)
    assert ledger.lines == [0]
    assert shop.subscriptions["ledger"].stats.paused
    await shop.subscriptions["ledger"].resume()
    assert all([(await receipt).succeeded for receipt in receipts])
    assert ledger.lines == [0, 1, 2, 3, 4]


@check(Capability.SHARED)
async def a_pause_holds_in_all_processes(world: World) -> None:
    """And is undone from any of them."""
    ledger = Ledger()
    one, two = await world.start(ledger.handler()), await world.start(ledger.handler())
    await one.subscriptions["ledger"].pause()
    receipts = [await two.emit("order.placed", n) for n in range(4)]
    await world.wait(3)
    assert ledger.lines == []
    await one.subscriptions["ledger"].resume()
    assert all([(await receipt).succeeded for receipt in receipts])
    assert sorted(ledger.lines) == [0, 1, 2, 3]


@check(Capability.DURABLE)
async def the_newest_patterns_of_a_subscription_hold(world: World) -> None:
    """A release that subscribes otherwise under the same name gets what it asks for, and what waited from before."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate, "order.placed"), drain_within=0)
    await shop.emit("order.placed", "old")
    await world.stop(shop)
    ledger = Ledger()
    shop = await world.start(ledger.handler("order.paid"))
    await shop.emit("order.placed", "nobody")
    await (await shop.emit("order.paid", "new"))
    await shop.idle()
    assert ledger.lines == ["old", "new"]


@check()
async def idle_waits_for_all_that_is_pending(world: World) -> None:
    """Retries, and what handlers emit, included."""
    ledger = Ledger()

    async def emit(event: Event, context: Context) -> None:
        if event.data < 3:
            await context.emit("order.placed", event.data + 1)
        if context.attempt == 1:
            raise ValueError("once")

    shop = await world.start(ledger.handler(then=emit, retry=Retry(attempts=2, backoff=constant(world.moment))))
    await shop.emit("order.placed", 2)
    await shop.idle()
    assert sorted(ledger.lines) == [2, 2, 3, 3, 3, 3]
    assert shop.stats.pending == 0


@check()
async def a_handler_that_waits_for_itself_is_told(world: World) -> None:
    """Where only this process serves it: awaiting its own event, or `idle`, raises `WouldDeadlock`."""
    ledger = Ledger()
    errors: list[Exception] = []

    async def wait(event: Event, context: Context) -> None:
        if event.data == 0:
            receipt = await context.emit("order.placed", 1)
            errors.append(await raises(WouldDeadlock, receipt.wait))
            errors.append(await raises(WouldDeadlock, shop.idle))

    shop = await world.start(ledger.handler(then=wait))
    with anyio.fail_after(world.patience):
        await (await shop.emit("order.placed", 0))
        await shop.idle()
    assert (len(errors), ledger.lines) == (2, [0, 1])

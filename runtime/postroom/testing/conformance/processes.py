"""Checks of several processes on one store."""

import anyio

from postroom.capabilities import Capability
from postroom.codec import NotEncoded, RemoteFailure
from postroom.context import Context
from postroom.errors import RuntimeClosed
from postroom.event import Event
from postroom.outcomes import Failed, Succeeded
from postroom.retry import Retry, constant

from .check import check
from .ledger import Ledger
from .refusals import raises
from .world import World

SHARED = Capability.SHARED


@check(SHARED)
async def receipts_settle_from_other_processes(world: World) -> None:
    """Values, failures and what can't be encoded, in a process that only emits."""
    ledger = Ledger()

    def handle(event: Event, context: Context) -> object:
        if event.data == "fail":
            raise ValueError("bad order")
        return object() if event.data == "odd" else {"got": event.data}

    emitter = await world.start()
    await world.start(ledger.handler(then=handle))
    good, fail, odd = [await emitter.emit("order.placed", data) for data in ("good", "fail", "odd")]
    outcome = (await good).of("ledger")
    assert isinstance(outcome, Succeeded)
    assert outcome.value == {"got": "good"}
    failed = (await fail).of("ledger")
    assert isinstance(failed, Failed)
    assert isinstance(failed.exception, RemoteFailure)
    assert (failed.exception.type, failed.exception.message) == ("ValueError", "bad order")
    assert "ValueError" in failed.exception.traceback
    unencoded = (await odd).of("ledger")
    assert isinstance(unencoded, Succeeded)
    assert isinstance(unencoded.value, NotEncoded)
    assert unencoded.value.type == "object"
    assert await emitter.request("order.placed", 1) == {"got": 1}


@check(SHARED)
async def processes_share_the_work(world: World) -> None:
    """Each delivery is handled by one of them, and all of them have something to do."""
    ledgers = [Ledger() for _ in range(3)]
    shops = [
        await world.start(ledger.handler(then=lambda event, context: anyio.sleep(0.5 * world.moment)))
        for ledger in ledgers
    ]
    receipts = [await shops[0].emit("order.placed", n) for n in range(18)]
    for receipt in receipts:
        assert (await receipt).succeeded
    lines = [line for ledger in ledgers for line in ledger.lines]
    assert sorted(lines) == list(range(18))
    assert all(ledger.lines for ledger in ledgers)


@check(SHARED)
async def each_subscription_gets_each_event_whoever_serves_it(world: World) -> None:
    """Two subscriptions at two processes: an event of either goes to both."""
    one, two = Ledger(), Ledger()
    shops = [await world.start(one.handler(name="one")), await world.start(two.handler(name="two"))]
    receipts = [await shops[n % 2].emit("order.placed", n) for n in range(6)]
    assert [len((await receipt).outcomes) for receipt in receipts] == [2] * 6
    assert sorted(one.lines) == sorted(two.lines) == list(range(6))


@check(SHARED)
async def causes_cross_processes(world: World) -> None:
    """What a handler elsewhere emits is linked to the event that it handled, and as deep as that makes it."""
    ledger = Ledger()

    async def react(event: Event, context: Context) -> None:
        await context.emit("mail.sent", event.data)

    one = await world.start(Ledger().handler(name="reacts", then=react))
    await world.start(ledger.handler("mail.sent"))
    receipt = await one.emit("order.placed", 1)
    await receipt
    await world.until(lambda: ledger.events)
    (mail,) = ledger.events
    assert (mail.cause, mail.origin.depth) == (receipt.id, 1)


@check(SHARED)
async def an_event_that_nobody_serves_waits(world: World) -> None:
    """For a subscription that is registered: its receipt stays pending until a process comes that handles it."""
    ledger = Ledger()
    one = await world.start(ledger.handler())
    await world.stop(one)
    two = await world.start()
    receipt = await two.emit("order.placed", 1)
    with anyio.move_on_after(2 * world.moment) as patience:
        await receipt
    assert patience.cancelled_caught
    await world.start(ledger.handler())
    assert (await receipt).succeeded


@check(SHARED)
async def a_process_that_ends_leaves_its_work_to_the_others(world: World) -> None:
    """What it was lent goes back at once, and is handled elsewhere in its first attempt."""
    ledger, gate = Ledger(), anyio.Event()
    one = await world.start(ledger.blocked(gate, capacity=4), drain_within=0)
    receipts = [await one.emit("order.placed", n) for n in range(4)]
    await world.until(lambda: ledger.lines)
    again = Ledger()
    two = await world.start(again.handler())
    known = await two.emit("order.placed", 4)
    await world.stop(one)
    assert (await known).succeeded
    await two.idle()
    assert sorted(again.lines) == [0, 1, 2, 3, 4]
    assert set(again.attempts) == {1}
    for receipt in receipts:
        if not receipt.settled or receipt.ended:  # type: ignore[attr-defined]
            await raises(RuntimeClosed, receipt.wait)


@check(SHARED, kills=True)
async def what_a_killed_process_had_in_hand_goes_to_another(world: World) -> None:
    """Once its lease has run out; the emitter's receipt settles from there."""
    ledger, again = Ledger(), Ledger()
    emitter = await world.start()
    one = await world.start(ledger.blocked(anyio.Event()))
    receipt = await emitter.emit("order.placed", 1)
    await world.until(lambda: ledger.lines)
    two = await world.start(again.handler(then=lambda event, context: "rescued"))
    await world.kill(one)
    outcome = (await receipt).of("ledger")
    assert isinstance(outcome, Succeeded)
    assert (outcome.value, outcome.attempts) == ("rescued", 1)
    assert again.lines == [1]
    await two.idle()


@check(SHARED, stalls=True)
async def a_process_that_was_taken_for_dead_settles_nothing_more(world: World) -> None:
    """Its handler is cancelled once it hears of it, what it had is handled elsewhere, and counted once."""
    ledger, again = Ledger(), Ledger()
    cancelled: list[bool] = []

    async def hang(event: Event, context: Context) -> None:
        try:
            await anyio.sleep(20 * world.patience)
        finally:
            cancelled.append(True)

    emitter = await world.start()
    one = await world.start(ledger.handler(then=hang))
    receipt = await emitter.emit("order.placed", 1)
    await world.until(lambda: ledger.lines)
    await world.start(again.handler(then=lambda event, context: "rescued"))
    world.stall(one)
    outcome = (await receipt).of("ledger")
    assert isinstance(outcome, Succeeded)
    assert outcome.value == "rescued"
    await one.emit("mail.sent")  # it goes on, as a new session
    await world.until(lambda: cancelled)
    await one.idle()
    assert (one.stats.succeeded, one.stats.pending) == (0, 0)
    assert again.lines == [1]


@check(stalls=True, has_store=True)
async def a_process_that_was_taken_for_dead_goes_on(world: World) -> None:
    """It serves what it served before, and everything is handled: what it had in hand, between two attempts, in its
    mailbox or on the way, and what comes afterwards. Nothing stays lent to a session that does not know of it."""
    ledger = Ledger()
    retry = Retry(attempts=9, backoff=constant(2 * world.moment))

    async def fail(event: Event, context: Context) -> None:
        await world.wait(0.7)
        if event.data % 3 == 1 and context.attempt < 3:
            raise ValueError("not yet")

    shop = await world.start(ledger.handler(then=fail, concurrency=3, retry=retry), losses=9)
    receipts = [await shop.emit("order.placed", n) for n in range(12)]
    for _ in range(2):
        await world.wait(1.2)
        world.stall(shop)
    receipts += [await shop.emit("order.placed", n) for n in range(12, 15)]
    assert all([(await receipt).succeeded for receipt in receipts])
    await shop.idle()
    assert set(ledger.lines) == set(range(15))
    assert shop.stats.pending == 0


@check(SHARED)
async def a_wait_that_another_process_may_end_is_no_deadlock(world: World) -> None:
    """A handler that awaits an event of its own subscription, which a second process serves as well."""
    ledger = Ledger()

    async def wait(event: Event, context: Context) -> str:
        if event.data == "outer":
            await (await context.emit("order.placed", "inner"))
        return "done"

    one = await world.start(ledger.handler(then=wait))
    await world.start(ledger.handler(then=wait))
    await world.wait(1)  # each knows of the other
    with anyio.fail_after(world.patience):
        assert (await (await one.emit("order.placed", "outer"))).succeeded
    assert ledger.lines == ["outer", "inner"]

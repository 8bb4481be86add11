"""Checks of what the end of a process leaves: by a drain, by a kill, and by cancellations in between."""

import anyio

from postroom.capabilities import Capability
from postroom.errors import RuntimeClosed
from postroom.event import Event

from .check import check
from .ledger import Ledger
from .refusals import raises
from .world import World


@check()
async def a_drain_finishes_what_is_in_hand(world: World) -> None:
    """The end of a runtime waits for its handlers, which may still emit."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate))
    receipt = await shop.emit("order.placed", 1)
    await world.until(lambda: ledger.lines)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.stop, shop)
        await world.wait(1)
        await raises(RuntimeClosed, lambda: shop.emit("order.placed", 2))
        gate.set()
    assert (await receipt).succeeded
    assert ledger.lines == [1]


@check(Capability.DURABLE)
async def what_a_drain_does_not_start_is_handled_by_the_next_process(world: World) -> None:
    """It is handed back: each event is handled once, in order, in its first attempt."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate, capacity=4))
    await shop.emit_many([Event("order.placed", n) for n in range(8)])
    await world.until(lambda: ledger.lines)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.stop, shop)
        await world.wait(1)
        gate.set()
    assert ledger.lines == [0]
    shop = await world.start(ledger.handler())
    await shop.idle()
    assert (ledger.lines, ledger.attempts) == (list(range(8)), [1] * 8)


@check(Capability.DURABLE)
async def what_a_drain_has_to_cancel_is_handled_again(world: World) -> None:
    """A handler that does not end in time is cancelled; its event comes again, and no attempt was spent."""
    ledger = Ledger()
    shop = await world.start(ledger.blocked(anyio.Event()), drain_within=world.moment)
    await shop.emit("order.placed", 1)
    await world.until(lambda: ledger.lines)
    await world.stop(shop)
    shop = await world.start(ledger.handler())
    await shop.idle()
    assert (ledger.lines, ledger.attempts) == ([1, 1], [1, 1])


@check(Capability.DURABLE)
async def a_receipt_that_is_pending_at_the_end_says_so(world: World) -> None:
    """`RuntimeClosed`, at once and for everyone who waits: the event is stored, and will be handled."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate), drain_within=0)
    receipt = await shop.emit("order.placed", 1)
    await world.until(lambda: ledger.lines)
    waiting: list[RuntimeClosed] = []

    async def wait() -> None:
        waiting.append(await raises(RuntimeClosed, receipt.wait))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        tasks.start_soon(wait)
        await world.wait(0.2)
        await world.stop(shop)
    await raises(RuntimeClosed, receipt.wait)
    assert len(waiting) == 2


@check(Capability.DURABLE)
async def what_was_accepted_is_there_after_an_end_at_once(world: World) -> None:
    """Whoever emits and leaves has emitted."""
    ledger = Ledger()
    shop = await world.start(ledger.handler(), drain_within=0)
    for n in range(10):
        await shop.emit("order.placed", n)
    await world.stop(shop)
    shop = await world.start(ledger.handler())
    await shop.idle()
    assert set(ledger.lines) == set(range(10))


@check(Capability.DURABLE, kills=True)
async def what_was_accepted_survives_a_kill(world: World) -> None:
    """Each event whose emit has returned is handled, here or by the next process; what was settled is not run again."""
    ledger, gate = Ledger(), anyio.Event()

    def wait(event: Event, context: object) -> object:
        return gate.wait() if event.data >= 5 else None

    shop = await world.start(ledger.handler(then=wait, concurrency=2))
    settled = [await shop.emit("order.placed", n) for n in range(5)]
    for receipt in settled:
        await receipt
    for n in range(5, 15):
        await shop.emit("order.placed", n)
    await world.until(lambda: len(ledger.lines) == 7)
    await world.kill(shop)
    gate.set()
    shop = await world.start(ledger.handler())
    await world.until(lambda: set(ledger.lines) == set(range(15)))
    await shop.idle()
    counts = {n: ledger.lines.count(n) for n in range(15)}
    assert {n for n, count in counts.items() if count > 1} == {5, 6}
    assert sum(counts.values()) == 17
    assert set(ledger.attempts) == {1}  # what a kill costs is not an attempt


@check()
async def whoever_stops_waiting_for_a_receipt_stops_nobody(world: World) -> None:
    """A cancelled wait leaves the handler at work, and the receipt may be awaited again."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate))
    receipt = await shop.emit("order.placed", 1)
    with anyio.move_on_after(world.moment):
        await receipt
    gate.set()
    assert (await receipt).succeeded


@check(Capability.DEDUPLICATION)
async def an_emit_that_is_cancelled_was_accepted_or_not(world: World) -> None:
    """At once, in the middle or afterwards: emitting again under its id makes sure, and it is handled once."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    for n in range(10):
        with anyio.move_on_after(0 if n % 2 else world.moment * 0.001 * n):
            await shop.emit("order.placed", n, id=f"order-{n}")
        assert (await (await shop.emit("order.placed", n, id=f"order-{n}"))).succeeded
    await shop.idle()
    assert sorted(ledger.lines) == list(range(10))


@check(Capability.GROUPS)
async def a_release_that_is_cancelled_has_happened_or_not(world: World) -> None:
    """All of it, or none, and then the group is still there."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    for n in range(3):
        await shop.emit("order.placed", n, group="g")
    with anyio.move_on_after(0):
        await shop.release_group("g")
    await shop.idle()
    assert len(ledger.lines) in (0, 3)
    await shop.release_group("g")
    await shop.idle()
    assert ledger.lines == [0, 1, 2]

"""The scenarios: each uses some calls of the store, and settles all that it began."""

from contextlib import suppress
from functools import partial
from typing import Any, Final

import anyio

from postroom import Context, Event, Retry, Runtime, constant
from postroom.errors import Full, UnknownDeadLetter
from postroom.store_errors import UnknownResult

from .world import Processes, Scenario, persist


async def emitting(world: Processes) -> None:
    """Events one by one, together, and by two tasks at once."""
    async with world.open(world.handler(), world.handler("order.paid", name="paid")) as runtime:
        for n in range(4):
            await world.emit(n, partial(runtime.emit, "order.placed", n))
        many = [Event("order.placed", n) for n in (10, 11, 12)]
        await world.emit([10, 11, 12], lambda: runtime.emit_many(many))

        async def emit(n: int) -> None:
            await world.emit(n, lambda: runtime.emit("order.placed", n))

        async with anyio.create_task_group() as tasks:
            for n in range(20, 24):
                tasks.start_soon(emit, n)
        await runtime.idle()


async def under_an_id(world: Processes) -> None:
    """An emit whose result is unknown is made again under its id: exactly once."""
    async with world.open(world.handler()) as runtime:
        for n in range(4):
            receipt = await persist(partial(runtime.emit, "order.placed", n, id=f"order-{n}"))
            world.done.append(n)
            world.receipts.append(receipt)
            assert (await receipt).succeeded
        await runtime.idle()


async def retries(world: Processes) -> None:
    """Attempts that fail, at keys with several workers, and delays."""

    async def fail(event: Event, context: Context) -> None:
        await anyio.sleep(0.01)
        if event.data % 2 and context.attempt < 3:
            raise ValueError("not yet")

    retry = Retry(attempts=3, backoff=constant(0.5))
    async with world.open(world.handler(then=fail, concurrency=2, retry=retry, capacity=2)) as runtime:
        for n in range(6):
            await world.emit(n, partial(runtime.emit, "order.placed", n, key=f"key-{n % 2}"))
        await world.emit(10, lambda: runtime.emit("order.placed", 10, delay=2, priority="high"))
        await runtime.idle()


async def dead_letters(world: Processes) -> None:
    """A delivery that is given up on, listed, replayed, given up on again, and discarded."""

    async def fail(event: Event, context: Context) -> None:
        raise ValueError("never")

    async with world.open(world.handler("order.*", then=fail)) as runtime:
        receipt = await persist(lambda: runtime.emit("order.placed", "bad", id="bad"))
        await receipt
        (letter,) = await persist(runtime.dead_letters.list)
        world.handled.clear()
        await persist_replay(runtime, letter.id)
        await runtime.idle()
        (again,) = await persist(runtime.dead_letters.list)
        assert again.id != letter.id
        with suppress(UnknownDeadLetter):  # discarded, but its reply was lost
            await runtime.dead_letters.discard(again)
        assert await persist(runtime.dead_letters.list) == ()
        world.done.append("bad")


async def persist_replay(runtime: Runtime, letter: str) -> None:
    """Replay a letter whatever it takes; one that is gone was replayed."""
    while any(each.id == letter for each in await persist(runtime.dead_letters.list)):
        await persist_once(runtime, letter)


async def persist_once(runtime: Runtime, letter: str) -> None:
    try:
        await runtime.dead_letters.replay(letter)
    except (Full, UnknownResult, UnknownDeadLetter):
        await anyio.sleep(1)


async def groups(world: Processes) -> None:
    """A block, a group that is released by its id, and one that is cleared."""
    async with world.open(world.handler()) as runtime:

        async def block() -> list[Any]:
            async with runtime.group() as group:
                staged = [await group.emit("order.placed", n) for n in (1, 2, 3)]
            return staged

        await world.emit([1, 2, 3], block)
        for n in (4, 5):
            staged = await persist(partial(runtime.emit, "order.placed", n, group="g", id=f"order-{n}"))
            world.receipts.append(staged)
            world.done.append(n)
        await persist(lambda: runtime.release_group("g"))
        while any(receipt.staged for receipt in world.receipts):  # its reply was lost: the store's news tell it
            await anyio.sleep(0.1)
        await persist(lambda: runtime.emit("order.placed", 6, group="h"))
        world.refused.append(6)
        await persist(lambda: runtime.clear_group("h"))
        await runtime.idle()


async def backlogs(world: Processes) -> None:
    """Emits that have to wait for room."""

    async def slow(event: Event, context: Context) -> None:
        await anyio.sleep(0.1)

    async with world.open(world.handler(then=slow, backlog=1)) as runtime:

        async def emit(n: int) -> None:
            await world.emit(n, lambda: runtime.emit("order.placed", n))

        async with anyio.create_task_group() as tasks:
            for n in range(6):
                tasks.start_soon(emit, n)
        await runtime.idle()


async def two_processes(world: Processes) -> None:
    """One emits and waits for receipts, two handle, and one of them ends first."""

    async def slow(event: Event, context: Context) -> int:
        await anyio.sleep(0.2)
        return int(2 * event.data)

    async with world.open() as emitter, world.open(world.handler(then=slow)) as one:
        async with world.open(world.handler(then=slow, capacity=4), drain_within=5):
            receipts = [await world.emit(n, partial(emitter.emit, "order.placed", n)) for n in range(6)]
        for receipt in receipts:
            if receipt is not None:
                await receipt
        await one.idle()


async def coming_and_going(world: Processes) -> None:
    """Subscriptions that are spawned, paused, resumed and stopped while events come."""
    async with world.open() as runtime:
        await runtime.spawn(world.handler())
        await world.emit(1, lambda: runtime.emit("order.placed", 1))
        await persist(runtime.subscriptions["ledger"].pause)
        await world.emit(2, lambda: runtime.emit("order.placed", 2))
        await persist(runtime.subscriptions["ledger"].resume)
        await world.emit(3, lambda: runtime.emit("order.placed", 3))
        await runtime.subscriptions["ledger"].stop()
        await world.emit(4, lambda: runtime.emit("order.placed", 4))
        await runtime.spawn(world.handler())
        await runtime.idle()


async def an_end_with_work_left(world: Processes) -> None:
    """A process that hands back what it has, and one that goes on."""
    gate = anyio.Event()

    async def wait(event: Event, context: Context) -> None:
        await gate.wait()

    async with world.open(world.handler(then=wait, capacity=4), drain_within=0.5) as runtime:
        for n in range(5):
            await world.emit(n, partial(runtime.emit, "order.placed", n))
        await anyio.sleep(1)
    world.handled.clear()
    world.receipts.clear()
    world.done[:] = [data for data in world.done if data is not None]
    gate.set()
    async with world.open(world.handler(then=wait)) as runtime:
        await runtime.idle()


SCENARIOS: Final[dict[str, Scenario]] = {
    each.__name__: each
    for each in (
        emitting,
        under_an_id,
        retries,
        dead_letters,
        groups,
        backlogs,
        two_processes,
        coming_and_going,
        an_end_with_work_left,
    )
}

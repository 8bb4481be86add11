"""Scenarios of the end of a runtime, and of those who watch it."""

import anyio
import anyio.lowlevel

from postroom import Context, Event, Retry, constant
from tests.cancel_everywhere.world import World

from .registry import scenario
from .waiting import sleeping, until


@scenario
async def close_with_drain(world: World) -> None:
    """The block ends while much is under way; it is cancelled at each step of the drain as well."""
    await world.spawn("one", sleeping(1), capacity=1)
    await world.spawn("two", sleeping(2), concurrency=2)
    async with anyio.create_task_group() as tasks:

        async def victim() -> None:
            with world.at_risk():
                await world.runtime.emit_and_wait("n", 0)

        tasks.start_soon(victim)
        for number in range(1, 4):
            tasks.start_soon(world.runtime.emit_and_wait, "n", number)
        await anyio.sleep(0.5)
        world.leave()


@scenario
async def close_with_retries_and_delays(world: World) -> None:
    async def act(event: Event, context: Context) -> None:
        if context.attempt < 3:
            raise ValueError

    await world.spawn("one", act, retry=Retry(attempts=3, backoff=constant(10)), ordered=False)
    receipts = [await world.runtime.emit("n", number, delay=delay) for number, delay in enumerate((1, 40, 1000))]
    world.leave()
    with world.at_risk():
        for receipt in receipts:
            await receipt
    for receipt in receipts:
        await receipt


@scenario
async def close_while_emitters_wait_for_room(world: World) -> None:
    gate = anyio.Event()
    await world.spawn("full", until(gate), capacity=1)
    async with anyio.create_task_group() as tasks:

        async def victim() -> None:
            with world.at_risk():
                await world.runtime.emit_many([Event("n", number) for number in range(3)])

        tasks.start_soon(victim)
        await anyio.sleep(1)
        world.leave()
        await anyio.sleep(1)
        gate.set()


@scenario
async def close_while_handlers_emit(world: World) -> None:
    async def act(event: Event, context: Context) -> None:
        await anyio.sleep(1)
        if event.data < 3:
            await context.emit("n", event.data + 1)

    await world.spawn("one", act)
    receipt = await world.runtime.emit("n", 0)
    with world.at_risk():
        await anyio.lowlevel.checkpoint()
        world.leave()
        await receipt
    world.leave()
    await receipt


@scenario
async def close_with_slow_cleanup(world: World) -> None:
    """A handler that takes its time when it is cancelled."""

    async def act(event: Event, context: Context) -> None:
        try:
            await anyio.sleep(1000)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(event.data)

    await world.spawn("one", act, concurrency=2)
    receipts = [await world.runtime.emit("n", seconds) for seconds in (2, 20)]
    with world.at_risk():
        await anyio.sleep(1)
    world.leave()
    for receipt in receipts:
        await receipt


@scenario
async def watching_changes(world: World) -> None:
    """A read that is cancelled takes nothing: all changes are read in the end."""
    seen: list[tuple[str, str | None]] = []
    async with world.runtime.watch() as changes:

        async def read(count: int) -> None:
            while len(seen) < count:
                change = await anext(changes)
                seen.append((change.kind, change.subscription))

        async with anyio.create_task_group() as tasks:

            async def victim() -> None:
                with world.at_risk():
                    await read(3)

            tasks.start_soon(victim)
            subscription = await world.spawn("one")
            await anyio.sleep(1)
            await world.spawn("two")
            await subscription.stop()
        await read(3)
    world.expect(seen == [("spawned", "one"), ("spawned", "two"), ("stopped", "one")], f"seen were {seen}")


@scenario
async def watching_dead_letters(world: World) -> None:
    async def act(event: Event, context: Context) -> None:
        raise ValueError

    await world.spawn("one", act, once=False)
    seen = []
    async with anyio.create_task_group() as tasks:

        async def victim() -> None:
            with world.at_risk():
                async with world.runtime.dead_letters.watch() as letters:
                    async for letter in letters:
                        seen.append(letter.event.data)
                        if len(seen) == 2:
                            return

        tasks.start_soon(victim)
        await anyio.sleep(1)
        await world.runtime.emit("n", 0)
        await anyio.sleep(1)
        await world.runtime.emit_and_wait("n", 1)
        if world.victim == "stop":
            tasks.cancel_scope.cancel()  # the second letter never comes
    world.expect(seen == [0, 1][: len(seen)], f"seen were {seen}")
    for letter in await world.runtime.dead_letters.list():
        await world.runtime.dead_letters.discard(letter)
    del world.places["one"]  # it fails always

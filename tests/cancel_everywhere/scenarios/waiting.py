"""Scenarios of emits that wait: for room, or for an acknowledgement."""

import anyio
import anyio.lowlevel

from postroom import Context, Event
from tests.cancel_everywhere.world import Act, World

from .registry import scenario


def until(gate: anyio.Event) -> Act:
    """What a handler does that waits."""

    async def act(event: Event, context: Context) -> None:
        await gate.wait()

    return act


def sleeping(seconds: float) -> Act:
    """What a slow handler does."""

    async def act(event: Event, context: Context) -> None:
        await anyio.sleep(seconds)

    return act


@scenario
async def waiting_for_room(world: World) -> None:
    gate = anyio.Event()
    await world.spawn("full", until(gate), capacity=1)
    await world.spawn("other", None, capacity=1)
    await world.runtime.emit("n", 0)
    await world.runtime.emit("n", 1)

    async def emit(number: int) -> None:
        await world.runtime.emit("n", number, id=str(number))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(emit, 2)
        tasks.start_soon(anyio.sleep, 5)

        async def victim() -> None:
            with world.at_risk():
                await emit(3)

        tasks.start_soon(victim)
        tasks.start_soon(emit, 4)
        await anyio.sleep(1)
        gate.set()
    for number in (2, 3, 4):
        await (await world.runtime.emit("n", number, id=str(number)))
    world.expect(sorted(world.handled("full")) == [0, 1, 2, 3, 4], "an event is lost, or was doubled")


@scenario
async def too_many_abandoned(world: World) -> None:
    """More emitters go than may leave their events in line: those beyond the bound are dropped, and kept."""
    gate = anyio.Event()
    subscription = await world.spawn("full", until(gate), capacity=2, once=False)
    for number in range(3):
        await world.runtime.emit("n", number)
    async with anyio.create_task_group() as tasks:

        async def victims() -> None:
            with world.at_risk():
                async with anyio.create_task_group() as emitters:
                    for number in range(3, 8):
                        emitters.start_soon(world.runtime.emit, "n", number)

        tasks.start_soon(victims)
        await anyio.sleep(1)
        stats = subscription.stats
        if world.was_cancelled:
            world.expect(stats.in_line <= 2, f"{stats.in_line} abandoned events stand in line")
            world.expect(stats.dropped == world.runtime.dead_letters.kept, "a drop left no dead letter")
        gate.set()
    await world.runtime.idle()


@scenario
async def emit_many_over_full_mailboxes(world: World) -> None:
    gate = anyio.Event()
    await world.spawn("full", until(gate), capacity=1)
    await world.spawn("other", sleeping(1), capacity=2)
    await world.runtime.emit("n", -1)
    async with anyio.create_task_group() as tasks:

        async def victim() -> None:
            with world.at_risk():
                receipts = await world.runtime.emit_many([Event("n", number) for number in range(3)])
                world.expect(len(receipts) == 3, "there is no receipt for each")

        tasks.start_soon(victim)
        await anyio.sleep(1)
        gate.set()
    await world.runtime.idle()
    world.expect(world.accepted_as("n") in (1, 4), "some of them were accepted, and some not")
    if world.accepted_as("n") == 4 and not world.runtime.stats.dropped:
        world.expect(world.handled("full") == [-1, 0, 1, 2], f"they came as {world.handled('full')}")


@scenario
async def receipt_awaited_by_two(world: World) -> None:
    await world.spawn("one", sleeping(2))
    await world.spawn("two", sleeping(1))
    receipt = await world.runtime.emit("n", 1)
    reports = []

    async def wait() -> None:
        reports.append(await receipt)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        tasks.start_soon(wait)
        with world.at_risk():
            await wait()
    world.expect(len(reports) >= 2, "somebody was not woken")
    world.expect(all(report == reports[0] for report in reports), "they got different reports")


@scenario
async def handler_waits_for_room(world: World) -> None:
    """The victim is a handler's own call, whose wait stands in the wait-for graph."""
    gate = anyio.Event()
    await world.spawn("full", until(gate), capacity=1)

    async def act(event: Event, context: Context) -> None:
        with world.at_risk():
            await context.emit("n", 3)

    await world.spawn("handler", act, "go")
    for number in range(2):
        await world.runtime.emit("n", number)
    receipt = await world.runtime.emit("go")
    await anyio.sleep(1)
    gate.set()
    report = await receipt
    report.raise_for_failures()
    await world.runtime.idle()


@scenario
async def handler_waits_for_an_outcome(world: World) -> None:
    await world.spawn("slow", sleeping(2))

    async def act(event: Event, context: Context) -> None:
        with world.at_risk():
            await (await context.emit("n", 1))
        await context.emit("n", 2)

    await world.spawn("handler", act, "go")
    (await world.runtime.emit_and_wait("go")).raise_for_failures()
    await world.runtime.idle()


@scenario
async def handlers_child_waits(world: World) -> None:
    """A task that a handler has started waits, and goes; the handler goes on."""
    gate = anyio.Event()
    await world.spawn("full", until(gate), capacity=1)

    async def act(event: Event, context: Context) -> None:
        async with anyio.create_task_group() as tasks:

            async def child() -> None:
                with world.at_risk():
                    await context.emit("n", 3)

            tasks.start_soon(child)
            await anyio.sleep(1)
            gate.set()

    await world.spawn("handler", act, "go")
    for number in range(2):
        await world.runtime.emit("n", number)
    (await world.runtime.emit_and_wait("go")).raise_for_failures()
    await world.runtime.idle()


@scenario
async def drop_oldest_and_newest(world: World) -> None:
    await world.spawn("newest", sleeping(1), capacity=1, overflow="drop_newest")
    await world.spawn("oldest", sleeping(1), capacity=1, overflow="drop_oldest")
    with world.at_risk():
        for number in range(5):
            await world.runtime.emit("n", number)
            await anyio.sleep(0.3)
    await world.runtime.idle()


@scenario
async def coalescing(world: World) -> None:
    await world.spawn("newest", sleeping(1), capacity=1, overflow="coalesce")
    with world.at_risk():
        for number in range(6):
            await world.runtime.emit("n", number, key=str(number % 2))
    await world.runtime.idle()


@scenario
async def waiting_until_idle(world: World) -> None:
    await world.spawn("one", sleeping(1), capacity=2)
    await world.spawn("two", sleeping(2))
    for number in range(3):
        await world.runtime.emit("n", number)
    with world.at_risk():
        await world.runtime.idle()
        world.expect(not world.runtime.stats.pending, "it is not idle")
    await world.runtime.idle()
    world.expect(world.handled("one") == [0, 1, 2], "somebody was disturbed")

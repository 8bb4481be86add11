"""Scenarios of what handlers themselves do, and of what stands around them."""

import anyio
import anyio.lowlevel
import anyio.to_thread

from postroom import Context, Event
from tests.cancel_everywhere.world import World

from .registry import scenario, scenario_with_threads
from .waiting import sleeping


@scenario
async def handler_spawns_and_stops(world: World) -> None:
    async def act(event: Event, context: Context) -> None:
        with world.at_risk():
            subscription = await world.spawn("two", sleeping(1), "m")
            await context.emit("m")
            await subscription.stop()

    await world.spawn("one", act)
    (await world.runtime.emit_and_wait("n")).raise_for_failures()
    await anyio.sleep(10)


@scenario
async def handler_uses_a_group(world: World) -> None:
    await world.spawn("two", sleeping(1), "m")

    async def act(event: Event, context: Context) -> None:
        with world.at_risk():
            async with world.runtime.group() as group:
                await group.emit("m", 1)
                await anyio.lowlevel.checkpoint()
                await group.emit("m", 2)

    await world.spawn("one", act)
    (await world.runtime.emit_and_wait("n")).raise_for_failures()
    await world.runtime.idle()
    world.expect(world.accepted_as("m") in (0, 2), "half of a group went out")


@scenario
async def handlers_own_deadline(world: World) -> None:
    """A handler that gives its own wait some time, and is cancelled at its end or before."""

    async def act(event: Event, context: Context) -> None:
        with anyio.move_on_after(1), world.at_risk():
            await anyio.sleep(1)

    await world.spawn("one", act, capacity=1)
    await world.runtime.emit_and_wait("n", 0)
    await world.runtime.idle()
    world.expect(world.handled("one") == [0], "its own cancellation became the runtime's")


@scenario
async def handler_that_hides_a_cancellation(world: World) -> None:
    async def act(event: Event, context: Context) -> None:
        with world.at_risk():
            try:
                await anyio.sleep(1)
            except anyio.get_cancelled_exc_class():
                raise ValueError("instead") from None
            finally:
                await world.runtime.emit("m", event.data)

    await world.spawn("one", act, once=False)
    await world.spawn("two", None, "m")
    await world.runtime.emit_and_wait("n", 0)
    await world.runtime.emit_and_wait("m", 1)
    await world.runtime.idle()


@scenario_with_threads
async def emit_from_a_thread(world: World) -> None:
    """A worker thread emits, and waits for what becomes of it; whoever waits for the thread goes."""
    await world.spawn("one", None, capacity=1)

    def work() -> None:
        receipt = world.runtime.emit_from_thread("n", 1)
        receipt.wait()

    with world.at_risk():
        await anyio.to_thread.run_sync(work)
    await world.runtime.emit_and_wait("n", 2)
    await world.runtime.idle()


@scenario
async def recording(world: World) -> None:
    await world.spawn("one", sleeping(1))
    with world.at_risk(), world.runtime.recording() as record:
        receipt = await world.runtime.emit("n", 1)
        await receipt
        world.expect(record.of(receipt).pending == [], "the recording was not told")
    await world.runtime.idle()

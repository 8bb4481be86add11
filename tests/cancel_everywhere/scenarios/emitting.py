"""Scenarios of emits that find room."""

from contextlib import suppress

import anyio
import anyio.lowlevel
import attrs

from postroom import Event, NoSubscriber, event_type
from postroom.event import Priority
from tests.cancel_everywhere.world import World

from .registry import scenario


@event_type("n")
@attrs.frozen
class Ordered:
    """A typed event."""

    number: int


@scenario
async def emit(world: World) -> None:
    """Several emits, so that some of them yield; each of them is repeated under its id."""
    await world.spawn("one")
    await world.spawn("two")
    with world.at_risk():
        for number in range(4):
            await anyio.lowlevel.checkpoint()
            await world.runtime.emit("n", number, id=str(number))
    for number in range(4):
        await world.runtime.emit_and_wait("n", number, id=str(number))
    world.expect(world.handled("one") == world.handled("two") == [0, 1, 2, 3], "an event is lost, or was doubled")


@scenario
async def emit_without_id(world: World) -> None:
    """What a cancelled emit did is either nothing or all of it."""
    await world.spawn("one")
    await world.spawn("two", None, "*")
    returned = 0
    with world.at_risk():
        for number in range(6):
            await world.runtime.emit("n", number)
            returned = number + 1
    await world.runtime.idle()
    accepted = world.accepted_as("n")
    world.expect(accepted in (returned, returned + 1), f"{returned} emits have returned, and {accepted} were accepted")
    if not world.was_cancelled:
        world.expect(returned == 6, "an emit was cut short by nobody")


@scenario
async def emit_and_wait(world: World) -> None:
    async def act(event: Event, context: object) -> None:
        await anyio.sleep(1)

    await world.spawn("one", act)
    await world.spawn("two", act, concurrency=2)
    with world.at_risk():
        report = await world.runtime.emit_and_wait("n", 1)
        world.expect(len(report.outcomes) == 2, "the report is not whole")
    await world.runtime.idle()
    world.expect(world.handled("one") == world.handled("two"), "only one has handled it")


@scenario
async def request(world: World) -> None:
    async def fail(event: Event, context: object) -> None:
        await anyio.sleep(1)
        raise ValueError

    async def answer(event: Event, context: object) -> str:
        await anyio.sleep(2)
        return "answer"

    await world.spawn("fails", fail)
    await world.spawn("answers", answer)
    with world.at_risk(), suppress(ExceptionGroup):
        await world.runtime.request("n", 1)
    await world.runtime.idle()
    world.expect(len(world.handled("answers")) == world.accepted_as("n"), "a request that was accepted was not handled")


@scenario
async def request_that_nobody_hears(world: World) -> None:
    refused = False
    with world.at_risk():
        await anyio.lowlevel.checkpoint()
        try:
            await world.runtime.request("nobody")
        except NoSubscriber:
            refused = True
    world.expect(refused or world.was_cancelled, "it was not refused")
    world.expect(not world.accepted, "it was accepted")


@scenario
async def delayed_emit(world: World) -> None:
    await world.spawn("one", None, capacity=1)
    with world.at_risk():
        await world.runtime.emit("n", 1, delay=3, id="1")
        await world.runtime.emit("n", 2, delay=1, id="2")
        await anyio.sleep(2)
    await world.runtime.emit("n", 1, delay=3, id="1")
    await world.runtime.emit("n", 2, delay=1, id="2")
    await world.runtime.idle()
    world.expect(sorted(world.handled("one")) == [1, 2], "a delayed event is lost, or was doubled")


@scenario
async def emit_with_expiry(world: World) -> None:
    async def act(event: Event, context: object) -> None:
        await anyio.sleep(2)

    await world.spawn("one", act, capacity=2)
    with world.at_risk():
        receipts = [await world.runtime.emit("n", number, expires_after=3) for number in range(5)]
        for receipt in receipts:
            await receipt
    await world.runtime.idle()


@scenario
async def emit_by_priority_and_key(world: World) -> None:
    async def act(event: Event, context: object) -> None:
        await anyio.sleep(1)

    await world.spawn("one", act, concurrency=2, capacity=3)
    with world.at_risk():
        for number in range(6):
            priority: Priority = "critical" if number == 4 else "default"
            await world.runtime.emit("n", number, key="odd" if number % 2 else "even", priority=priority)
    await world.runtime.idle()


@scenario
async def typed_emit(world: World) -> None:
    await world.spawn("one")
    with world.at_risk():
        for number in range(3):
            await world.runtime.emit(Ordered(number))
            await world.runtime.emit_and_wait(Ordered(number))
    await world.runtime.idle()
    world.expect(all(isinstance(data, Ordered) for data in world.handled("one")), "it came as something else")


@scenario
async def emits_of_many_tasks(world: World) -> None:
    """One of several emitters goes; the others' events keep their order."""

    async def act(event: Event, context: object) -> None:
        await anyio.lowlevel.checkpoint()

    await world.spawn("one", act, capacity=2)

    async def emitter(name: str) -> None:
        for number in range(3):
            await world.runtime.emit("n", (name, number))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(emitter, "a")
        tasks.start_soon(emitter, "b")
        with world.at_risk():
            await emitter("c")
    await world.runtime.idle()
    for name in "ab":
        mine = [number for emitter_name, number in world.handled("one") if emitter_name == name]
        world.expect(mine == [0, 1, 2], f"events of {name} came as {mine}")

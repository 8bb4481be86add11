"""Scenarios of attempts that fail, and come again."""

from contextlib import suppress

import anyio

from postroom import Batch, BatchFailure, Breaker, Context, Event, Rate, Retry, UnknownDeadLetter, constant
from tests.cancel_everywhere.world import Act, World

from .registry import scenario


def failing(times: int) -> Act:
    """What a handler does whose first attempts fail."""

    async def act(event: Event, context: Context) -> None:
        await anyio.sleep(0.1)
        if context.attempt <= times:
            raise ConnectionError

    return act


@scenario
async def retry_backoff(world: World) -> None:
    await world.spawn("one", failing(2), retry=Retry(attempts=3, backoff=constant(1)), ordered=False, capacity=1)
    with world.at_risk():
        for number in range(3):
            await world.runtime.emit("n", number)
        await (await world.runtime.emit("n", 3))
    await world.runtime.idle()
    world.expect(len(world.handled("one")) == world.accepted_as("n"), "a retry is lost")


@scenario
async def keyed_retry(world: World) -> None:
    retry = Retry(attempts=3, backoff=constant(1))
    await world.spawn("one", failing(1), retry=retry, concurrency=2, capacity=2, ordered=False)
    with world.at_risk():
        for number in range(6):
            await world.runtime.emit("n", number, key="ab"[number % 2])
    await world.runtime.idle()
    world.expect(len(world.handled("one")) == world.accepted_as("n"), "a retry is lost")


@scenario
async def timeout(world: World) -> None:
    async def act(event: Event, context: Context) -> None:
        await anyio.sleep(1 if context.attempt > 1 else 10)

    await world.spawn("one", act, timeout=2, retry=Retry(attempts=2, backoff=constant(0)), ordered=False)
    with world.at_risk():
        await world.runtime.emit_and_wait("n", 1, timeout=3)
        await world.runtime.emit_and_wait("n", 2)
    await world.runtime.idle()


@scenario
async def breaker(world: World) -> None:
    down = True

    async def act(event: Event, context: Context) -> None:
        if down:
            raise ConnectionError

    await world.spawn("one", act, breaker=Breaker(failures=1, probe_after=2), retry=Retry(attempts=5), ordered=False)
    with world.at_risk():
        await world.runtime.emit("n", 1)
        await world.runtime.emit("n", 2)
        await anyio.sleep(3)
    down = False
    await world.runtime.idle()


@scenario
async def rate(world: World) -> None:
    await world.spawn("one", None, rate=Rate(1, per=2, burst=2), capacity=2)
    with world.at_risk():
        for number in range(6):
            await world.runtime.emit("n", number)
    await world.runtime.idle()
    await anyio.sleep(100)


@scenario
async def batch_gathering(world: World) -> None:
    await world.spawn("one", None, batch=Batch(size=3, within=2), capacity=2)
    with world.at_risk():
        for number in range(4):
            await world.runtime.emit("n", number)
            await anyio.sleep(1)
        await world.runtime.emit_and_wait("n", 4)
    await world.runtime.idle()
    handled = world.handled("one")
    world.expect(handled == sorted(handled) and len(handled) == world.accepted_as("n"), f"batches were {handled}")


@scenario
async def batch_that_fails_in_part(world: World) -> None:
    async def handle(events: list[Event], context: Context) -> None:
        await anyio.sleep(1)
        if context.attempt == 1:
            raise BatchFailure({events[0].id: ValueError()})

    retry = Retry(attempts=2, backoff=constant(1))
    await world.runtime.spawn(handle, "n", name="batches", batch=Batch(size=2), concurrency=2, retry=retry)
    with world.at_risk():
        for number in range(5):
            await world.runtime.emit("n", number)
        await world.runtime.idle()
    await world.runtime.idle()


@scenario
async def dead_letter_replay(world: World) -> None:
    """The replay waits for room. The letter is there still, or its event is under way again."""
    gate = anyio.Event()
    good = False

    async def act(event: Event, context: Context) -> None:
        if event.data == "bad" and not good:
            raise ValueError
        if event.data != "bad":
            await gate.wait()

    await world.spawn("one", act, capacity=1, once=False)
    await world.runtime.emit_and_wait("n", "bad")
    good = True
    for number in range(2):
        await world.runtime.emit("n", number)
    letters = world.runtime.dead_letters
    async with anyio.create_task_group() as tasks:

        async def victim() -> None:
            with world.at_risk():
                for letter in await letters.list():
                    with suppress(UnknownDeadLetter):
                        await (await letters.replay(letter))

        tasks.start_soon(victim)
        await anyio.sleep(1)
        gate.set()
    await world.runtime.idle()
    world.expect(letters.kept + world.handled("one").count("bad") == 1, "the letter is nowhere, or in two places")


@scenario
async def retry_waits_for_room(world: World) -> None:
    """What comes back finds the mailbox full."""
    gate = anyio.Event()

    async def act(event: Event, context: Context) -> None:
        if event.data == 0 and context.attempt == 1:
            raise ValueError
        if event.data == 1:
            await gate.wait()

    await world.spawn("one", act, capacity=1, retry=Retry(attempts=2, backoff=constant(1)), ordered=False)
    await world.runtime.emit("n", 0)
    with world.at_risk():
        for number in range(1, 4):
            await world.runtime.emit("n", number)
            if number == 2:
                await anyio.sleep(2)
                gate.set()
    gate.set()
    await world.runtime.idle()
    world.expect(len(world.handled("one")) == world.accepted_as("n"), "a retry is lost")

"""Scenarios of groups: all of it goes out, or nothing."""

import anyio
import anyio.lowlevel

from postroom import GroupCleared, Receipt, Report
from tests.cancel_everywhere.world import World

from .registry import scenario
from .waiting import sleeping, until


def expect_whole(world: World, receipts: list[Receipt], size: int) -> None:
    """All of a group was accepted, or nothing, and its receipts say so."""
    accepted = world.accepted_as("n")
    world.expect(accepted in (0, size), f"{accepted} of {size} were accepted")
    world.expect(not any(receipt.staged for receipt in receipts), "one is staged still")
    world.expect(all(receipt.settled for receipt in receipts), "one has not settled")


@scenario
async def group_block(world: World) -> None:
    await world.spawn("one", sleeping(1))
    await world.spawn("two")
    receipts: list[Receipt] = []
    with world.at_risk():
        async with world.runtime.group() as group:
            for number in range(3):
                receipts.append(await group.emit("n", number))
                await anyio.lowlevel.checkpoint()
    await world.runtime.idle()
    expect_whole(world, receipts, 3)


@scenario
async def group_release_waits_for_room(world: World) -> None:
    gate = anyio.Event()
    await world.spawn("full", until(gate), capacity=1, once=False)
    await world.spawn("other", None, capacity=1, once=False)
    await world.runtime.emit("full", 0)
    receipts: list[Receipt] = []
    async with anyio.create_task_group() as tasks:

        async def victim() -> None:
            with world.at_risk():
                async with world.runtime.group() as group:
                    for number in range(4):
                        receipts.append(await group.emit("n", number, id=str(number)))

        tasks.start_soon(victim)
        await anyio.sleep(1)
        gate.set()
    await world.runtime.idle()
    expect_whole(world, receipts, 4)
    for number in range(4):  # whichever it was, the ids are free again or stand for what was accepted
        await world.runtime.emit("n", number, id=str(number))
    await world.runtime.idle()
    world.expect(world.accepted_as("n") == 4, "an id stands for nothing, or for two events")


@scenario
async def group_released_by_id(world: World) -> None:
    await world.spawn("one", sleeping(1), capacity=1)
    receipts = [await world.runtime.emit("n", number, group="g") for number in range(3)]
    with world.at_risk():
        await world.runtime.release_group("g")
    await world.runtime.release_group("g")
    await world.runtime.idle()
    expect_whole(world, receipts, 3)
    world.expect(world.runtime.stats.dropped or world.handled("one") == [0, 1, 2], "the group was not released")


@scenario
async def group_cleared(world: World) -> None:
    await world.spawn("one")
    receipts = [await world.runtime.emit(name, 0, group="g") for name in ("n", "other", "n")]
    cleared = -1
    with world.at_risk():
        cleared = await world.runtime.clear_group("g", ["n"])
    staged = world.runtime.stats.staged
    world.expect((cleared, staged) in ((2, 1), (-1, 3), (-1, 1)), f"{cleared} cleared and {staged} left")
    await world.runtime.clear_group("g")
    world.expect(not world.accepted, "one that was cleared was accepted")
    world.expect(all(receipt.settled for receipt in receipts), "a receipt stays open")


@scenario
async def staged_receipt_awaited_by_two(world: World) -> None:
    await world.spawn("one", sleeping(1))
    reports: list[Report | None] = []

    async def wait(receipt: Receipt) -> None:
        try:
            reports.append(await receipt)
        except GroupCleared:
            reports.append(None)

    async with anyio.create_task_group() as tasks:
        receipt = await world.runtime.emit("n", 1, group="g")
        tasks.start_soon(wait, receipt)

        async def victim() -> None:
            with world.at_risk():
                await wait(receipt)

        tasks.start_soon(victim)
        await anyio.sleep(1)
        await world.runtime.release_group("g")
    world.expect(len(reports) >= 1 and all(reports), "who waited for the release was not woken")


@scenario
async def group_that_expires(world: World) -> None:
    await world.spawn("one")
    receipts: list[Receipt] = []
    with world.at_risk():
        async with world.runtime.group(ttl=5) as group:
            receipts.append(await group.emit("n", 1))
            await anyio.sleep(1)
            receipts.append(await group.emit("n", 2))
    await world.runtime.idle()
    await anyio.sleep(10)
    expect_whole(world, receipts, 2)

"""Releases of groups: they wait for room, and one that would deadlock is refused."""

import anyio
import anyio.to_thread
import pytest

from postroom import (
    Event,
    Failed,
    GroupCleared,
    NoSubscriber,
    Runtime,
    WouldDeadlock,
    subscriber,
)
from tests.runtime.hearing import Heard

pytestmark = pytest.mark.anyio


async def test_a_release_waits_for_room_and_cancelling_it_takes_nothing_back() -> None:
    handled: list[object] = []

    @subscriber("a", capacity=1)
    async def slow(event: Event) -> None:
        await anyio.sleep(1)
        handled.append(event.data)

    async with Runtime(subscribers=[slow]) as runtime:
        for number in range(5):
            await runtime.emit("a", number, group="g")
        start = anyio.current_time()
        with anyio.move_on_after(1.5) as patience:
            await runtime.release_group("g")
        assert patience.cancelled_caught
        await runtime.idle()
        assert anyio.current_time() - start == pytest.approx(4)  # one of them was abandoned beyond the capacity

    assert handled == [0, 1, 2, 3]
    assert runtime.stats.dropped == 1


async def test_a_release_that_would_deadlock_is_refused_and_the_group_stays(heard: Heard) -> None:
    @subscriber("n", capacity=1)
    async def fill(event: Event) -> None:
        if event.data == "fill":
            for number in range(3):
                await runtime.emit("n", number, group="g")
            await runtime.release_group("g")

    async with Runtime(subscribers=[fill]) as runtime:
        report = await runtime.emit_and_wait("n", "fill")
        assert (runtime.stats.accepted, runtime.stats.staged) == (1, 3)
        await runtime.release_group("g")
        await runtime.idle()

    [outcome] = report.outcomes
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, WouldDeadlock)
    assert runtime.stats.succeeded == 3


async def test_a_block_whose_release_is_refused_drops_its_events() -> None:
    async with Runtime() as runtime:
        with pytest.raises(NoSubscriber):
            async with runtime.group() as group:
                receipts = [await group.emit("a"), await group.emit("b", require=True)]
        for receipt in receipts:
            with pytest.raises(GroupCleared, match="NoSubscriber"):
                await receipt
        await runtime.emit("b", group="g", require=True)
        with pytest.raises(NoSubscriber):
            await runtime.release_group("g")
        assert (runtime.stats.accepted, runtime.stats.staged) == (0, 1)


async def test_waiting_in_a_handler_for_a_released_event_of_its_own_is_refused_as_ever() -> None:
    @subscriber("n")
    async def ask(event: Event) -> None:
        if event.data == "ask":
            async with runtime.group() as group:
                receipt = await group.emit("n")
            await receipt

    async with Runtime(subscribers=[ask]) as runtime:
        [outcome] = (await runtime.emit_and_wait("n", "ask")).outcomes

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, WouldDeadlock)

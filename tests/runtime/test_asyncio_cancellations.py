"""What only asyncio knows: cancellations that no scope has asked for (scenario 6)."""

import asyncio
from typing import Any

import anyio
import pytest

from postroom import Batch, Event, Failed, HandlerAborted, Runtime, Succeeded
from postroom_actors.slices import MOST_PER_SLICE


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_scenario_6_a_cancelled_future_awaited_by_a_handler_is_its_failure() -> None:
    async def awaits_a_cancelled_future(event: Event) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with Runtime() as runtime:
        await runtime.spawn(awaits_a_cancelled_future, "a")
        first = await runtime.emit_and_wait("a")
        second = await runtime.emit_and_wait("a")
    for report in (first, second):
        assert isinstance(report.outcomes[0], Failed)
        assert isinstance(report.outcomes[0].exception, HandlerAborted)
        assert "cancelled from inside" in str(report.outcomes[0].exception)


async def test_a_handler_that_cancels_its_own_task_harms_no_other_delivery() -> None:
    async def cancels_itself(event: Event) -> str:
        task = asyncio.current_task()
        assert task is not None
        if event.data == "bad":
            task.cancel()
        if event.data == "worse":
            task.cancel()
            await anyio.sleep(1)
        return "done"

    async with Runtime() as runtime:
        await runtime.spawn(cancels_itself, "a")
        receipts = [await runtime.emit("a", data) for data in ("bad", "good", "worse", "good")]
        reports = [await receipt for receipt in receipts]
    assert [type(report.outcomes[0]) for report in reports] == [Succeeded, Succeeded, Failed, Succeeded]


async def test_a_handler_of_batches_that_cancels_its_own_task_harms_no_other_batch() -> None:
    async def cancels_itself(events: list[Event]) -> str:
        task = asyncio.current_task()
        assert task is not None
        if events[0].data == "bad":
            task.cancel()
        return "done"

    async with Runtime() as runtime:
        await runtime.spawn(cancels_itself, "a", batch=Batch(size=1))
        receipts = [await runtime.emit("a", data) for data in ("bad", "good", "good")]
        reports = [await receipt for receipt in receipts]
    assert [type(report.outcomes[0]) for report in reports] == [Succeeded] * 3


@pytest.mark.parametrize("batch", [None, Batch(size=1)])
async def test_a_task_of_a_handler_that_is_cancelled_between_two_messages_goes_on(batch: Batch | None) -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def handler(events: Any) -> str:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        return "done"

    async with Runtime() as runtime:
        await runtime.spawn(handler, "a", batch=batch)
        await runtime.emit_and_wait("a")
        await anyio.wait_all_tasks_blocked()
        tasks[0].cancel()  # while it sleeps
        await anyio.wait_all_tasks_blocked()
        assert (await runtime.emit_and_wait("a")).succeeded


async def test_a_task_that_is_cancelled_while_it_lets_others_run_goes_on() -> None:
    async def handler(event: Event) -> str:
        if event.data == 0:  # it yields at the end of its slice, however long that is; nothing is in hand then
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
        return "done"

    async with Runtime() as runtime:
        await runtime.spawn(handler, "a", capacity=10_000)
        # All at once, so that there is mail left where the slice ends.
        receipts = await runtime.emit_many(Event("a", number) for number in range(MOST_PER_SLICE + 5))
        reports = [await receipt for receipt in receipts]
    assert all(report.succeeded for report in reports)

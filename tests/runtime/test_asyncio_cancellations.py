"""What only asyncio knows: cancellations that no scope has asked for (scenario 6)."""

import asyncio

import anyio
import pytest

from postroom import Event, Failed, HandlerAborted, Runtime, Succeeded


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

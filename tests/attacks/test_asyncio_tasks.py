"""What only asyncio knows: cancellations of a worker between two events, that no scope has asked for."""

import asyncio
from typing import Any

import anyio
import pytest

from postroom import Event, Runtime
from postroom.testing import virtual_backend

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend("asyncio")


async def test_a_late_cancellation_of_its_own_task_does_not_end_an_idle_worker() -> None:
    async def own_timeout(event: Event) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(1, task.cancel)

    async with Runtime() as runtime:
        await runtime.spawn(own_timeout, "n")
        await runtime.emit_and_wait("n")
        await anyio.sleep(2)
        report = await runtime.emit_and_wait("n")
    report.raise_for_failures()


async def test_cancelling_each_of_its_tasks_does_not_end_a_runtime() -> None:
    async def nothing(event: Event) -> None:
        pass

    async with Runtime() as runtime:
        await runtime.spawn(nothing, "n")
        await anyio.sleep(1)
        own = [
            task for task in asyncio.all_tasks() if task.get_name().startswith(("postroom", "dispatcher", "nothing"))
        ]
        assert len(own) >= 4
        for task in own:
            task.cancel()
        await anyio.sleep(1)
        report = await runtime.emit_and_wait("n")
        receipt = await runtime.emit("n", delay=1)
        await anyio.sleep(5)
        assert receipt.settled
    report.raise_for_failures()

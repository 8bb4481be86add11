"""What only asyncio knows: a cancellation of the task that fetches from a store, that no scope has asked for."""

import asyncio
from typing import Any

import anyio
import pytest

from postroom import Event, Runtime, subscriber
from postroom.testing import virtual_backend
from postroom.testing.reference import ReferenceModule


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend("asyncio")


async def test_cancelling_the_task_that_fetches_does_not_end_it() -> None:
    @subscriber("n")
    async def work(event: Event) -> str:
        return "done"

    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        await anyio.sleep(1)
        (fetcher,) = [task for task in asyncio.all_tasks() if task.get_name() == "postroom fetcher"]
        fetcher.cancel()
        await anyio.sleep(1)
        with anyio.fail_after(60):
            assert (await runtime.emit_and_wait("n")).succeeded

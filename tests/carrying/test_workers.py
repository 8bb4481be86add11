"""Every worker of a subscription on a store gets something to do, however the events come."""

import anyio
import pytest

from postroom import Event, Runtime
from postroom.testing.reference import ReferenceModule

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
async def test_events_that_come_one_by_one_keep_all_workers_busy(workers: int) -> None:
    async def slow(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime(module=ReferenceModule(), drain_within=0) as runtime:
        subscription = await runtime.spawn(slow, "n", concurrency=workers)
        for _ in range(2 * workers):
            await runtime.emit("n")
        await anyio.sleep(1)
        assert subscription.stats.in_hand == workers

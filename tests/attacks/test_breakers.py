"""Promise 4 and breakers: what fails while a breaker is open costs nothing, and keeps its place."""

import anyio
import pytest

from postroom import Batch, Breaker, Event, Retry, Runtime, constant

pytestmark = pytest.mark.anyio


async def test_a_batch_that_fails_while_the_breaker_is_open_goes_back_whole_and_in_order() -> None:
    seen: list[list[int]] = []

    async def work(events: list[Event]) -> None:
        seen.append([event.data for event in events])
        if len(seen) <= 2:
            await anyio.sleep(len(seen))
            raise ConnectionError

    async with Runtime(drain_within=1000) as runtime:
        await runtime.spawn(
            work,
            "n",
            batch=Batch(size=3),
            concurrency=2,
            retry=Retry(attempts=2, backoff=constant(50)),
            breaker=Breaker(failures=1, on=ConnectionError, probe_after=5),
        )
        receipts = await runtime.emit_many([Event("n", number) for number in range(8)])
        await anyio.sleep(100)
    assert seen == [[0, 1, 2], [3, 4, 5], [3], [4, 5, 6], [7], [0, 1, 2]]
    assert [receipt.report().outcomes[0].attempts for receipt in receipts] == [2, 2, 2, 1, 1, 1, 1, 1]

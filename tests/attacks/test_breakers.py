"""Promise 4 and breakers: what fails while a breaker is open costs nothing, and keeps its place."""

import anyio
import attrs
import pytest

from postroom import Batch, Breaker, Event, Expired, Retry, Runtime, constant, event_type

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


async def test_a_probe_that_expires_while_its_batch_is_gathered_leaves_the_probe_to_the_next() -> None:
    seen: list[list[int]] = []

    async def work(events: list[Event]) -> None:
        seen.append([event.data for event in events])
        if len(seen) == 1:
            raise ConnectionError

    async with Runtime() as runtime:
        await runtime.spawn(
            work,
            "n",
            batch=Batch(size=2, within=1.0),
            retry=Retry(attempts=2, backoff=constant(0.1)),
            breaker=Breaker(failures=1, on=ConnectionError, probe_after=1),
        )
        await runtime.emit_many([Event("n", 0), Event("n", 1)])
        await anyio.sleep(0.5)
        # It is the probe, and waits for another one; meanwhile its time is over.
        late = await runtime.emit("n", 2, priority="critical", expires_after=1)
        with anyio.fail_after(60):
            assert isinstance((await late).outcomes[0], Expired)
            await runtime.idle()
    assert seen == [[0, 1], [0], [1]]


async def test_a_probe_that_nobody_can_read_leaves_the_probe_to_the_next() -> None:
    seen: list[list[int]] = []

    @event_type("counted")
    @attrs.frozen
    class Counted:
        number: int

    async def work(events: list[Counted]) -> None:
        seen.append([event.number for event in events])
        if len(seen) == 1:
            raise ConnectionError

    async with Runtime() as runtime:
        await runtime.spawn(
            work,
            "counted",
            batch=Batch(size=1),
            retry=Retry(attempts=2, backoff=constant(0.1)),
            breaker=Breaker(failures=1, on=ConnectionError, probe_after=1),
        )
        await runtime.emit("counted", {"number": 1})
        await anyio.sleep(0.5)
        await runtime.emit("counted", {"number": "many"}, priority="critical")
        with anyio.fail_after(60):
            await runtime.idle()
    assert seen == [[1], [1]]

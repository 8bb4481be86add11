"""Promises 1, 7 and 8: ends of attempts, of subscriptions and of runtimes."""

import logging
from random import Random

import anyio
import anyio.lowlevel
import pytest

from postroom import Event, Retry, Runtime

pytestmark = pytest.mark.anyio


async def test_a_shielded_handler_that_waits_for_what_will_be_cancelled_anyway_does_not_hang_the_end() -> None:
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async def cleans_up(event: Event) -> None:
        with anyio.CancelScope(shield=True) as shield:
            shield.deadline = anyio.current_time() + 1e6
            await runtime.emit("hang")
            await runtime.emit_and_wait("hang")
        assert not shield.cancelled_caught, "waited for ever"

    async with Runtime(watchdog=None) as runtime:
        await runtime.spawn(hangs, "hang")
        await runtime.spawn(cleans_up, "clean")
        receipt = await runtime.emit("clean")
    end = anyio.current_time()
    report = await receipt
    assert end < 1e5
    assert report.succeeded, report


async def test_a_thread_that_waits_for_what_will_be_cancelled_does_not_hang_the_end() -> None:
    got: list[object] = []

    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    def in_thread(event: Event) -> None:
        runtime.emit_from_thread("hang")
        receipt = runtime.emit_from_thread("hang")
        try:
            got.append(receipt.wait(0.5))
        except TimeoutError as error:
            got.append(error)

    async with Runtime(drain_within=0.1, cleanup_within=0.1, watchdog=None) as runtime:
        await runtime.spawn(hangs, "hang")
        await runtime.spawn(in_thread, "t")
        await runtime.emit("t")
        while runtime.subscriptions["hangs"].stats.pending < 2:
            await anyio.lowlevel.checkpoint()
    assert not isinstance(got[0], TimeoutError)


async def test_leaving_does_not_wait_for_what_a_handler_delays_beyond_the_deadline() -> None:
    async def job(event: Event) -> None:
        await anyio.sleep(1)
        await runtime.emit("job", delay=3600)

    async with Runtime() as runtime:
        await runtime.spawn(job, "job")
        await runtime.emit("job")
        start = anyio.current_time()
    assert anyio.current_time() - start == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)  # on asyncio it leaves the test as well
async def test_an_interrupt_out_of_a_backoff_settles_the_delivery() -> None:
    def backoff(attempt: int, random: Random) -> float:
        raise SystemExit(3)

    async def fails(event: Event) -> None:
        raise ValueError

    with pytest.raises(BaseException):  # noqa: B017, PT011 - a group of it
        async with Runtime() as runtime:
            await runtime.spawn(fails, "n", retry=Retry(attempts=2, backoff=backoff))
            receipt = await runtime.emit("n")
            await anyio.sleep(1)
    assert not runtime.stats.pending
    assert receipt.settled


async def test_nothing_of_a_stopped_subscription_with_a_timeout_is_left() -> None:
    async def work(event: Event) -> None:
        pass

    async with Runtime() as runtime:
        for _ in range(20):
            subscription = await runtime.spawn(work, "n", timeout=1e6)
            await runtime.emit_and_wait("n")
            await subscription.stop()
        assert len(runtime._around.alarms) == 0


async def test_82_a_log_handler_that_raises_does_not_end_the_runtime() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("broken log")

    async def fails(event: Event) -> None:
        raise ValueError

    broken = Broken()
    logging.getLogger("postroom").addHandler(broken)
    try:
        async with Runtime() as runtime:
            await runtime.spawn(fails, "n", retry=Retry(attempts=2))
            await runtime.emit("n")
    finally:
        logging.getLogger("postroom").removeHandler(broken)
    assert runtime.stats.failed == 1


async def test_a_handler_may_return_what_has_a_class_that_cannot_be_hashed() -> None:
    class Meta(type):
        def __eq__(cls, other: object) -> bool:
            return NotImplemented

    class Value(metaclass=Meta):
        pass

    async def work(event: Event) -> object:
        return Value()

    async with Runtime() as runtime:
        await runtime.spawn(work, "n")
        report = await runtime.emit_and_wait("n")
    assert report.succeeded


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_a_retry_that_falls_due_as_the_runtime_ends_is_settled() -> None:
    async def fails(event: Event) -> None:
        raise ValueError

    for _ in range(60):
        async with Runtime(drain_within=0) as runtime:
            for number in range(5):
                await runtime.spawn(
                    fails, "n", name=f"s{number}", retry=Retry(attempts=1000, backoff=lambda attempt, random: 0.0)
                )
            receipts = [await runtime.emit("n") for _ in range(3)]
        assert runtime.stats.pending == 0
        assert all(receipt.settled for receipt in receipts)

"""Handlers that outlive their timeout (reliability scenarios 9, 10 and 13; promise 7)."""

import logging
import threading

import anyio
import anyio.from_thread
import pytest

from postroom import Event, Failed, HandlerTimeout, Runtime, subscriber

pytestmark = pytest.mark.anyio


async def test_09_a_handler_that_hangs_is_cancelled_and_its_place_is_free_again() -> None:
    cancelled: list[int] = []

    @subscriber("n", timeout=2)
    async def hang(event: Event) -> None:
        if event.data == 0:
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.append(event.data)

    async with Runtime(subscribers=[hang]) as runtime:
        first = await runtime.emit("n", 0)
        second = await runtime.emit("n", 1)
        outcome = (await first).of("hang")
        assert (await second).succeeded

    assert cancelled == [0]
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, HandlerTimeout)


async def test_10_a_handler_that_ignores_its_cancellation_is_named_as_stuck(caplog: pytest.LogCaptureFixture) -> None:
    release = anyio.Event()

    @subscriber("n", timeout=2)
    async def stubborn(event: Event) -> None:
        with anyio.CancelScope(shield=True):
            await release.wait()

    async with Runtime(subscribers=[stubborn], cleanup_within=3) as runtime:
        receipt = await runtime.emit("n")
        await anyio.sleep(4.9)
        before = runtime.subscriptions["stubborn"].stats.stuck
        await anyio.sleep(0.2)
        stats = runtime.subscriptions["stubborn"].stats
        release.set()
        report = await receipt
        after = runtime.subscriptions["stubborn"].stats.stuck

    assert (before, stats.stuck, stats.in_hand, after) == (0, 1, 1, 0)
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert "stubborn is stuck" in errors[0]
    assert isinstance(report.of("stubborn"), Failed)


async def test_10_each_stuck_worker_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    release = anyio.Event()

    @subscriber("n", timeout=2, concurrency=3)
    async def stubborn(event: Event) -> None:
        if event.data < 2:
            with anyio.CancelScope(shield=True):
                await release.wait()

    async with Runtime(subscribers=[stubborn], cleanup_within=3) as runtime:
        for number in range(40):
            await runtime.emit("n", number)
            await anyio.sleep(0.5)
        stuck = runtime.subscriptions["stubborn"].stats.stuck
        release.set()

    assert stuck == 2
    assert sum("is stuck" in record.message for record in caplog.records) == 2


async def test_10_what_a_handler_returns_after_its_timeout_does_not_count() -> None:
    @subscriber("n", timeout=1)
    async def swallows(event: Event) -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2)
        return "too late"

    async with Runtime(subscribers=[swallows]) as runtime:
        report = await runtime.emit_and_wait("n")

    outcome = report.of("swallows")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, HandlerTimeout)


@pytest.mark.parametrize("anyio_backend", ["trio", "asyncio"])
async def test_13_a_thread_that_is_timed_out_keeps_its_place_and_its_late_result_does_not_count(
    anyio_backend: str,
) -> None:
    # In real time, since a thread is outside of any virtual clock; 10 ms pass.
    go_on, running = threading.Event(), []

    @subscriber("n", timeout=0.01)
    def blocked(event: Event) -> str:
        running.append(event.data)
        anyio.from_thread.run_sync(started.set)
        go_on.wait(10)
        return "too late"

    started = anyio.Event()
    async with Runtime(subscribers=[blocked]) as runtime:
        first = await runtime.emit("n", 1)
        await runtime.emit("n", 2)
        await started.wait()
        await anyio.sleep(0.05)
        alone = list(running)
        go_on.set()
        outcome = (await first).of("blocked")

    assert alone == [1]
    assert isinstance(outcome, Failed)

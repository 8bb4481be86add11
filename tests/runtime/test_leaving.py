"""How a runtime's block ends: what the handlers may still do, and who is named when it takes too long."""

import logging
from collections.abc import AsyncGenerator
from contextlib import nullcontext

import anyio
import pytest

from postroom import Cancelled, ConflictingEvent, Event, Retry, Runtime, RuntimeClosed, Workflows, constant, subscriber


@subscriber("a", name="stubborn")
async def stubborn(event: Event) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(20)


@subscriber("a", name="tidy")
async def tidy(event: Event) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(4)


async def test_a_cancelled_handler_has_time_to_clean_up(caplog: pytest.LogCaptureFixture) -> None:
    async with Runtime(subscribers=[tidy], drain_within=1, cleanup_within=5) as runtime:
        receipt = await runtime.emit("a")
        start = anyio.current_time()
    assert anyio.current_time() - start == pytest.approx(1 + 4)
    assert isinstance(receipt.report().outcomes[0], Cancelled)
    assert not caplog.records


async def test_a_handler_that_ignores_its_cancellation_is_named_and_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Runtime(subscribers=[stubborn, tidy], drain_within=1, cleanup_within=5) as runtime:
        await runtime.emit("a")
        start = anyio.current_time()
    assert anyio.current_time() - start == pytest.approx(20)
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "stubborn" in record.getMessage()
    assert "tidy" not in record.getMessage()


async def test_emit_many_with_an_id_that_conflicts_accepts_none() -> None:
    async with Runtime() as runtime:
        await runtime.emit("a", 1, id="x")
        with pytest.raises(ConflictingEvent):
            await runtime.emit_many([Event("a", 0), Event("a", 2, id="x")])
        with pytest.raises(ConflictingEvent):
            await runtime.emit_many([Event("a", 1, id="y"), Event("a", 2, id="y")])
        assert runtime.stats.accepted == 1
        first, again = await runtime.emit_many([Event("a", 1, id="y"), Event("a", 1, id="y")])
        assert first is again


async def test_stopping_while_a_due_retry_is_on_its_way_leaves_nothing_pending() -> None:
    @subscriber("n", retry=Retry(attempts=2, backoff=constant(1)))
    async def fail(event: Event) -> None:
        raise ValueError

    async with Runtime(subscribers=[fail]) as runtime:
        receipt = await runtime.emit("n")
        await anyio.sleep(0.5)
        behaviour = runtime._roster.behaviours["fail"]
        [delivery] = behaviour.retries.cancel()
        runtime._dispatcher.actor.mailbox.queue.append(
            (behaviour, delivery)
        )  # as the timers do, and its task has not run yet
        await runtime.subscriptions["fail"].stop(drain=False)
        assert (runtime.stats.pending, runtime.stats.cancelled) == (0, 1)
        assert receipt.settled


@pytest.mark.parametrize("with_workflows", [False, True])
async def test_a_runtime_in_an_async_generator_that_is_closed_closes_with_it(with_workflows: bool) -> None:
    async def fixture() -> AsyncGenerator[Runtime, None]:
        async with Runtime() as runtime, Workflows(runtime) if with_workflows else nullcontext():
            yield runtime

    generator = fixture()
    runtime = await generator.__anext__()
    await generator.aclose()
    with pytest.raises(RuntimeClosed):
        await runtime.emit("n")

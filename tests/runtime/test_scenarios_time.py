"""Retries, delays, acknowledgements and the end (reliability scenarios 38, 39, 41, 46, 79)."""

import math
from typing import Any

import anyio
import pytest

from postroom import (
    Cancelled,
    Event,
    Expired,
    Failed,
    InvalidOption,
    Retry,
    Runtime,
    Subscriber,
    Succeeded,
    constant,
    subscriber,
)


def failing(times: list[float], *, wait: float, attempts: int = 5) -> Subscriber[..., Any]:
    """A subscriber that notes when it is called, and always fails."""

    @subscriber("n", retry=Retry(attempts=attempts, backoff=constant(wait)))
    async def fails(event: Event) -> None:
        times.append(anyio.current_time())
        raise ValueError

    return fails


async def test_38_unsubscribing_during_a_backoff_settles_at_once_and_wakes_nobody_later() -> None:
    times: list[float] = []
    async with Runtime(subscribers=[failing(times, wait=100)]) as runtime:
        receipt = await runtime.emit("n")
        await anyio.sleep(1)
        await runtime.subscriptions["fails"].stop(drain=False)
        assert receipt.report().outcomes == (Cancelled("fails", "unsubscribed", 1, 0.0),)
        await anyio.sleep(1000)
        assert len(times) == 1
        assert runtime.stats.pending == 0


async def test_38_a_stop_that_drains_waits_for_the_retries() -> None:
    times: list[float] = []
    async with Runtime(subscribers=[failing(times, wait=100, attempts=3)]) as runtime:
        receipt = await runtime.emit("n")
        await anyio.sleep(1)
        await runtime.subscriptions["fails"].stop()
        assert isinstance(receipt.report().outcomes[0], Failed)
    assert [time - times[0] for time in times] == pytest.approx([0, 100, 200])


async def test_39_leaving_runs_the_retries_due_before_its_deadline_and_cancels_the_rest_at_once() -> None:
    times: list[float] = []
    async with Runtime(subscribers=[failing(times, wait=4)], drain_within=10) as runtime:
        receipt = await runtime.emit("n")
        await anyio.sleep(1)
        start = anyio.current_time()
    assert [time - start for time in times] == pytest.approx([-1, 3, 7])
    assert anyio.current_time() - start == pytest.approx(7)  # the next one would have been due at 11
    assert isinstance(receipt.report().outcomes[0], Cancelled)


async def test_39_leaving_does_not_wait_for_what_is_due_too_late() -> None:
    times: list[float] = []
    async with Runtime(subscribers=[failing(times, wait=60)], drain_within=10) as runtime:
        await runtime.emit("n")
        delayed = await runtime.emit("n", delay=11)
        await anyio.sleep(0.5)
        start = anyio.current_time()
    assert anyio.current_time() == start
    assert isinstance(delayed.report().outcomes[0], Cancelled)


async def test_41_everybody_who_waits_for_an_acknowledgement_wakes_at_the_end() -> None:
    reports: list[object] = []

    @subscriber("n")
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async def waits() -> None:
        reports.append(await receipt)

    async with anyio.create_task_group() as tasks, Runtime(subscribers=[hangs], drain_within=1) as runtime:
        receipt = await runtime.emit("n")
        tasks.start_soon(waits)
        tasks.start_soon(waits)
    assert reports == [receipt.report(), receipt.report()]


async def test_46_a_delay_of_ten_years_is_kept() -> None:
    ten_years = 10 * 365 * 86400.0
    async with Runtime(subscribers=[failing([], wait=0)]) as runtime:
        receipt = await runtime.emit("n", delay=ten_years)
        await anyio.sleep(86400)
        assert receipt.event.delay == ten_years
        assert runtime.stats.pending == 1
        assert runtime.subscriptions["fails"].stats.waiting == 0


async def test_46_a_negative_delay_is_none() -> None:
    async with Runtime() as runtime:
        receipt = await runtime.emit("n", delay=-5)
    assert receipt.event.delay is None


@pytest.mark.parametrize("delay", [math.nan, math.inf, -math.inf, "1", True])
async def test_46_a_delay_that_is_no_time_is_refused(delay: float) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption, match="delay"):
            await runtime.emit("n", delay=delay)
        assert runtime.stats.accepted == 0


async def test_46_a_delayed_event_takes_its_place_when_it_is_due() -> None:
    seen: list[tuple[float, str]] = []

    @subscriber("n")
    async def note(event: Event) -> None:
        seen.append((anyio.current_time() - start, event.data))

    async with Runtime(subscribers=[note]) as runtime:
        start = anyio.current_time()
        await runtime.emit("n", "later", delay=2)
        await runtime.emit("n", "latest", delay=3)
        await runtime.emit("n", "now")
        await anyio.sleep(2.5)
        await runtime.emit("n", "between")
        await anyio.sleep(1)
    assert [data for _, data in seen] == ["now", "later", "between", "latest"]
    assert [when for when, _ in seen] == pytest.approx([0, 2, 2.5, 3])


async def test_an_event_whose_turn_comes_too_late_expires() -> None:
    handled: list[str] = []

    @subscriber("n")
    async def slow(event: Event) -> None:
        handled.append(event.data)
        await anyio.sleep(10)

    async with Runtime(subscribers=[slow], drain_within=100) as runtime:
        await runtime.emit("n", "first")
        await anyio.sleep(1)
        late = await runtime.emit("n", "late", expires_after=5)
        patient = await runtime.emit("n", "patient", expires_after=50)
        reports = [await late, await patient]
    assert [type(report.outcomes[0]) for report in reports] == [Expired, Succeeded]
    assert handled == ["first", "patient"]


async def test_79_an_error_in_the_block_comes_first_and_what_handlers_do_in_cleanup_does_not_hide_it() -> None:
    cleaned: list[float] = []

    @subscriber("n")
    async def tidies(event: Event) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3)
            cleaned.append(anyio.current_time())
            raise LookupError("in the cleanup")

    with pytest.raises(ZeroDivisionError):
        async with Runtime(subscribers=[tidies]) as runtime:
            receipt = await runtime.emit("n")
            await anyio.sleep(1)
            start = anyio.current_time()
            raise ZeroDivisionError
    assert [time - start for time in cleaned] == pytest.approx([3])
    assert receipt.settled


async def test_79_a_group_from_the_block_stays_the_group_that_it_is() -> None:
    group = ExceptionGroup("of the block's own", [ValueError(), KeyError()])
    with pytest.raises(ExceptionGroup) as caught:
        async with Runtime():
            raise group
    assert caught.value is group


async def test_79_an_interrupt_in_the_cleanup_passes_and_keeps_the_blocks_error_beside_it() -> None:
    @subscriber("n")
    async def interrupts(event: Event) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise SystemExit(3)

    with pytest.raises(SystemExit) as caught:
        async with Runtime(subscribers=[interrupts]) as runtime:
            await runtime.emit("n")
            await anyio.sleep(1)
            raise ZeroDivisionError
    errors: list[BaseException | None] = [caught.value.__context__, caught.value.__cause__]
    assert any(isinstance(error, ZeroDivisionError) for error in errors)

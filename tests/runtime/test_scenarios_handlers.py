"""What handlers do to themselves and to others (reliability scenarios 2, 3, 6, 8, 15, 17, 18, 42, 43)."""

from random import Random

import anyio
import pytest

from postroom import (
    Cancelled,
    Dropped,
    Event,
    Failed,
    HandlerAborted,
    InvalidOption,
    Retry,
    Runtime,
    Succeeded,
    constant,
    subscriber,
)
from postroom.dead_letters import LONGEST_TRACEBACK
from postroom.subscriber import OverflowPolicy


@subscriber("n", name="healthy")
async def healthy(event: Event) -> str:
    return "fine"


async def test_02_a_group_from_a_handlers_own_tasks_is_one_failure_and_stays_whole() -> None:
    async def leaf(number: int) -> None:
        raise ValueError(f"leaf number {number}")

    @subscriber("n")
    async def many(event: Event) -> None:
        raise ExceptionGroup("all of them", [ValueError(f"leaf number {n}") for n in range(30)])

    @subscriber("n")
    async def nested(event: Event) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leaf, 0)
            tasks.start_soon(leaf, 1)

    async with Runtime(subscribers=[many, nested, healthy]) as runtime:
        report = await runtime.emit_and_wait("n")
        letter = (await runtime.dead_letters.list("many"))[0]
        assert runtime.stats.failed == 2
    big, small = report.of("many"), report.of("nested")
    assert isinstance(big, Failed)
    assert isinstance(big.exception, ExceptionGroup)
    assert len(big.exception.exceptions) == 30
    assert isinstance(small, Failed)
    assert isinstance(small.exception, ExceptionGroup)
    assert {type(each) for each in small.exception.exceptions} == {ValueError}
    assert isinstance(report.of("healthy"), Succeeded)
    assert "leaf number 19" in letter.traceback
    assert "leaf number 20" not in letter.traceback
    assert "and 10 more exceptions" in letter.traceback


async def test_02_the_text_of_a_huge_error_is_cut() -> None:
    @subscriber("n")
    async def wordy(event: Event) -> None:
        raise ExceptionGroup("x" * 50_000, [ValueError("y" * 50_000)])

    async with Runtime(subscribers=[wordy]) as runtime:
        await runtime.emit_and_wait("n")
        (letter,) = await runtime.dead_letters.list()
    assert len(letter.traceback) <= LONGEST_TRACEBACK


async def test_02_an_error_that_cannot_print_itself_is_kept_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    @subscriber("n")
    async def broken(event: Event) -> None:
        raise Mute

    async with Runtime(subscribers=[broken]) as runtime:
        report = await runtime.emit_and_wait("n")
        (letter,) = await runtime.dead_letters.list()
    assert isinstance(report.of("broken"), Failed)
    assert isinstance(letter.exception, Mute)
    assert "Mute" in letter.traceback


async def test_03_an_interrupt_in_a_group_ends_the_runtime_as_a_bare_one_does() -> None:
    interrupt = KeyboardInterrupt()

    async def mixes(event: Event) -> None:
        raise BaseExceptionGroup("mixed", [ValueError(), BaseExceptionGroup("deeper", [interrupt])])

    with pytest.raises(KeyboardInterrupt) as caught:
        async with Runtime() as runtime:
            await runtime.spawn(mixes, "n")
            receipt = await runtime.emit("n")
            await anyio.sleep_forever()
    assert caught.value is interrupt
    assert isinstance(receipt.report().outcomes[0], Cancelled)
    assert runtime.dead_letters.kept == 0


async def test_06_a_cancellation_that_a_handler_makes_itself_is_its_failure() -> None:
    @subscriber("n")
    async def cancelled(event: Event) -> None:
        raise anyio.get_cancelled_exc_class() if event.data == "loop" else GeneratorExit

    async with Runtime(subscribers=[healthy, cancelled]) as runtime:
        # trio lets nobody make its cancellation; where that works, it is asyncio's.
        reports = [await runtime.emit_and_wait("n", "odd") for _ in range(2)]
    assert [type(report.of("cancelled")) for report in reports] == [Failed, Failed]
    assert [type(report.of("healthy")) for report in reports] == [Succeeded, Succeeded]


async def test_08_a_handler_that_cancels_a_scope_around_the_runtime_shuts_it_down() -> None:
    async def overreaches(event: Event) -> None:
        outer.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as outer:
        async with Runtime() as runtime:
            await runtime.spawn(overreaches, "n")
            first, second = await runtime.emit("n"), await runtime.emit("n")
            await anyio.sleep_forever()
    assert outer.cancelled_caught
    assert [type(receipt.report().outcomes[0]) for receipt in (first, second)] == [Cancelled, Cancelled]
    assert runtime.stats.pending == 0


async def test_15_a_handler_with_a_task_in_the_background_is_not_done_until_that_is() -> None:
    order: list[str] = []

    @subscriber("n")
    async def leaves_a_task(event: Event) -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work_on, event.data)
            order.append(f"{event.data} at its end")
        return "done"

    async def work_on(name: str) -> None:
        await anyio.sleep(5)
        order.append(f"{name} done")

    async with Runtime(subscribers=[leaves_a_task, healthy]) as runtime:
        first, second = await runtime.emit("n", "first"), await runtime.emit("n", "second")
        await anyio.sleep(1)
        assert [receipt.pending for receipt in (first, second)] == [1, 1]  # but for the healthy one
        assert runtime.subscriptions["leaves_a_task"].stats.in_hand == 1
        assert (await second).succeeded
    assert order == ["first at its end", "first done", "second at its end", "second done"]


async def test_15_a_background_task_that_fails_is_its_handlers_failure_and_a_timeout_ends_it() -> None:
    @subscriber("n", timeout=3)
    async def leaves_a_task(event: Event) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(event.data)

    async def fail() -> None:
        raise LookupError

    async with Runtime(subscribers=[leaves_a_task]) as runtime:
        failed = (await runtime.emit_and_wait("n", fail)).outcomes[0]
        began = anyio.current_time()
        late = (await runtime.emit_and_wait("n", anyio.sleep_forever)).outcomes[0]
        assert anyio.current_time() - began == pytest.approx(3)
    assert isinstance(failed, Failed)
    assert isinstance(failed.exception, ExceptionGroup)
    assert isinstance(late, Failed)
    assert isinstance(late.exception, TimeoutError)


@pytest.mark.parametrize(("overflow", "handled"), [("drop_oldest", [0, 8, 9]), ("drop_newest", [0, 1, 2])])
async def test_17_a_slow_handler_fills_its_own_mailbox_alone_and_drops_by_its_own_policy(
    overflow: OverflowPolicy, handled: list[int]
) -> None:
    seen: dict[str, list[int]] = {"slow": [], "quick": []}

    @subscriber("n", capacity=2, overflow=overflow)
    async def slow(event: Event) -> None:
        await anyio.sleep(100)
        seen["slow"].append(event.data)

    @subscriber("n", capacity=2)
    async def quick(event: Event) -> None:
        seen["quick"].append(event.data)

    async with Runtime(subscribers=[slow, quick], drain_within=1000) as runtime:
        receipts = []
        start = anyio.current_time()
        for number in range(10):
            receipts.append(await runtime.emit("n", number))
            await anyio.sleep(1)
        assert anyio.current_time() - start == pytest.approx(10)
        assert seen["quick"] == list(range(10))
        assert runtime.subscriptions["slow"].stats.high_water_mark == 2
        assert runtime.subscriptions["quick"].stats.high_water_mark == 1
    outcomes = [receipt.report().of("slow") for receipt in receipts]
    assert seen["slow"] == handled
    assert sum(isinstance(outcome, Dropped) for outcome in outcomes) == 7


async def test_17_a_slow_handler_that_waits_holds_back_the_emitters_of_its_events_only() -> None:
    @subscriber("n", capacity=1)
    async def slow(event: Event) -> None:
        await anyio.sleep(100)

    @subscriber("other", capacity=1)
    async def other(event: Event) -> None: ...

    async with Runtime(subscribers=[slow, other], drain_within=1000) as runtime:
        for number in range(2):
            await runtime.emit("n", number)
            await anyio.sleep(1)
        with anyio.move_on_after(10) as patience:
            await runtime.emit("n", 2)
        assert patience.cancelled_caught
        start = anyio.current_time()
        await runtime.emit_and_wait("other")
        assert anyio.current_time() == start


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError()])
async def test_18_running_out_of_stack_or_memory_is_a_handlers_failure(error: Exception) -> None:
    @subscriber("n")
    async def exhausted(event: Event) -> None:
        raise error

    async with Runtime(subscribers=[exhausted, healthy]) as runtime:
        report = await runtime.emit_and_wait("n")
    assert report.of("exhausted") == Failed("exhausted", error, 1, 0.0)
    assert isinstance(report.of("healthy"), Succeeded)


async def test_18_the_record_of_an_endless_recursion_is_bounded() -> None:
    def endless(depth: int) -> int:
        return endless(depth + 1) + 1

    @subscriber("n")
    async def recurses(event: Event) -> None:
        endless(0)

    async with Runtime(subscribers=[recurses]) as runtime:
        await runtime.emit_and_wait("n")
        (letter,) = await runtime.dead_letters.list()
    assert isinstance(letter.exception, RecursionError)
    assert 0 < len(letter.traceback) <= LONGEST_TRACEBACK


async def test_42_the_acknowledgement_resolves_where_a_subscriber_dies() -> None:
    @subscriber("n")
    async def dies(event: Event) -> None:
        raise BaseException("not even an Exception")

    async with Runtime(subscribers=[dies, healthy]) as runtime:
        report = await runtime.emit_and_wait("n")
    dead = report.of("dies")
    assert isinstance(dead, Failed)
    assert isinstance(dead.exception, HandlerAborted)
    assert type(dead.exception.__cause__) is BaseException
    assert isinstance(report.of("healthy"), Succeeded)


async def test_43_a_retry_policy_that_raises_makes_a_dead_letter_with_both_errors() -> None:
    def broken_policy(attempt: int, random: Random) -> float:
        raise LookupError("no such wait")

    @subscriber("n", retry=Retry(attempts=3, backoff=broken_policy))
    async def fails(event: Event) -> None:
        raise ValueError("first")

    async with Runtime(subscribers=[fails, healthy]) as runtime:
        report = await runtime.emit_and_wait("n")
        (letter,) = await runtime.dead_letters.list()
    outcome = report.of("fails")
    assert isinstance(outcome, Failed)
    assert outcome.attempts == 1
    assert isinstance(outcome.exception, ExceptionGroup)
    assert [type(each) for each in outcome.exception.exceptions] == [ValueError, LookupError]
    assert letter.exception is outcome.exception


@pytest.mark.parametrize("wait", [-1.0, float("nan"), float("inf"), "soon", None, True])
async def test_43_a_wait_that_cannot_be_is_the_policys_error(wait: float) -> None:
    @subscriber("n", retry=Retry(attempts=3, backoff=lambda attempt, random: wait))
    async def fails(event: Event) -> None:
        raise ValueError("first")

    async with Runtime(subscribers=[fails]) as runtime:
        report = await runtime.emit_and_wait("n")
    outcome = report.of("fails")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, ExceptionGroup)
    assert [type(each) for each in outcome.exception.exceptions] == [ValueError, InvalidOption]


async def test_43_only_the_exceptions_that_a_policy_names_are_worth_another_attempt() -> None:
    attempts: list[str] = []

    @subscriber("n", retry=Retry(attempts=3, backoff=constant(1), on=LookupError))
    async def fails(event: Event) -> None:
        attempts.append(event.data)
        raise LookupError if event.data == "lookup" else ValueError

    async with Runtime(subscribers=[fails]) as runtime:
        await runtime.emit_and_wait("n", "lookup")
        await runtime.emit_and_wait("n", "value")
    assert attempts == ["lookup"] * 3 + ["value"]

"""Promise 7: a failure costs one attempt of one delivery; then a dead letter keeps all there is to know."""

from typing import Any

import anyio
import pytest

from postroom import (
    Context,
    Event,
    Failed,
    HandlerTimeout,
    Retry,
    Runtime,
    Succeeded,
    UnknownDeadLetter,
    UnknownSubscription,
    constant,
    exponential,
    subscriber,
)


async def test_a_dead_letter_keeps_event_exception_traceback_and_attempts() -> None:
    @subscriber("n", retry=Retry(attempts=3, backoff=constant(1)))
    async def fails(event: Event, context: Context) -> None:
        raise LookupError(f"attempt {context.attempt}")

    async with Runtime(subscribers=[fails]) as runtime:
        report = await runtime.emit_and_wait("n", "data", key="k")
        (letter,) = await runtime.dead_letters.list()
    outcome = report.of("fails")
    assert isinstance(outcome, Failed)
    assert letter.exception is outcome.exception
    assert letter.event is report.event
    assert (letter.attempts, outcome.attempts, letter.subscription) == (3, 3, "fails")
    assert "LookupError: attempt 3" in letter.traceback
    assert 'raise LookupError(f"attempt {context.attempt}")' in letter.traceback


async def test_backoff_grows_and_retries_hold_no_worker() -> None:
    times: list[tuple[str, float]] = []

    @subscriber("n", retry=Retry(attempts=4, backoff=exponential(1, jitter=False, limit=3)))
    async def fails(event: Event) -> None:
        times.append((event.data, anyio.current_time() - start))
        if event.data == "bad":
            raise ValueError

    async with Runtime(subscribers=[fails]) as runtime:
        start = anyio.current_time()
        receipt = await runtime.emit("n", "bad")
        await anyio.sleep(0.5)
        await runtime.emit_and_wait("n", "good")
        await receipt
    assert [data for data, _ in times] == ["bad", "good", "bad", "bad", "bad"]
    assert [when for _, when in times] == pytest.approx([0, 0.5, 1, 3, 6])


async def test_a_timeout_costs_an_attempt_as_an_exception_does() -> None:
    @subscriber("n", timeout=2, retry=Retry(attempts=2, backoff=constant(3)))
    async def hangs_once(event: Event, context: Context) -> str:
        if context.attempt == 1:
            await anyio.sleep_forever()
        return "done"

    async with Runtime(subscribers=[hangs_once]) as runtime:
        start = anyio.current_time()
        report = await runtime.emit_and_wait("n")
        assert anyio.current_time() - start == pytest.approx(5)
    assert report.outcomes == (Succeeded("hangs_once", "done", 2, report.outcomes[0].seconds),)
    assert report.outcomes[0].seconds == pytest.approx(2)


async def test_a_policy_may_leave_timeouts_out() -> None:
    @subscriber("n", timeout=2, retry=Retry(attempts=2, on=ValueError))
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime(subscribers=[hangs]) as runtime:
        outcome = (await runtime.emit_and_wait("n")).of("hangs")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, HandlerTimeout)
    assert outcome.attempts == 1


async def test_only_the_attempt_fails_and_the_next_event_is_handled() -> None:
    @subscriber("n")
    async def picky(event: Event) -> int:
        return 1 // int(event.data)

    async with Runtime(subscribers=[picky]) as runtime:
        reports = [await runtime.emit_and_wait("n", number) for number in (0, 1, 0, 1)]
    assert [type(report.outcomes[0]) for report in reports] == [Failed, Succeeded, Failed, Succeeded]


async def test_a_timeout_error_of_the_handlers_own_is_not_taken_for_the_runtimes() -> None:
    @subscriber("n", timeout=100)
    async def impatient(event: Event) -> None:
        with anyio.fail_after(1):
            await anyio.sleep_forever()

    async with Runtime(subscribers=[impatient]) as runtime:
        outcome = (await runtime.emit_and_wait("n")).of("impatient")
    assert isinstance(outcome, Failed)
    assert type(outcome.exception) is TimeoutError


async def test_the_oldest_dead_letters_go_and_are_counted() -> None:
    @subscriber("n")
    async def fails(event: Event) -> None:
        raise ValueError

    async with Runtime(subscribers=[fails], dead_letter_limit=3) as runtime:
        for number in range(5):
            await runtime.emit_and_wait("n", number)
        letters = runtime.dead_letters
        assert [letter.event.data for letter in await letters.list()] == [2, 3, 4]
        assert (letters.total, letters.evicted, letters.kept) == (5, 2, 3)
        with pytest.raises(UnknownDeadLetter):
            await letters.discard("1")
        await letters.discard((await letters.list())[0])
        assert [letter.event.data for letter in await letters.list()] == [3, 4]


async def test_a_replay_that_fails_again_leaves_a_new_letter_and_other_subscriptions_alone() -> None:
    calls: list[str] = []

    @subscriber("n")
    async def fails(event: Event) -> None:
        calls.append("fails")
        raise ValueError

    @subscriber("n")
    async def fine(event: Event) -> None:
        calls.append("fine")

    async with Runtime(subscribers=[fails, fine]) as runtime:
        await runtime.emit_and_wait("n", id="once")
        (first,) = await runtime.dead_letters.list()
        report = await (await runtime.dead_letters.replay(first.id))
        (second,) = await runtime.dead_letters.list()
        with pytest.raises(UnknownDeadLetter):
            await runtime.dead_letters.replay(first)
    assert sorted(calls) == ["fails", "fails", "fine"]
    assert len(report.outcomes) == 1
    assert second.id != first.id
    assert second.event.id == "once"


async def test_a_letter_of_somebody_who_left_is_kept() -> None:
    @subscriber("n")
    async def fails(event: Event) -> None:
        raise ValueError

    async with Runtime(subscribers=[fails]) as runtime:
        await runtime.emit_and_wait("n")
        await runtime.subscriptions["fails"].stop()
        (letter,) = await runtime.dead_letters.list()
        with pytest.raises(UnknownSubscription):
            await runtime.dead_letters.replay(letter)
        assert await runtime.dead_letters.list() == (letter,)


async def test_a_handler_that_returns_too_late_has_timed_out_and_what_it_left_unawaited_warns_of_nothing() -> None:
    async def later() -> None: ...

    @subscriber("n", timeout=1)
    async def late(event: Event) -> Any:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return later()

    async with Runtime(subscribers=[late]) as runtime:
        outcome = (await runtime.emit_and_wait("n")).of("late")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, HandlerTimeout)


class Unshowable(SyntaxError):
    """An error of the user's whose traceback can't be shown."""

    @property
    def lineno(self) -> int:  # type: ignore[override]
        raise LookupError


async def test_an_error_whose_traceback_cannot_be_shown_is_kept_by_its_name() -> None:
    async def bad(event: Event) -> None:
        raise Unshowable

    async with Runtime() as runtime:
        await runtime.spawn(bad, "n")
        await runtime.emit_and_wait("n")
        (letter,) = await runtime.dead_letters.list()
    assert letter.traceback == "Unshowable (its traceback can't be shown: LookupError)"

"""The kit for users' tests: recorder, subscribers to order, and the runtime of a test."""

from typing import Any

import anyio
import pytest

from postroom import Event, InvalidName, InvalidOption, NotPortable, Retry, Succeeded, constant
from postroom.testing import Recorder, blocked_until, failing, open_runtime, slow

pytestmark = pytest.mark.anyio


async def test_failing_fails_the_first_attempts_at_each_event_and_then_succeeds() -> None:
    recorder = Recorder()
    retry = Retry(attempts=3, backoff=constant(1))
    async with open_runtime(
        failing("n", times=2, retry=retry),
        failing("n", name="always", error=lambda: OSError("full"), retry=retry),
        recorder=recorder,
    ) as runtime:
        for _ in range(2):
            await runtime.emit("n")
    handled = recorder.assert_handled("n", by="failing", times=2)
    assert [outcome.attempts for outcome in handled] == [3, 3]
    recorder.assert_failed("n", by="always", times=2, error=OSError)
    recorder.assert_failed("n", times=0, error=ValueError)


async def test_slow_takes_its_time() -> None:
    async with open_runtime(slow("n", seconds=3600)) as runtime:
        start = anyio.current_time()
        await runtime.emit_and_wait("n")
        assert anyio.current_time() - start == pytest.approx(3600)


async def test_blocked_until_fills_its_mailbox_until_it_is_let_go() -> None:
    gate = anyio.Event()
    async with open_runtime(blocked_until(gate, "n", capacity=1)) as runtime:
        first = await runtime.emit("n")
        await anyio.wait_all_tasks_blocked()
        await runtime.emit("n")
        assert runtime.snapshot().of("blocked").mailbox.length == 1
        assert not first.settled
        gate.set()


async def test_the_recorder_tells_what_it_saw_where_an_assertion_fails() -> None:
    recorder = Recorder()
    async with open_runtime(failing("order.*"), recorder=recorder) as runtime:
        await runtime.emit("order.placed", {"cents": 1299})
        await runtime.emit("other")
    with pytest.raises(AssertionError) as error:
        recorder.assert_handled("order.placed", by="mailer", times=2)
    assert str(error.value) == (
        "expected 'order.placed' to be handled by 'mailer' twice; it was never. Recorded:\n"
        "  order.placed {'cents': 1299}: failing failed with ConnectionError() in attempt 1\n"
        "  other None: nobody subscribes"
    )
    with pytest.raises(AssertionError, match="at least once; it was never"):
        recorder.assert_emitted("missing.**")
    with pytest.raises(AssertionError, match="never; it was once"):
        recorder.assert_emitted("other", times=0)
    with pytest.raises(AssertionError, match=r"these did not:\n  order\.placed"):
        recorder.assert_all_succeeded()


async def test_the_recorder_gives_what_it_found_also_from_the_drain() -> None:
    recorder = Recorder()

    async def cause(event: Event, context: Any) -> str:
        await anyio.sleep(1)
        await context.emit("late")
        return "done"

    async with open_runtime(recorder=recorder) as runtime:
        await runtime.spawn(cause, "n")
        await runtime.emit("n")
    (outcome,) = recorder.assert_handled("n")
    assert isinstance(outcome, Succeeded)
    assert outcome.value == "done"
    (late,) = recorder.assert_emitted("late", times=1)
    assert late.emitted_by == "cause"
    recorder.assert_all_succeeded()


async def test_an_empty_recorder_says_so() -> None:
    with pytest.raises(AssertionError, match="Recorded:\n  nothing"):
        Recorder().assert_emitted("n")


@pytest.mark.parametrize("times", [-1, True, 1.5])
async def test_numbers_of_times_that_make_no_sense_are_refused(times: int) -> None:
    with pytest.raises(InvalidOption, match="times"):
        failing("n", times=times)
    with pytest.raises(InvalidOption, match="times"):
        Recorder().assert_emitted("n", times=times)
    with pytest.raises(InvalidOption, match="seconds"):
        slow("n", seconds=-1)
    with pytest.raises(InvalidOption, match="gate"):
        blocked_until("n")  # type: ignore[arg-type]
    with pytest.raises(InvalidName):
        Recorder().assert_emitted("no name")


async def test_the_runtime_of_a_test_is_portable_and_repeatable() -> None:
    async with open_runtime() as runtime:
        with pytest.raises(NotPortable):
            await runtime.emit("n", {1})
        assert (await runtime.emit("n")).id == "event-1"
    async with open_runtime(portable=False, ids=lambda: "mine") as runtime:
        assert (await runtime.emit("n", {1})).id == "mine"

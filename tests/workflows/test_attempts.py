"""The attempts of a step: what counts as a failure, and what a policy of the user's may do."""

from random import Random
from typing import Any

import anyio
import pytest

from postroom import (
    Flow,
    HandlerAborted,
    Retry,
    Runtime,
    StepContext,
    StepFailed,
    WorkflowFailed,
    Workflows,
    step,
    workflow,
)


async def failure_of(chosen: Any) -> StepFailed:
    """What a workflow of one step gets to see of it."""
    seen: list[StepFailed] = []

    @workflow
    async def order(flow: Flow) -> None:
        try:
            await flow.run(chosen)
        except StepFailed as error:
            seen.append(error)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        await workflows.run(order)
    return seen[0]


async def test_a_policy_that_fails_ends_the_attempts_and_is_told_beside_the_failure() -> None:
    def backoff(attempt: int, random: Random) -> float:
        raise LookupError("a policy with a mistake")

    @step(name="pay", retry=Retry(attempts=5, backoff=backoff))
    async def pay() -> None:
        raise ConnectionError("no bank")

    failed = await failure_of(pay)
    assert failed.attempts == 1
    assert isinstance(failed.__cause__, ExceptionGroup)
    assert [str(each) for each in failed.__cause__.exceptions] == ["no bank", "a policy with a mistake"]


async def test_a_step_that_returns_what_nobody_awaited_has_failed_and_nothing_warns() -> None:
    async def later() -> None: ...

    @step
    async def pay() -> Any:
        return later()

    failed = await failure_of(pay)
    assert "returned a coroutine that nobody awaited" in str(failed.__cause__)


async def test_a_step_that_returns_too_late_has_timed_out_whatever_it_returned() -> None:
    @step(timeout=1)
    async def pay() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return "paid"

    assert (await failure_of(pay)).type == "StepTimeout"


@pytest.mark.parametrize("raised", [GeneratorExit(), BaseException("odd")])
async def test_what_a_step_raises_that_is_no_exception_is_its_failure(raised: BaseException) -> None:
    @step
    async def pay() -> None:
        raise raised

    failed = await failure_of(pay)
    assert isinstance(failed.__cause__, HandlerAborted)
    assert f"raised {type(raised).__name__}" in str(failed.__cause__)


async def test_a_workflow_whose_result_no_journal_could_keep_has_failed() -> None:
    @workflow
    async def order(flow: Flow) -> object:
        return object()

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match="result of workflow order"):
            await workflows.run(order)


async def test_in_a_portable_runtime_values_are_those_that_a_journal_would_give_back() -> None:
    given: list[object] = [1, {"a": [2]}]

    @step
    async def pay() -> object:
        return given

    @workflow
    async def order(flow: Flow) -> Any:
        paid = await flow.run(pay)
        assert paid == given
        assert paid is not given
        return paid

    async with Runtime(portable=True) as runtime, Workflows(runtime) as workflows:
        result = await workflows.run(order)
    assert result == given
    assert result is not given


async def test_a_step_that_is_awaited_in_its_block_gives_its_value_there_and_not_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    early: list[str] = []

    @step
    async def pay(context: StepContext) -> str:
        await anyio.sleep(1)
        context.log.warning("paid")
        return "paid"

    @workflow(name="order")
    async def order(flow: Flow) -> str:
        async with flow.together() as together:
            pending = together.run(pay)
            try:
                _ = pending.value
            except Exception as error:
                early.append(str(error))
            assert await pending == "paid"
            return pending.value

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(order, id="7") == "paid"
    assert "has not finished; read it after the block, or await it" in early[0]
    (record,) = [each for each in caplog.records if each.getMessage() == "paid"]
    fields = vars(record)
    assert (fields["workflow"], fields["workflow_id"], fields["attempt"]) == ("order", "7", 1)


async def test_the_history_of_a_run_tells_what_failed_was_interrupted_and_undone() -> None:
    async def undo(result: object) -> None: ...

    @step(compensate=undo)
    async def good() -> str:
        return "done"

    @step(compensate=undo)
    async def slow() -> None:
        await anyio.sleep(100)

    @step(compensate=undo)
    async def bad() -> None:
        await anyio.sleep(1)
        raise LookupError

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(good)
        async with flow.together() as together:
            together.run(slow)
            together.run(bad)

    async with Runtime() as runtime, Workflows(runtime, keep=1000) as workflows:
        handle = await workflows.start(order)
        with pytest.raises(WorkflowFailed):
            await handle.result()
        told = [(each.kind, each.step, each.reason) for each in await handle.history()]
    assert told[0] == ("finished", "good#0", "")
    assert set(told[1:3]) == {
        ("interrupted", "together#0/slow#0", ""),
        ("failed", "together#0/bad#0", "LookupError"),
    }
    assert sorted(told[3:]) == [("undone", name, "") for name in ("good#0", "together#0/bad#0", "together#0/slow#0")]

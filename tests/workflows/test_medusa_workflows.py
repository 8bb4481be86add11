"""What Medusa's own tests pin down of its workflows holds here as well, or better; each behaviour one test."""

import itertools
from typing import Any

import anyio
import pytest

from postroom import (
    Event,
    Events,
    Flow,
    PermanentFailure,
    Retry,
    Runtime,
    Skip,
    StepAnswer,
    StepContext,
    StepFailed,
    WorkflowCancelled,
    WorkflowFailed,
    Workflows,
    constant,
    emit_event,
    step,
    subscriber,
    workflow,
)
from postroom.workflows import ConflictingRun, RunState, UnknownRun, WorkflowNeedsAttention
from tests.workflows.shop import TWICE, Shop


async def test_the_seeds_example_emits_by_the_service_of_the_event_module() -> None:
    heard: list[Any] = []

    @subscriber("custom.event")
    async def hear(event: Event) -> None:
        heard.append(event.data)

    @step
    async def emit_custom_event(context: StepContext) -> None:
        events = await context.get(Events)
        await events.emit(name="custom.event", data={"id": "123"})

    @workflow
    async def my_workflow(flow: Flow) -> None:
        await flow.run(emit_custom_event)

    async with Runtime(subscribers=[hear]) as runtime, Workflows(runtime, [my_workflow]) as workflows:
        await workflows.run(my_workflow)
        await runtime.idle()
    assert heard == [{"id": "123"}]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({"id": "123"}, [{"id": "123"}], id="a mapping"),
        pytest.param([{"id": "1"}, {"id": "2"}], [{"id": "1"}, {"id": "2"}], id="a list"),
        pytest.param(lambda context: {"step": context.step}, [{"step": "emit_event#0"}], id="a function"),
    ],
)
async def test_the_emit_step_takes_a_mapping_a_list_or_a_function(data: Any, expected: list[Any]) -> None:
    shop = Shop()

    @workflow
    async def tell(flow: Flow) -> None:
        await flow.run(emit_event, "custom.event", data)

    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        await workflows.run(tell)
        await runtime.idle()
    assert shop.heard == [("custom.event", each) for each in expected]


async def test_steps_run_in_order_with_the_payload() -> None:
    @step
    async def double(number: int) -> int:
        return 2 * number

    @workflow
    async def compute(flow: Flow, number: int) -> int:
        return await flow.run(double, await flow.run(double, number))

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(compute, 3) == 12


async def test_parallel_steps_run_side_by_side() -> None:
    shop = Shop()
    slow, slower = shop.step("slow", seconds=1, returns="a"), shop.step("slower", seconds=2, returns="b")

    @workflow
    async def both(flow: Flow) -> list[str]:
        async with flow.together() as together:
            first, second = together.run(slow), together.run(slower)
        return [first.value, second.value]

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        began = anyio.current_time()
        assert await workflows.run(both) == ["a", "b"]
        assert anyio.current_time() - began == pytest.approx(2)


async def test_nothing_runs_after_a_failure_and_what_was_done_is_undone_in_reverse() -> None:
    shop = Shop(failing={"third": 1})
    line = shop.line(*map(shop.step, ["first", "second", "third", "fourth"]))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match=r"third#0: ValueError: third failed"):
            await workflows.run(line)
    assert shop.log == ["first", "second", "third", "-third", "-second", "-first"]


async def test_a_step_is_retried_and_then_compensated() -> None:
    shop = Shop(failing={"second": 9})
    line = shop.line(shop.step("first"), shop.step("second", retry=Retry(attempts=3, backoff=constant(1))))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(line)
    assert shop.log == ["first", "second", "second", "second", "-second", "-first"]


async def test_a_retryable_step_that_succeeds_in_time_lets_the_workflow_succeed() -> None:
    shop = Shop(failing={"only": 2})
    line = shop.line(shop.step("only", returns=1, retry=Retry(attempts=3, backoff=constant(1))))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(line) == [1]


async def test_a_permanent_failure_stops_retries() -> None:
    shop = Shop(failing={"only": 1})
    line = shop.line(shop.step("only", permanent=True, retry=Retry(attempts=5)))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match="PermanentFailure"):
            await workflows.run(line)
    assert shop.log == ["only", "-only"]


async def test_a_compensation_that_fails_for_good_is_seen_and_the_others_still_run() -> None:
    shop = Shop(failing={"third": 1, "-second": 2})
    second = shop.step("second", compensate_retry=TWICE)
    line = shop.line(shop.step("first"), second, shop.step("third"))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowNeedsAttention) as caught:
            await workflows.run(line, id="1")
        assert caught.value.steps == ("second#0",)
        assert (await workflows.status("1")).state is RunState.NEEDS_ATTENTION
        assert [each.id for each in await workflows.list(states=["needs_attention"])] == ["1"]
    assert shop.log == ["first", "second", "third", "-third", "-second", "-second", "-first"]


async def test_a_workflow_goes_on_after_a_permanent_failure_that_it_catches() -> None:
    shop = Shop(failing={"gift": 1})
    gift, pay = shop.step("gift", permanent=True), shop.step("pay", returns="paid")

    @workflow
    async def order(flow: Flow) -> str:
        with pytest.raises(StepFailed, match="PermanentFailure"):
            await flow.run(gift)
        return str(await flow.run(pay))

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(order) == "paid"
    assert shop.log == ["gift", "pay"]


async def test_cancelling_reverts_and_cancels_the_running_step() -> None:
    shop = Shop()
    line = shop.line(shop.step("first", returns=1), shop.step("slow", seconds=100))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(line)
        await anyio.sleep(1)
        await handle.cancel()
        with pytest.raises(WorkflowCancelled):
            await handle.result()
        assert anyio.current_time() < 100 or shop.log
    assert shop.log == ["first", "slow", "-slow", "-first"]
    assert shop.undone_with == {"slow": None, "first": 1}


async def test_a_workflow_that_takes_too_long_fails_and_is_undone() -> None:
    shop = Shop()
    line = shop.line(shop.step("first"), shop.step("slow", seconds=100), timeout=5)
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        began = anyio.current_time()
        with pytest.raises(WorkflowFailed, match="WorkflowTimeout"):
            await workflows.run(line)
        assert anyio.current_time() - began == pytest.approx(5)
    assert shop.log == ["first", "slow", "-slow", "-first"]


async def test_a_step_that_takes_too_long_is_cancelled_and_fails() -> None:
    shop = Shop()
    line = shop.line(shop.step("slow", seconds=100, timeout=3))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        began = anyio.current_time()
        with pytest.raises(WorkflowFailed, match="StepTimeout"):
            await workflows.run(line)
        assert anyio.current_time() - began == pytest.approx(3)
    assert shop.log == ["slow", "-slow"]


async def test_a_step_that_timed_out_is_tried_again_by_its_policy() -> None:
    shop = Shop()
    tries: list[int] = []

    async def slow_once(context: StepContext) -> str:
        tries.append(context.attempt)
        await anyio.sleep(10 if context.attempt == 1 else 0)
        return "done"

    only = shop.step("only", act=slow_once, timeout=3, retry=Retry(attempts=2, backoff=constant(0)))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(shop.line(only)) == ["done"]
    assert tries == [1, 2]


async def test_many_runs_of_one_workflow_go_side_by_side() -> None:
    @step
    async def wait(number: int) -> int:
        await anyio.sleep(1)
        return number

    @workflow
    async def echo(flow: Flow, number: int) -> int:
        return await flow.run(wait, number)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        began = anyio.current_time()
        handles = [await workflows.start(echo, number) for number in range(100)]
        assert [await handle.result() for handle in handles] == list(range(100))
        assert anyio.current_time() - began == pytest.approx(1)


async def test_a_step_skips_by_its_input_and_has_nothing_to_undo() -> None:
    shop = Shop(failing={"last": 1})
    undone: list[object] = []

    async def undo(given: object) -> None:
        undone.append(given)

    @step(compensate=undo)
    async def give(points: int) -> Any:
        return points if points else Skip(0)

    last = shop.step("last")

    @workflow
    async def order(flow: Flow) -> None:
        assert await flow.run(give, 0) == 0
        assert await flow.run(give, 5) == 5
        await flow.run(last)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(order)
    assert undone == [5]


async def test_a_steps_answer_splits_into_output_and_what_its_compensation_gets() -> None:
    undone: list[object] = []

    async def undo(given: object) -> None:
        undone.append(given)

    @step(compensate=undo)
    async def reserve() -> StepAnswer[str]:
        return StepAnswer("reserved", compensate_with={"reservation": 7})

    @step
    async def refuse() -> None:
        raise PermanentFailure("no")

    @workflow
    async def order(flow: Flow) -> None:
        assert await flow.run(reserve) == "reserved"
        await flow.run(refuse)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(order)
    assert undone == [{"reservation": 7}]


async def test_a_failing_steps_own_compensation_gets_no_input() -> None:
    shop = Shop(failing={"second": 1})
    line = shop.line(shop.step("first", returns="done"), shop.step("second", returns="never"))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(line)
    assert shop.undone_with == {"second": None, "first": "done"}


async def test_cancelling_after_completion_undoes_it_while_it_is_kept() -> None:
    shop = Shop()
    line = shop.line(shop.step("first", returns=1), shop.step("second", returns=2))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(line, id="1") == [1, 2]
        await workflows.cancel("1")
        with pytest.raises(WorkflowCancelled):
            await workflows.handle("1").result()
        with pytest.raises(UnknownRun, match="undone already"):
            await workflows.cancel("1")
    assert shop.log == ["first", "second", "-second", "-first"]


async def test_the_same_id_for_something_else_is_refused() -> None:
    @workflow
    async def one(flow: Flow, number: int) -> int:
        return number

    @workflow
    async def other(flow: Flow, number: int) -> int:
        return number

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(one, 1, id="1") == 1
        with pytest.raises(ConflictingRun):
            await workflows.run(one, 2, id="1")
        with pytest.raises(ConflictingRun):
            await workflows.run(other, 1, id="1")


async def test_a_run_is_removed_without_retention_and_kept_with_it() -> None:
    shop = Shop()
    line = shop.line(shop.step("only"))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        await workflows.run(line)
        assert await workflows.list() == []
    async with Runtime() as runtime, Workflows(runtime, keep=60) as workflows:
        await workflows.run(line)
        assert [(each.workflow, each.state) for each in await workflows.list()] == [("line", RunState.SUCCEEDED)]
        await anyio.sleep(61)
        assert await workflows.list() == []


async def test_conditional_steps_are_plain_ifs() -> None:
    shop = Shop()
    gift, ship = shop.step("gift"), shop.step("ship")

    @workflow
    async def order(flow: Flow, is_gift: bool) -> None:
        if is_gift:
            await flow.run(gift)
        await flow.run(ship)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        await workflows.run(order, False)
        await workflows.run(order, True)
    assert shop.log == ["ship", "gift", "ship"]


async def test_a_schedule_runs_by_cron_as_often_as_it_says() -> None:
    began: list[float] = []

    @step
    async def note() -> None:
        began.append(anyio.current_time())

    @workflow
    async def clean(flow: Flow) -> None:
        await flow.run(note)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        schedule = workflows.schedule(clean, cron="*/5 * * * *", times=3)
        await anyio.sleep(3600)
        assert schedule.stopped
    assert len(began) == 3
    assert [later - earlier for earlier, later in itertools.pairwise(began)] == pytest.approx([300, 300])


async def test_a_schedule_that_is_stopped_runs_no_more() -> None:
    shop = Shop()
    line = shop.line(shop.step("only"))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        schedule = workflows.schedule(line, every=10)
        await anyio.sleep(25)
        schedule.stop()
        await anyio.sleep(100)
    assert len(shop.log) in (2, 3)


async def test_the_same_id_after_completion_gives_the_stored_result() -> None:
    shop = Shop()
    line = shop.line(shop.step("only", returns="result"))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(line, id="1") == ["result"]
        assert await workflows.run(line, id="1") == ["result"]
    assert shop.log == ["only"]


async def test_the_same_id_while_it_runs_joins_it() -> None:
    shop = Shop()
    line = shop.line(shop.step("only", seconds=5, returns="result"))
    results: list[Any] = []
    async with Runtime() as runtime, Workflows(runtime) as workflows:

        async def run() -> None:
            results.append(await workflows.run(line, id="1"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            tasks.start_soon(run)
    assert results == [["result"], ["result"]]
    assert shop.log == ["only", "only+"]


async def test_five_waits_of_each_kind_side_by_side_are_settled_from_outside() -> None:
    @workflow
    async def approve(flow: Flow, number: int) -> Any:
        return await flow.wait_for(f"approval-{number}")

    @workflow
    async def gather(flow: Flow) -> list[Any]:
        async with flow.together() as together:
            waits = [together.run(approve, number) for number in range(10)]
        return [each.value for each in waits]

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(gather, id="1")
        for number in range(0, 10, 2):
            await workflows.signal("1", f"approval-{number}", number)
        await anyio.sleep(1)
        for number in range(1, 10, 2):
            await workflows.signal("1", f"approval-{number}", number)
        assert await handle.result() == list(range(10))


async def test_a_failure_from_outside_fails_the_wait() -> None:
    shop = Shop()
    reserve = shop.step("reserve")

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(reserve)
        await flow.wait_for("payment")

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(order)
        await workflows.signal(handle.id, "payment", PermanentFailure("card refused"))
        with pytest.raises(WorkflowFailed, match="card refused"):
            await handle.result()
    assert shop.log == ["reserve", "-reserve"]


async def test_an_outer_retry_continues_the_flow_once_only() -> None:
    shop = Shop(failing={"pay": 1})
    pay, ship = shop.step("pay", retry=Retry(attempts=2, backoff=constant(1))), shop.step("ship")
    line = shop.line(pay, ship)
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(line, id="1")
        again = await workflows.start(line, id="1")
        await handle.result()
        await again.result()
    assert shop.log == ["pay", "pay", "ship"]


async def test_a_nested_workflow_is_a_step_that_leaves_the_release_to_its_root() -> None:
    shop = Shop()
    seen_in_between: list[int] = []
    look = shop.step("look", act=lambda context: seen_in_between.append(len(shop.heard)))

    @workflow
    async def inner(flow: Flow, number: int) -> int:
        await flow.run(emit_event, "inner.event", number)
        return number + 1

    @workflow
    async def outer(flow: Flow) -> int:
        result = await flow.run(inner, 1)
        await flow.sleep(5)
        await flow.run(look)
        return result

    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(outer) == 2
        await runtime.idle()
    assert seen_in_between == [0]
    assert shop.heard == [("inner.event", 1)]


async def test_events_go_out_with_success_and_are_dropped_with_failure() -> None:
    shop = Shop(failing={"last": 1})
    last = shop.step("last", permanent=True)

    @workflow
    async def order(flow: Flow, number: int) -> None:
        await flow.emit("order.placed", number)
        await flow.run(emit_event, "order.paid", number)
        await flow.run(last)

    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(order, 1)
        await workflows.run(order, 2)
        await runtime.idle()
    assert shop.heard == [("order.placed", 2), ("order.paid", 2)]


async def test_a_steps_compensation_drops_its_own_events_only() -> None:
    shop = Shop(failing={"last": 1})
    last = shop.step("last", permanent=True)

    @workflow
    async def inner(flow: Flow) -> None:
        await flow.run(emit_event, "same.name", "inner")
        await flow.run(last)

    @workflow
    async def outer(flow: Flow) -> None:
        await flow.run(emit_event, "same.name", "outer")
        with pytest.raises(StepFailed):
            await flow.run(inner)

    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        await workflows.run(outer)
        await runtime.idle()
    assert shop.heard == [("same.name", "outer")]


async def test_hooks_have_any_number_of_handlers_in_their_order() -> None:
    shop = Shop(failing={"last": 1})
    last = shop.step("last")

    @workflow
    async def create(flow: Flow, number: int) -> list[Any]:
        results = await flow.hook("order_created", number)
        if number > 1:
            await flow.run(last)
        return results

    create.hook("order_created")(shop.step("first"))
    create.hook("order_created")(shop.step("second"))

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(create, 1) == [1, 1]
        with pytest.raises(WorkflowFailed):
            await workflows.run(create, 2)
    assert shop.log == ["first", "second", "first", "second", "last", "-last", "-second", "-first"]


async def test_a_workflows_steps_can_be_watched() -> None:
    shop = Shop(failing={"second": 1})
    line = shop.line(shop.step("first"), shop.step("second", retry=Retry(attempts=2, backoff=constant(1))))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(line, id="1")
        seen = [(each.kind, each.step) async for each in handle.events()]
        history = [(each.kind, each.step, each.attempt) for each in await handle.history()]
    assert seen == [
        ("started", "first#0"),
        ("finished", "first#0"),
        ("started", "second#0"),
        ("retrying", "second#0"),
        ("started", "second#0"),
        ("finished", "second#0"),
        ("over", ""),
    ]
    assert history == [("finished", "first#0", 1), ("finished", "second#0", 2)]

"""The rules of steps and workflows: what is refused, and what a cancellation leaves."""

import datetime
from typing import Any

import anyio
import attrs
import pytest

from postroom import (
    Events,
    Flow,
    InvalidOption,
    NotPortable,
    PermanentFailure,
    Retry,
    Runtime,
    StepContext,
    StepFailed,
    StillStaged,
    Workflow,
    WorkflowCancelled,
    WorkflowFailed,
    Workflows,
    constant,
    emit_event,
    step,
    workflow,
)
from postroom.workflows import (
    InvalidWorkflow,
    NotSignalled,
    RunState,
    UnknownRun,
    WorkflowNeedsAttention,
    WorkflowsClosed,
)
from tests.workflows.shop import TWICE, Shop


@attrs.frozen
class Receipt:
    number: int


async def test_83_a_compensation_that_fails_is_retried_then_seen_and_can_be_resumed() -> None:
    shop = Shop(failing={"third": 1, "-second": 2})
    second = shop.step("second", compensate_retry=Retry(attempts=2, backoff=constant(1)))
    line = shop.line(shop.step("first"), second, shop.step("third"))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowNeedsAttention):
            await workflows.run(line, id="1")
        assert shop.log[-1] == "-first"
        await workflows.resume("1")
        with pytest.raises(WorkflowFailed):
            await workflows.handle("1").result()
    assert shop.log == ["first", "second", "third", "-third", "-second", "-second", "-first", "-second"]


async def test_siblings_are_cancelled_when_a_step_fails_and_all_that_finished_is_undone() -> None:
    shop = Shop(failing={"bad": 1})
    quick, slow = shop.step("quick", seconds=1), shop.step("slow", seconds=100)

    async def later(context: StepContext) -> None:
        await anyio.sleep(2)
        raise PermanentFailure("bad")

    bad = shop.step("late", act=later)

    @workflow
    async def race(flow: Flow) -> None:
        async with flow.together() as together:
            for each in (quick, slow, bad):
                together.run(each)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match="late#0"):
            await workflows.run(race)
        assert anyio.current_time() < 1e9
    assert sorted(shop.log[:3]) == ["late", "quick", "slow"]
    assert shop.log[3] == "quick+"
    assert sorted(shop.log[4:6]) == ["-late", "-slow"]
    assert shop.log[6:] == ["-quick"]


async def test_cancelling_the_task_of_run_cancels_the_workflow_and_waits_until_it_is_undone() -> None:
    shop = Shop()
    line = shop.line(shop.step("first"), shop.step("slow", seconds=100))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with anyio.move_on_after(1):
            await workflows.run(line)
        assert shop.log == ["first", "slow", "-slow", "-first"]


async def test_cancelling_who_waits_for_a_result_cancels_nothing() -> None:
    shop = Shop()
    line = shop.line(shop.step("slow", seconds=5, returns=1))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(line)
        with anyio.move_on_after(1):
            await handle.result()
        assert await handle.result() == [1]


async def test_cancelling_who_joined_a_run_cancels_nothing() -> None:
    shop = Shop()
    line = shop.line(shop.step("slow", seconds=5, returns=1))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(line, id="1")
        with anyio.move_on_after(1):
            await workflows.run(line, id="1")
        assert await handle.result() == [1]


async def test_leaving_on_local_cancels_and_undoes_what_does_not_end_in_time() -> None:
    shop = Shop()
    line = shop.line(shop.step("first"), shop.step("slow", seconds=100))
    async with Runtime() as runtime:
        async with Workflows(runtime, drain_within=5) as workflows:
            handle = await workflows.start(line)
            await anyio.sleep(1)
        with pytest.raises(WorkflowCancelled):
            await handle.result()
    assert shop.log == ["first", "slow", "-slow", "-first"]


async def test_leaving_lets_a_run_end_that_takes_no_longer_than_the_drain() -> None:
    shop = Shop()
    line = shop.line(shop.step("slow", seconds=3, returns=1))
    async with Runtime() as runtime:
        async with Workflows(runtime, drain_within=5) as workflows:
            handle = await workflows.start(line)
        assert await handle.result() == [1]


async def test_an_error_in_the_block_comes_out_as_itself_and_runs_are_undone() -> None:
    shop = Shop()
    line = shop.line(shop.step("first"), shop.step("slow", seconds=100))
    async with Runtime() as runtime:
        with pytest.raises(KeyError):
            async with Workflows(runtime) as workflows:
                await workflows.start(line)
                await anyio.sleep(1)
                raise KeyError("body")
    assert shop.log == ["first", "slow", "-slow", "-first"]


async def test_a_step_called_in_several_tasks_without_keys_is_refused() -> None:
    shop = Shop()
    only = shop.step("only", seconds=1)

    @workflow
    async def plain(flow: Flow) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flow.run, only)
            tasks.start_soon(flow.run, only)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match="AmbiguousStep"):
            await workflows.run(plain)


async def test_steps_with_keys_run_in_plain_task_groups() -> None:
    shop = Shop()
    only = shop.step("only", seconds=1)

    @workflow
    async def keyed(flow: Flow) -> None:
        async def one(key: str) -> None:
            await flow.run(only, key=key)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, "a")
            tasks.start_soon(one, "b")

    async with Runtime() as runtime, Workflows(runtime, keep=60) as workflows:
        await workflows.run(keyed, id="1")
        history = await workflows.history("1")
    assert {each.step for each in history} == {"only[a]", "only[b]"}


async def test_the_same_key_twice_is_refused() -> None:
    only = Shop().step("only")

    @workflow
    async def twice(flow: Flow) -> None:
        await flow.run(only, key="a")
        await flow.run(only, key="a")

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match="its key was used before"):
            await workflows.run(twice)


async def test_a_result_that_no_journal_could_keep_is_refused_with_its_path() -> None:
    shop = Shop()
    line = shop.line(shop.step("only", returns={"lines": [{"at": datetime.date(2026, 1, 1)}]}))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match=r"result of step only#0\['lines'\]\[0\]\['at'\]"):
            await workflows.run(line)
    assert shop.log == ["only", "-only"]


async def test_typed_values_come_back_as_what_their_annotation_says() -> None:
    @step
    async def pay(number: int) -> Receipt:
        return Receipt(number)

    @workflow
    async def order(flow: Flow, receipt: Receipt) -> Receipt:
        return await flow.run(pay, receipt.number + 1)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(order, Receipt(1), id="1") == Receipt(2)
        assert await workflows.run(order, Receipt(1), id="1") == Receipt(2)


async def test_a_typed_value_without_an_annotation_is_refused() -> None:
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match="annotate the function"):
            await workflows.run(Shop().line(Shop().step("only", returns=Receipt(1))))
        with pytest.raises(NotPortable, match="input"):
            await workflows.run(_takes_anything, {1: 2})


@workflow
async def _takes_anything(flow: Flow, given: Any) -> None:
    pass


async def test_a_plain_function_is_a_step_in_a_thread() -> None:
    @step
    def add(one: int, other: int) -> int:
        return one + other

    @workflow
    async def compute(flow: Flow) -> int:
        return await flow.run(add, 1, other=2)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(compute) == 3


async def test_a_staged_receipt_is_not_awaited_inside_of_its_run() -> None:
    @step
    async def wait(context: StepContext) -> None:
        await (await context.emit("n"))

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(wait)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match=StillStaged.__name__):
            await workflows.run(order)


async def test_runtime_emit_in_a_step_goes_out_at_once_linked_to_the_run() -> None:
    shop = Shop(failing={"last": 1})
    causes: list[object] = []

    async def emit(context: StepContext) -> None:
        runtime = await context.get(Runtime)
        causes.append((await runtime.emit("at.once")).event.cause)

    line = shop.line(shop.step("emit", act=emit), shop.step("last"))
    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(line, id="1")
        await runtime.idle()
    assert shop.heard == [("at.once", None)]
    assert causes == ["1"]


async def test_a_retried_steps_events_are_those_of_its_last_attempt() -> None:
    shop = Shop()

    async def emit(context: StepContext) -> None:
        events = await context.get(Events)
        await events.emit("n", context.attempt)
        if context.attempt == 1:
            raise ValueError("once more")

    line = shop.line(shop.step("emit", act=emit, retry=TWICE))
    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        await workflows.run(line)
        await runtime.idle()
    assert shop.heard == [("n", 2)]


async def test_what_a_compensation_emits_goes_out_with_the_end_of_the_run() -> None:
    shop = Shop(failing={"last": 1})

    async def undo(done: object, context: StepContext) -> None:
        await context.emit("order.undone", done)

    line = shop.line(shop.step("first", returns=1, compensate=undo), shop.step("last"))
    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(line)
        await runtime.idle()
    assert shop.heard == [("order.undone", 1)]


async def test_the_events_receipts_are_settled_after_the_run() -> None:
    shop, receipts = Shop(), list[Any]()

    async def emit(context: StepContext) -> None:
        receipts.append(await context.emit("n", 1))

    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        await workflows.run(shop.line(shop.step("emit", act=emit)))
        report = await receipts[0]
    report.raise_for_failures()
    assert receipts[0].event.accepted_at is not None


async def test_a_nested_workflow_that_fails_is_undone_before_its_parent_goes_on() -> None:
    shop = Shop(failing={"bad": 1})
    first, bad, last = shop.step("first"), shop.step("bad"), shop.step("last")

    @workflow
    async def inner(flow: Flow) -> None:
        await flow.run(first)
        await flow.run(bad)

    @workflow
    async def outer(flow: Flow) -> str:
        with pytest.raises(StepFailed, match="inner#0"):
            await flow.run(inner)
        await flow.run(last)
        return "fine"

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(outer) == "fine"
    assert shop.log == ["first", "bad", "-bad", "-first", "last"]


async def test_a_nested_workflows_steps_are_undone_as_part_of_its_parent() -> None:
    shop = Shop(failing={"bad": 1})
    first, second, bad = shop.step("first"), shop.step("second"), shop.step("bad")

    @workflow
    async def inner(flow: Flow) -> None:
        await flow.run(second)

    @workflow
    async def outer(flow: Flow) -> None:
        await flow.run(first)
        await flow.run(inner)
        await flow.run(bad)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(outer)
    assert shop.log == ["first", "second", "bad", "-bad", "-second", "-first"]


async def test_a_nested_workflow_that_takes_too_long_is_undone_and_fails() -> None:
    shop = Shop()
    slow = shop.step("slow", seconds=100)

    @workflow(timeout=5)
    async def inner(flow: Flow) -> None:
        await flow.run(slow)

    @workflow
    async def outer(flow: Flow) -> str:
        try:
            await flow.run(inner)
        except StepFailed as error:
            return error.type
        return "fine"

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(outer) == "WorkflowTimeout"
    assert shop.log == ["slow", "-slow"]


async def test_a_wait_that_nobody_settles_in_time_says_so() -> None:
    @workflow
    async def order(flow: Flow) -> str:
        try:
            await flow.wait_for("payment", within=5)
        except NotSignalled as error:
            return str(error)
        return "paid"

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(order) == "the signal 'payment' did not come within 5 s"


async def test_a_signal_that_comes_first_is_taken_later() -> None:
    @workflow
    async def order(flow: Flow) -> Any:
        await flow.sleep(5)
        return await flow.wait_for("payment")

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(order)
        await workflows.signal(handle.id, "payment", 1)
        await workflows.signal(handle.id, "payment", 2)
        assert await handle.result() == 1


async def test_the_workflow_emits_step_events_in_the_order_emitted() -> None:
    shop = Shop()

    @workflow
    async def order(flow: Flow) -> None:
        await flow.emit("n", 1)
        await flow.run(emit_event, "n", [2, 3])
        await flow.emit("n", 4, key="a")

    async with Runtime(subscribers=[shop.ear]) as runtime, Workflows(runtime) as workflows:
        await workflows.run(order)
        await runtime.idle()
    assert shop.heard == [("n", 1), ("n", 2), ("n", 3), ("n", 4)]


async def test_an_event_that_nobody_may_miss_fails_the_run_where_nobody_listens() -> None:
    shop = Shop()
    first = shop.step("first")

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(first)
        await flow.emit("order.placed", require=True)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match="NoSubscriber"):
            await workflows.run(order)
    assert shop.log == ["first", "-first"]


async def test_a_delayed_run_begins_when_it_is_due() -> None:
    shop = Shop()
    line = shop.line(shop.step("only"))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(line, delay=60)
        await anyio.sleep(59)
        assert not shop.log
        await handle.result()
    assert shop.log == ["only"]


async def test_a_run_can_be_forgotten_once_it_is_over() -> None:
    line = Shop().line()
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        await workflows.run(line, id="1")
        assert await workflows.forget(["1", "2"]) == 1
        with pytest.raises(UnknownRun):
            await workflows.status("1")


async def test_what_is_not_there_is_refused_by_its_id() -> None:
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        for call in (
            workflows.status("1"),
            workflows.cancel("1"),
            workflows.resume("1"),
            workflows.history("1"),
            workflows.signal("1", "payment"),
            workflows.handle("1").result(),
        ):
            with pytest.raises(UnknownRun, match="'1'"):
                await call
        line = Shop().line()
        with pytest.raises(InvalidOption, match="must be a string"):
            await workflows.run(line, id="")
        with pytest.raises(InvalidOption, match="takes none"):
            await workflows.run(line, 5)
        with pytest.raises(InvalidOption, match="cron"):
            workflows.schedule(line, cron="every day")


async def test_outside_of_the_block_nothing_runs() -> None:
    async with Runtime() as runtime:
        workflows = Workflows(runtime)
        with pytest.raises(WorkflowsClosed):
            await workflows.run(Shop().line())
        async with workflows:
            pass
        with pytest.raises(WorkflowsClosed):
            await workflows.start(Shop().line())
        with pytest.raises(WorkflowsClosed, match="runs once"):
            await workflows.__aenter__()


def test_what_is_no_workflow_or_step_is_refused() -> None:
    with pytest.raises(InvalidWorkflow, match="async def"):
        workflow(name="plain")(print)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(InvalidWorkflow, match="takes a flow"):

        @workflow
        async def three(flow: Flow, one: int, two: int) -> None: ...

    with pytest.raises(InvalidOption, match="timeout"):
        step(timeout=-1)(print)
    with pytest.raises(InvalidOption, match="compensate"):
        step(compensate=3)(print)  # type: ignore[call-overload]  # on purpose
    with pytest.raises(InvalidWorkflow, match="declare it with"):
        Workflows(Runtime(), [print])  # on purpose
    with pytest.raises(InvalidOption, match="two workflows"):
        Workflows(Runtime(), [Shop().line(), Shop().line()])


async def test_a_state_is_told_while_it_runs() -> None:
    line = Shop().line(Shop().step("slow", seconds=5))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(line, id="1")
        await anyio.sleep(1)
        status = await handle.status()
        assert (status.state, status.in_hand, status.workflow) == (RunState.RUNNING, True, "line")
        assert [each.id for each in await workflows.list("line", ["running"])] == ["1"]
        await handle.result()


async def test_who_waits_for_a_run_that_never_began_is_told_when_the_block_is_left() -> None:
    shop = Shop()
    line = shop.line(shop.step("only"))
    told: list[str] = []
    async with Runtime() as runtime, anyio.create_task_group() as tasks, Workflows(runtime) as workflows:
        handle = await workflows.start(line, delay=1000)

        async def wait() -> None:
            try:
                await handle.result()
            except WorkflowsClosed as error:
                told.append(error.state)

        tasks.start_soon(wait)
        await anyio.sleep(1)
    assert told == ["over"]
    assert not shop.log


async def test_leaving_on_local_cancels_what_still_waits_for_room() -> None:
    shop = Shop()
    slow = shop.step("slow", seconds=100)

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(slow)

    async with Runtime() as runtime:
        async with Workflows(runtime, capacity=1, drain_within=1) as workflows:
            handles = [await workflows.start(order) for _ in range(3)]
            await anyio.sleep(1)
        for handle in handles:
            with pytest.raises(WorkflowCancelled):
                await handle.result()
    assert shop.log == ["slow", "-slow"]


async def test_a_signal_right_after_the_start_is_not_missed() -> None:
    @workflow
    async def order(flow: Flow) -> Any:
        return await flow.wait_for("payment", within=60)

    async with Runtime() as runtime, Workflows(runtime, [order]) as workflows:
        await anyio.sleep(1)
        for number in range(20):
            handle = await workflows.start(order, id=str(number))
            await workflows.signal(str(number), "payment", number)
            assert await handle.result() == number


async def test_a_cancellation_right_after_the_start_is_not_missed() -> None:
    shop = Shop()
    line = shop.line(shop.step("slow", seconds=1000))
    async with Runtime() as runtime, Workflows(runtime, [line]) as workflows:
        await anyio.sleep(1)
        began = anyio.current_time()
        for _ in range(20):
            handle = await workflows.start(line)
            await handle.cancel()
            with pytest.raises(WorkflowCancelled):
                await handle.result()
        assert anyio.current_time() - began < 1000


async def test_an_id_that_was_forgotten_is_a_new_run_also_where_somebody_still_has_its_handle() -> None:
    shop = Shop()
    line = shop.line(shop.step("only", act=lambda context: len(shop.log)))
    async with Runtime() as runtime, Workflows(runtime, [line], keep=10) as workflows:
        handle = await workflows.start(line, id="1")
        assert await handle.result() == [1]
        await anyio.sleep(20)
        assert await workflows.run(line, id="1") == [2]
        assert await handle.result() == [2]


async def test_a_group_of_errors_is_told_by_what_is_in_it() -> None:
    @workflow
    async def broken(flow: Flow) -> None:
        raise ExceptionGroup("several", [ValueError("one"), ExceptionGroup("inner", [KeyError("two")])])

    async with Runtime() as runtime, Workflows(runtime, [broken]) as workflows:
        with pytest.raises(WorkflowFailed, match=r"ValueError: one; KeyError: 'two'"):
            await workflows.run(broken)


@pytest.mark.parametrize("capacity", [1, 2, 3])
async def test_runs_of_many_workflows_get_few_places_all_in_the_end(capacity: int) -> None:
    shop = Shop()
    slow = shop.step("slow", seconds=5)

    def one(name: str) -> Workflow[str]:
        @workflow(name=name)
        async def run(flow: Flow) -> str:
            await flow.run(slow)
            return name

        return run

    known = [one(f"w{number}") for number in range(7)]
    async with Runtime() as runtime, Workflows(runtime, known, capacity=capacity) as workflows:
        with anyio.fail_after(100):
            handles = [await workflows.start(each) for each in (*known[:1] * 3, known[5], known[3])]
            assert [await each.result() for each in handles] == ["w0", "w0", "w0", "w5", "w3"]
            await anyio.sleep(1)
            handles = [await workflows.start(each) for each in (known[6], known[2], known[6])]
            assert [await each.result() for each in handles] == ["w6", "w2", "w6"]

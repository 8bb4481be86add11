"""What is declared: steps and workflows as they show themselves, and what is refused when they are made."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from postroom import (
    Event,
    Flow,
    InvalidOption,
    Retry,
    Runtime,
    StepContext,
    WorkflowFailed,
    Workflows,
    constant,
    emit_event,
    step,
    subscriber,
    workflow,
)
from postroom.workflows import InvalidWorkflow, WorkflowsClosed
from tests.workflows.shop import Shop


class Odd:
    """A callable whose parameters can't be read."""

    @property
    def __signature__(self) -> Any:
        raise LookupError

    async def __call__(self, flow: Flow) -> None: ...


class Nameless:
    """A callable without a name."""

    async def __call__(self, flow: Flow) -> None: ...


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: step(retry=3)(print), "must be a `Retry"),  # type: ignore[call-overload]
        (lambda: step(step(print)), "declared from a function"),
        (lambda: step(Nameless()), "it has no name; pass `name=`"),
        (lambda: step(name="odd")(Odd()), r"its parameters can't be read \(LookupError\)"),
        (lambda: workflow(name="odd")(Odd()), r"its parameters can't be read \(LookupError\)"),
    ],
)
def test_what_cannot_be_declared_is_refused_with_the_reason(declare: Callable[[], object], message: str) -> None:
    with pytest.raises((InvalidWorkflow, InvalidOption), match=message):
        declare()


def test_a_step_can_be_called_as_the_function_that_it_is_and_shows_its_name() -> None:
    @step(name="double")
    def twice(number: int) -> int:
        return 2 * number

    @workflow(name="order")
    async def place(flow: Flow) -> None: ...

    assert twice(3) == 6
    assert (repr(twice), repr(place)) == ("<Step double>", "<Workflow order>")
    assert repr(Workflows(Runtime(), [place])) == "<Workflows: order; not entered yet>"
    assert repr(Workflows(Runtime())) == "<Workflows: none; not entered yet>"
    with pytest.raises(InvalidOption, match="must be the `Runtime`"):
        Workflows("postroom")  # type: ignore[arg-type]


async def test_a_step_is_undone_by_another_step_with_that_ones_policies() -> None:
    log: list[str] = []

    @step(retry=Retry(attempts=3, backoff=constant(1)), timeout=5)
    async def refund(paid: str) -> None:
        log.append(f"refund {paid}")
        if len(log) < 4:
            await anyio.sleep(10 if len(log) == 2 else 0)
            raise LookupError

    @step(compensate=refund)
    async def pay() -> str:
        log.append("pay")
        return "30"

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(pay)
        raise LookupError("no")

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.run(order)
    assert log == ["pay", *["refund 30"] * 3]


async def test_hints_that_exist_for_type_checkers_only_ask_for_nothing() -> None:
    async def count(number: "Elsewhere") -> "Elsewhere":  # type: ignore[name-defined]  # noqa: F821 - that is the point
        return number

    line = Shop().line(step(name="count")(lambda: 1))

    @workflow
    async def order(flow: Flow) -> Any:
        return await flow.run(step(count), 5)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        assert await workflows.run(order) == 5
        assert await workflows.run(line) == [1]


async def test_what_is_no_step_is_not_run_and_what_shows_a_run_names_it() -> None:
    seen: list[str] = []

    @step
    async def look(context: Any) -> None:
        seen.append(repr(context))

    @workflow(name="order")
    async def order(flow: Flow) -> None:
        seen.append(repr(flow))
        await flow.run(look)
        await flow.run(print)  # type: ignore[call-overload]

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(order, id="7")
        with pytest.raises(WorkflowFailed, match="declared with `@step` or `@workflow`"):
            await handle.result()
    assert repr(handle) == "<WorkflowHandle '7'>"
    assert seen == ["<Flow of order '7'>", "<StepContext of look#0 in order '7': attempt 1>"]


async def test_a_key_that_cannot_stand_in_a_path_is_refused() -> None:
    line = Shop().step("only")

    @workflow
    async def order(flow: Flow, key: str) -> None:
        await flow.run(line, key=key)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        for key in ("a/b", "", "[", "x" * 101):
            with pytest.raises(WorkflowFailed, match="without `/`"):
                await workflows.run(order, key)


async def test_one_name_stands_for_one_workflow_and_one_schedule() -> None:
    shop = Shop()
    line = shop.line()
    async with Runtime() as runtime, Workflows(runtime, [line]) as workflows:
        with pytest.raises(InvalidOption, match="is the name of another workflow here"):
            await workflows.run(shop.line())
        first = workflows.schedule(line, every=60)
        with pytest.raises(InvalidOption, match="is the name of another schedule"):
            workflows.schedule(line, every=60)
        first.stop()
        workflows.schedule(line, every=60)
        for options in ({}, {"cron": "* * * * *", "every": 60}):
            with pytest.raises(InvalidOption, match="give either `cron=` or `every=`"):
                workflows.schedule(line, name="other", **options)  # type: ignore[arg-type]
        with pytest.raises(InvalidOption, match="must hold states only"):
            await workflows.list(states=["nonsense"])


async def test_a_schedule_for_days_that_never_come_is_over_at_once() -> None:
    shop = Shop()
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        schedule = workflows.schedule(shop.line(shop.step("only")), cron="0 0 */28 2 1#2")
        await anyio.sleep(1)
        assert schedule.stopped
    assert not shop.log


async def test_a_run_that_a_handler_starts_is_caused_by_what_the_handler_has() -> None:
    seen: list[Event] = []

    @workflow
    async def order(flow: Flow) -> None:
        await flow.emit("placed", id="chosen")

    @subscriber("asked")
    async def starts(event: Event) -> None:
        await workflows.start(order)

    @subscriber("placed")
    async def hears(event: Event) -> None:
        seen.append(event)

    async with Runtime(subscribers=[starts, hears]) as runtime, Workflows(runtime) as workflows, Workflows(runtime):
        await runtime.emit_and_wait("asked")
        await anyio.sleep(1)
    assert seen[0].id == "chosen"
    assert seen[0].origin.trail == ("asked", "order")


async def test_an_event_in_a_workflow_is_in_no_other_group() -> None:
    @workflow
    async def order(flow: Flow) -> None:
        await flow.emit("placed", group="others")

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowFailed, match="an event in a workflow waits for the end of its run"):
            await workflows.run(order)


async def test_what_a_step_would_emit_after_its_end_is_refused() -> None:
    contexts: list[StepContext] = []

    @step
    async def pay(context: StepContext) -> None:
        contexts.append(context)

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(pay)

    async with Runtime() as runtime, Workflows(runtime) as workflows:
        await workflows.run(order)
        with pytest.raises(WorkflowsClosed, match="the step that emits is over"):
            await contexts[0].emit("paid")


async def test_the_emit_step_takes_an_async_function() -> None:
    seen: list[object] = []

    async def data(context: StepContext) -> dict[str, int]:
        return {"attempt": context.attempt}

    @subscriber("paid")
    async def hears(event: Event) -> None:
        seen.append(event.data)

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(emit_event, "paid", data)

    async with Runtime(subscribers=[hears]) as runtime, Workflows(runtime) as workflows:
        await workflows.run(order)
        await runtime.idle()
    assert seen == [{"attempt": 1}]

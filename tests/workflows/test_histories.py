"""Recorded histories: written as lines, read again, and code run against them without effects."""

from contextlib import suppress
from typing import Any

import anyio
import attrs
import pytest

from postroom import (
    Flow,
    InvalidOption,
    PermanentFailure,
    Runtime,
    StepContext,
    Workflow,
    WorkflowFailed,
    Workflows,
    emit_event,
    step,
    workflow,
)
from postroom.workflows import Replayed, RunHistory, UnknownRun, WorkflowCancelled, replay_history
from tests.workflows.shop import Shop


@attrs.frozen
class Order:
    cds: int


def line_of(shop: Shop, *names: str, name: str = "line") -> Workflow[Any]:
    steps = [shop.step(each) for each in names]

    @workflow(name=name)
    async def line(flow: Flow) -> list[Any]:
        return [await flow.run(each) for each in steps]

    return line


async def recorded(known: Workflow[Any], input: Any = None, **options: Any) -> RunHistory:
    async with Runtime() as runtime, Workflows(runtime, [known], **options) as workflows:
        with suppress(WorkflowFailed, WorkflowCancelled):
            await workflows.run(known, input, id="1")
        return await workflows.export("1")


async def test_code_that_has_not_changed_fits_and_does_nothing() -> None:
    shop = Shop()
    known = line_of(shop, "a", "b")
    history = await recorded(known)
    shop.log.clear()
    assert await replay_history(known, history) == Replayed(id="1", workflow="line", fits=True)
    assert shop.log == []


async def test_a_line_holds_all_of_a_history() -> None:
    history = await recorded(line_of(Shop(), "a", "b"))
    line = history.line()
    assert "\n" not in line
    assert RunHistory.of_line(line) == history


async def test_a_step_in_another_place_is_told_with_a_diff() -> None:
    shop = Shop()
    history = await recorded(line_of(shop, "a", "b", "c"))
    found = await replay_history(line_of(shop, "a", "c", "b"), history)
    assert not found.fits
    assert (found.journal, found.code) == ("step b#0, which finished, next", "asks for step c#0")
    assert found.diff == ("  a#0 (finished)", "- b#0 (finished)", "  c#0 (finished)")


async def test_a_step_more_is_told() -> None:
    shop = Shop()
    history = await recorded(line_of(shop, "a"))
    found = await replay_history(line_of(shop, "a", "b"), history)
    assert (found.journal, found.code) == ("the end, a success,", "asks for step b#0")
    assert found.diff == ("  a#0 (finished)", "+ b#0")
    assert "b" not in shop.log


async def test_a_step_less_is_told() -> None:
    shop = Shop()
    history = await recorded(line_of(shop, "a", "b"))
    found = await replay_history(line_of(shop, "a"), history)
    assert (found.journal, found.code) == ("step b#0, which finished,", "ends without asking for it")
    assert found.diff == ("  a#0 (finished)", "- b#0 (finished)")


async def test_another_result_is_told() -> None:
    @step
    async def count(order: Order) -> int:
        return order.cds

    def counting(more: int) -> Workflow[int]:
        @workflow(name="counting")
        async def counted(flow: Flow, order: Order) -> int:
            return more + await flow.run(count, order)

        return counted

    history = await recorded(counting(0), Order(3))
    assert (await replay_history(counting(0), history)).fits
    found = await replay_history(counting(1), history)
    assert (found.journal, found.code) == ("the end, with b'3',", "returns b'4'")


async def test_a_failure_fits_where_the_code_fails_by_the_same_step() -> None:
    shop = Shop(failing={"pay": 1})

    def failing(*, catches: bool) -> Workflow[None]:
        reserve, pay = shop.step("reserve"), shop.step("pay", permanent=True)

        @workflow(name="failing")
        async def order(flow: Flow) -> None:
            await flow.run(reserve)
            try:
                await flow.run(pay)
            except Exception:
                if not catches:
                    raise

        return order

    history = await recorded(failing(catches=False))
    assert history.state == "failed"
    shop.log.clear()
    assert (await replay_history(failing(catches=False), history)).fits
    found = await replay_history(failing(catches=True), history)
    assert (found.journal, found.code) == ("the end, a failure of step pay#0,", "goes on")
    assert shop.log == []


async def test_waits_signals_times_and_nested_workflows_fit_long_after_their_deadlines() -> None:
    shop = Shop()
    inner_step = shop.step("inner")

    @workflow(timeout=5)
    async def inner(flow: Flow) -> None:
        await flow.run(inner_step)

    @workflow
    async def patient(flow: Flow, order: Order) -> str:
        began = flow.now()
        await flow.run(inner)
        await flow.sleep(10)
        paid = await flow.wait_for("paid", within=50)
        await flow.run(emit_event, "order.placed", {"cds": order.cds})
        async with flow.together() as together:
            together.run(inner_step)
            together.run(inner_step)
        return f"{paid} {began:%Y} {flow.uuid()}"

    async with Runtime() as runtime, Workflows(runtime, [patient]) as workflows:
        handle = await workflows.start(patient, Order(2), id="1")
        await anyio.sleep(20)
        half_way = await workflows.export("1")
        await workflows.signal("1", "paid", "cash")
        await handle.result()
        history = await workflows.export("1")
    await anyio.sleep(1000)
    for each in (half_way, history):
        assert (await replay_history(patient, each)).fits
    assert shop.log == ["inner", "inner", "inner"]


async def test_a_run_that_was_cancelled_fits_as_far_as_it_came() -> None:
    shop = Shop()
    known = shop.line(shop.step("a"), shop.step("slow", seconds=100))
    async with Runtime() as runtime, Workflows(runtime, [known]) as workflows:
        handle = await workflows.start(known, id="1")
        await anyio.sleep(1)
        await handle.cancel()
        with pytest.raises(WorkflowCancelled):
            await handle.result()
        history = await workflows.export("1")
    assert (await replay_history(known, history)).fits


async def test_a_result_that_can_not_be_read_any_more_is_told() -> None:
    def making(kind: type) -> Workflow[None]:
        async def make() -> Any:
            return "three"

        make.__annotations__["return"] = kind
        made: Any = step(make)

        @workflow(name="making")
        async def making(flow: Flow) -> None:
            await flow.run(made)

        return making

    history = await recorded(making(str))
    found = await replay_history(making(int), history)
    assert not found.fits
    assert "can't read what it returned" in found.code


async def test_a_history_of_another_workflow_is_refused() -> None:
    history = await recorded(line_of(Shop(), "a"))
    with pytest.raises(InvalidOption, match="is a run of another workflow than other"):
        await replay_history(line_of(Shop(), "a", name="other"), history)


@pytest.mark.parametrize("line", ["", "{}", "[1]", "\x1b[2J", '{"format": 1}', b"\xff\xfe"])
async def test_a_line_that_holds_no_history_is_refused(line: str | bytes) -> None:
    with pytest.raises(InvalidOption, match="holds no history"):
        RunHistory.of_line(line)


async def test_a_line_of_a_newer_release_is_refused() -> None:
    line = (await recorded(line_of(Shop(), "a"))).line().replace('"format":1', '"format":2')
    with pytest.raises(InvalidOption, match="has format 2"):
        RunHistory.of_line(line)


async def test_what_is_not_remembered_can_not_be_exported() -> None:
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(UnknownRun):
            await workflows.export("nobody")


async def test_a_block_that_knows_no_workflow_ends_at_once() -> None:
    began = anyio.current_time()
    async with Runtime() as runtime, Workflows(runtime):
        pass
    assert anyio.current_time() == began


async def test_what_a_step_of_the_code_would_do_is_not_done() -> None:
    async def do(context: StepContext) -> None:
        raise PermanentFailure("it was run")

    known = line_of(Shop(), "a")
    history = await recorded(known)
    done: Any = step(name="b")(do)

    @workflow(name="line")
    async def longer(flow: Flow) -> None:
        await flow.run(done)

    assert not (await replay_history(longer, history)).fits

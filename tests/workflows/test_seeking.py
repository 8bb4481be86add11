"""Runs whose code only runs to find what they did, so that it can be undone: all of it is found, whatever comes."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from postroom import Flow, Retry, Runtime, Step, Workflow, WorkflowCancelled, WorkflowFailed, Workflows, workflow
from postroom.workflows import UnknownRun, WorkflowNeedsAttention, WorkflowParked
from postroom.workflows.records import Kind
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop
from tests.workflows.test_resting import running
from tests.workflows.test_signals import UNREADABLE


def with_a_pause(first: Step[Any], *others: Step[Any]) -> Workflow[None]:
    """Steps with a pause of the code's own after the first one, which is made again while they are sought."""

    @workflow(name="paused")
    async def paused(flow: Flow) -> None:
        await flow.run(first)
        await anyio.sleep(5)
        for each in others:
            await flow.run(each)

    return paused


async def in_its_pause(workflows: Workflows) -> None:
    """Wait until a block has taken up its run, and that is in the pause."""
    await running(workflows)
    await anyio.sleep(2)


async def test_a_run_that_was_cancelled_is_undone_whole_though_a_signal_comes_meanwhile() -> None:
    shop, processes = Shop(), Processes()
    known = with_a_pause(shop.step("first"), shop.step("second"), shop.step("slow", seconds=100))
    await processes.killed_after(10, known, id="1")
    async with processes.one() as elsewhere:
        await elsewhere.cancel("1")
    async with processes.one(known) as workflows:
        await in_its_pause(workflows)
        await workflows.signal("1", "go")
        with pytest.raises(WorkflowCancelled):
            await workflows.handle("1").result()
    assert shop.log == ["first", "second", "slow", "-slow", "-second", "-first"]


async def test_a_run_that_has_failed_is_undone_whole_though_it_is_cancelled_meanwhile() -> None:
    shop, processes = Shop(failing={"bad": 1}), Processes()

    async def slowly(result: object) -> None:
        shop.log.append("-second")
        await anyio.sleep(100)
        shop.log.append("-second+")

    bad = shop.step("bad", permanent=True, undo=False)
    known = with_a_pause(shop.step("first"), shop.step("second", compensate=slowly), bad)
    await processes.killed_after(10, known, id="1")
    async with processes.one(known) as workflows:
        await in_its_pause(workflows)
        await workflows.cancel("1")
        with pytest.raises(WorkflowFailed):
            await workflows.handle("1").result()
    assert shop.log == ["first", "second", "bad", "-second", "-second", "-second+", "-first"]


async def test_a_run_is_undone_whole_though_its_block_is_left_meanwhile() -> None:
    shop = Shop()
    known = with_a_pause(shop.step("first"), shop.step("second"))
    async with Runtime() as runtime, Workflows(runtime, [known], drain_within=0) as workflows:
        await workflows.run(known, id="1")
        await workflows.cancel("1")
        await in_its_pause(workflows)
    assert shop.log == ["first", "second", "-second", "-first"]


async def test_a_run_that_is_cancelled_right_before_its_block_is_left_is_undone() -> None:
    shop = Shop()
    known = shop.line(shop.step("first"), shop.step("second"))
    async with Runtime() as runtime:
        async with Workflows(runtime, [known], drain_within=0) as workflows:
            await workflows.run(known, id="1")
            await workflows.cancel("1")
        async with Workflows(runtime, [known]) as workflows:
            with pytest.raises(WorkflowCancelled):
                await workflows.handle("1").result()
    assert shop.log == ["first", "second", "-second", "-first"]


async def test_a_run_that_is_resumed_right_before_its_block_is_left_is_undone() -> None:
    shop = Shop(failing={"bad": 1, "-first": 1})
    bad = shop.step("bad", permanent=True, undo=False)
    known = shop.line(shop.step("first", compensate_retry=Retry(attempts=1)), bad)
    async with Runtime() as runtime:
        async with Workflows(runtime, [known], drain_within=0) as workflows:
            with pytest.raises(WorkflowNeedsAttention):
                await workflows.run(known, id="1")
            await workflows.resume("1")
        async with Workflows(runtime, [known]) as workflows:
            with pytest.raises(WorkflowFailed):
                await workflows.handle("1").result()
    assert shop.log == ["first", "bad", "-first", "-first"]


def that_stops(shop: Shop, happen: list[Callable[[], None]], **options: Any) -> Workflow[list[Any]]:
    """A workflow with a step during whose cancellation something happens."""

    async def act(context: object) -> None:
        try:
            await anyio.sleep(1000)
        finally:
            for each in happen:
                each()

    return shop.line(shop.step("first"), shop.step("slow", act=act), **options)


@pytest.mark.parametrize("limit", [None, 200])
async def test_a_run_that_is_forgotten_while_it_stops_ends_its_handle(limit: float | None) -> None:
    """Another process had taken it for dead, and ended it."""
    shop, processes, happen = Shop(), Processes(), list[Callable[[], None]]()
    known = that_stops(shop, happen, timeout=limit)
    await processes.killed_after(1, known, id="1")
    async with processes.one(known) as workflows:
        await running(workflows)
        happen.append(lambda: processes.store.journal.runs.clear())
        if limit is None:
            await workflows.cancel("1")
        with pytest.raises(UnknownRun), anyio.fail_after(300):
            await workflows.handle("1").result()
    assert shop.log == ["first", "slow", "slow"]


@pytest.mark.parametrize(("limit", "ends_with"), [(None, WorkflowCancelled), (200, WorkflowFailed)])
async def test_a_run_whose_journal_cannot_be_read_any_more_when_it_stops_is_undone_once_it_can(
    limit: float | None, ends_with: type[Exception]
) -> None:
    shop, processes, happen = Shop(), Processes(), list[Callable[[], None]]()
    known = that_stops(shop, happen, timeout=limit)
    await processes.killed_after(1, known, id="1")
    entries = processes.store.journal.runs["1"].entries
    async with processes.one(known) as workflows:
        await running(workflows)
        happen.append(lambda: entries.update({(Kind.SIGNAL, "go"): UNREADABLE}))
        if limit is None:
            await workflows.cancel("1")
        with pytest.raises(WorkflowParked, match="can't read that"), anyio.fail_after(300):
            await workflows.handle("1").result()
        assert shop.log == ["first", "slow", "slow"]
        happen.clear()
        del entries[Kind.SIGNAL, "go"]
        await workflows.resume("1")
        with pytest.raises(ends_with), anyio.fail_after(300):
            await workflows.handle("1").result()
    assert shop.log == ["first", "slow", "slow", "-slow", "-first"]


async def test_a_step_that_has_surely_not_begun_is_not_undone_beside_one_that_was_interrupted() -> None:
    shop, processes = Shop(), Processes()
    known = with_a_wait(shop)
    async with processes.one(known, drain_within=0) as workflows:
        await workflows.start(known, id="1")
        await anyio.sleep(1)
    async with processes.one() as elsewhere:
        await elsewhere.signal("1", "go")
        await elsewhere.cancel("1")
    async with processes.one(known) as workflows:
        with pytest.raises(WorkflowCancelled):
            await workflows.handle("1").result()
    assert shop.log == ["slow", "-slow"]


def with_a_wait(shop: Shop) -> Workflow[None]:
    """A slow step, and beside it one that waits for a signal first."""
    slow, waits = shop.step("slow", seconds=100), shop.step("waits")

    @workflow(name="beside")
    async def beside(flow: Flow) -> None:
        async def waiting() -> None:
            await flow.wait_for("go")
            await flow.run(waits, key="waits")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting)
            await flow.run(slow, key="slow")

    return beside

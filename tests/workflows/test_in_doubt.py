"""A step that was interrupted with its process may have happened: where its run does not go on, it is undone."""

from typing import Any

import anyio
import pytest

from postroom import Flow, Workflow, WorkflowCancelled, WorkflowFailed, workflow
from postroom.workflows import RunState, WorkflowParked
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop


async def cancelled_in_between(processes: Processes, known: Workflow[Any]) -> None:
    """The run is cancelled while nobody has it; another process undoes it."""
    async with processes.one() as workflows:
        await workflows.cancel("1")
    await undone(processes, known)


async def undone(processes: Processes, known: Workflow[Any]) -> None:
    async with processes.one(known) as workflows:
        with pytest.raises(WorkflowCancelled):
            await workflows.handle("1").result()


async def test_a_step_that_was_interrupted_by_a_kill_is_undone_where_its_run_was_cancelled_meanwhile() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("first", returns=1), shop.step("slow", seconds=100), shop.step("never"))
    await processes.killed_after(1, line, id="1")
    await cancelled_in_between(processes, line)
    assert shop.log == ["first", "slow", "-slow", "-first"]
    assert shop.undone_with == {"first": 1, "slow": None}


async def test_that_it_was_undone_is_in_the_history() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("slow", seconds=100))
    await processes.killed_after(1, line, id="1")
    await cancelled_in_between(processes, line)
    async with processes.one(line) as workflows:
        history = [(each.kind, each.step) for each in await workflows.history("1")]
    assert history == [("interrupted", "slow#0"), ("undone", "slow#0")]


async def test_so_are_steps_that_ran_side_by_side() -> None:
    shop, processes = Shop(), Processes()
    quick, slow, slower = shop.step("quick"), shop.step("slow", seconds=50), shop.step("slower", seconds=60)

    @workflow(name="beside")
    async def beside(flow: Flow) -> None:
        async with flow.together() as together:
            for each in (quick, slow, slower):
                together.run(each)

    await processes.killed_after(1, beside, id="1")
    await cancelled_in_between(processes, beside)
    assert sorted(shop.log[:3]) == ["quick", "slow", "slower"]
    assert sorted(shop.log[3:5]) == ["-slow", "-slower"]
    assert shop.log[5:] == ["-quick"]


async def test_and_one_in_a_nested_workflow() -> None:
    shop, processes = Shop(), Processes()
    inner = shop.line(shop.step("first"), shop.step("slow", seconds=100))

    @workflow
    async def outer(flow: Flow) -> None:
        await flow.run(inner)

    await processes.killed_after(1, outer, id="1")
    await cancelled_in_between(processes, outer)
    assert shop.log == ["first", "slow", "-slow", "-first"]


async def test_a_step_whose_process_left_well_is_undone_too() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("first"), shop.step("slow", seconds=100))
    async with processes.one(line, drain_within=1) as workflows:
        await workflows.start(line, id="1")
        await anyio.sleep(1)
    await cancelled_in_between(processes, line)
    assert shop.log == ["first", "slow", "-slow", "-first"]


async def test_what_surely_has_not_begun_is_not_undone() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("first"))
    async with processes.one() as workflows:
        await workflows.start(line, id="1", delay=1000)
        await workflows.cancel("1")
    await undone(processes, line)
    assert shop.log == []


@pytest.mark.parametrize("how", ["sleep", "wait_for", "deadline"])
async def test_nor_what_comes_after_a_wait_that_was_not_over(how: str) -> None:
    shop, processes = Shop(), Processes()
    first, last = shop.step("first"), shop.step("last")

    @workflow
    async def patient(flow: Flow) -> None:
        await flow.run(first)
        if how == "sleep":
            await flow.sleep(1000)
        else:
            await flow.wait_for("go", within=None if how == "wait_for" else 10)
        await flow.run(last)

    await processes.killed_after(1, patient, id="1")
    await anyio.sleep(100)
    await cancelled_in_between(processes, patient)
    assert shop.log == ["first", "-first"]


async def test_it_is_undone_once_where_whoever_undoes_it_is_killed_as_well() -> None:
    shop, processes = Shop(), Processes()

    async def slowly(done: object) -> None:
        shop.log.append("-slow")
        await anyio.sleep(5)
        shop.log.append("-slow+")

    line = shop.line(shop.step("first"), shop.step("slow", seconds=100, compensate=slowly))
    await processes.killed_after(1, line, id="1")
    async with processes.one() as workflows:
        await workflows.cancel("1")
    await processes.killed_after(20, line, id="1")
    await undone(processes, line)
    assert shop.log[:2] == ["first", "slow"]
    assert shop.log[-2:] == ["-slow+", "-first"]


async def test_one_whose_time_was_over_meanwhile_is_undone() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("slow", seconds=100), timeout=50)
    await processes.killed_after(1, line, id="1")
    await anyio.sleep(100)
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowFailed, match="took longer than 50 s"):
            await workflows.handle("1").result()
    assert shop.log == ["slow", "-slow"]


async def test_the_step_that_has_killed_its_processes_is_undone_when_its_run_is_given_up() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("first"), shop.step("deadly", seconds=10))
    for _ in range(4):
        await processes.killed_after(1, line, id="1")
        await anyio.sleep(60)
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowFailed, match="LostTooOften"):
            await workflows.handle("1").result()
    assert shop.log == ["first", *["deadly"] * 4, "-deadly", "-first"]


async def test_one_that_was_parked_after_a_kill_is_undone_when_it_is_cancelled() -> None:
    shop, processes = Shop(), Processes()
    first, other, slow = shop.step("first"), shop.step("other"), shop.step("slow", seconds=100)
    line = shop.line(first, slow)
    await processes.killed_after(1, line, id="1")
    await parked(processes, shop.line(other, slow))
    async with processes.one() as workflows:
        await workflows.cancel("1")
    await undone(processes, line)
    assert shop.log == ["first", "slow", "-slow", "-first"]


async def test_and_goes_on_when_it_is_resumed() -> None:
    shop, processes = Shop(), Processes()
    first, other, slow = shop.step("first"), shop.step("other"), shop.step("slow", seconds=100)
    await processes.killed_after(1, shop.line(first, slow), id="1")
    await parked(processes, shop.line(other, slow))
    async with processes.one(shop.line(first, slow)) as workflows:
        await workflows.resume("1")
        await workflows.handle("1").result()
    assert shop.log == ["first", "slow", "slow", "slow+"]


async def parked(processes: Processes, changed: Workflow[Any]) -> None:
    async with processes.one(changed) as workflows:
        with pytest.raises(WorkflowParked):
            await workflows.handle("1").result()
        assert (await workflows.status("1")).state is RunState.PARKED


async def test_a_cancellation_while_it_is_taken_up_undoes_it() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("first"), shop.step("slow", seconds=100))
    await processes.killed_after(1, line, id="1")
    async with processes.one(line) as workflows:
        await anyio.sleep(20)
        await workflows.cancel("1")
        with pytest.raises(WorkflowCancelled):
            await workflows.handle("1").result()
    assert shop.log == ["first", "slow", "slow", "-slow", "-first"]

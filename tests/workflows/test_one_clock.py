"""Times of a run are those of its store, whatever the clocks of its processes say; what is on record was in time."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import pytest

from postroom import Flow, Runtime, StepFailed, Workflow, WorkflowFailed, Workflows, workflow
from postroom.testing.reference import ReferenceModule
from postroom.workflows import NotSignalled
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop


@attrs.frozen
class Wrong:
    """A clock that is ahead of the machine's, or behind it."""

    ahead: float

    def time(self) -> float:
        return time.time() + self.ahead


@asynccontextmanager
async def wrong(processes: Processes, ahead: float, *known: Workflow[Any], **options: Any) -> AsyncIterator[Workflows]:
    module = ReferenceModule(processes.store)
    async with Runtime(module=module, clock=Wrong(ahead)) as runtime, Workflows(runtime, known, **options) as workflows:
        yield workflows


both_ways = pytest.mark.parametrize("ahead", [-86_400.0, 86_400.0])


@both_ways
async def test_the_time_of_a_workflow_is_measured_by_the_stores_clock(ahead: float) -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("slow", seconds=100), timeout=50)
    async with wrong(processes, ahead, line) as workflows:
        began = anyio.current_time()
        with pytest.raises(WorkflowFailed, match="took longer than 50 s"):
            await workflows.run(line)
        assert anyio.current_time() - began == pytest.approx(50, abs=1)


@both_ways
@pytest.mark.parametrize("what", ["sleep", "wait", "nested"])
async def test_so_are_sleeps_and_deadlines_in_a_process_with_another_clock(what: str, ahead: float) -> None:
    processes = Processes()

    @workflow(timeout=100)
    async def inner(flow: Flow) -> None:
        await flow.wait_for("never")

    @workflow
    async def patient(flow: Flow) -> str:
        try:
            if what == "sleep":
                await flow.sleep(100)
            elif what == "wait":
                await flow.wait_for("never", within=100)
            else:
                await flow.run(inner)
        except (NotSignalled, StepFailed):
            pass
        return "done"

    began = anyio.current_time()
    await processes.killed_after(1, patient, id="1")
    async with wrong(processes, ahead, patient) as workflows:
        assert await workflows.handle("1").result() == "done"
    assert anyio.current_time() - began == pytest.approx(100, abs=2)


async def test_a_nested_workflow_that_had_finished_in_time_is_not_late_when_it_is_replayed() -> None:
    shop, processes = Shop(), Processes()
    inner = shop.line(shop.step("quick", returns="in time"), timeout=30)
    slow = shop.step("slow", seconds=100)

    @workflow
    async def outer(flow: Flow) -> Any:
        try:
            found = await flow.run(inner)
        except StepFailed:
            return "late"
        await flow.run(slow)
        return found

    await processes.killed_after(20, outer, id="1")
    await anyio.sleep(100)
    async with processes.one(outer) as workflows:
        assert await workflows.handle("1").result() == ["in time"]
    assert shop.log == ["quick", "slow", "slow", "slow+"]


async def test_nor_is_it_made_late_by_another_one_beside_it_that_goes_on() -> None:
    shop, processes = Shop(), Processes()
    quick = [shop.step(f"quick-{number}") for number in range(5)]
    in_time, slow = shop.line(*quick, timeout=30), shop.step("slow", seconds=100)

    @workflow(timeout=1000)
    async def patient(flow: Flow) -> None:
        await flow.run(slow)

    @workflow
    async def outer(flow: Flow) -> None:
        async with flow.together() as together:
            together.run(patient)
            together.run(in_time)

    await processes.killed_after(20, outer, id="1")
    await anyio.sleep(100)
    async with processes.one(outer) as workflows:
        await workflows.handle("1").result()
    assert sorted(shop.log) == [*(f"quick-{number}" for number in range(5)), "slow", "slow", "slow+"]


async def test_one_whose_time_is_over_meanwhile_begins_nothing_more() -> None:
    shop, processes = Shop(), Processes()
    inner = shop.line(shop.step("quick"), shop.step("slow", seconds=25), timeout=30)

    @workflow
    async def outer(flow: Flow) -> str:
        try:
            await flow.run(inner)
        except StepFailed as error:
            return error.type
        return "in time"

    await processes.killed_after(20, outer, id="1")
    await anyio.sleep(100)
    async with processes.one(outer) as workflows:
        assert "WorkflowTimeout" in await workflows.handle("1").result()
    assert shop.log[:2] == ["quick", "slow"]
    assert shop.log[-1] == "-quick"
    assert shop.log.count("slow") == 1


@pytest.mark.parametrize("ends_with", ["sleep", "wait", "step"])
async def test_one_that_was_late_is_late_again_when_it_is_replayed(ends_with: str) -> None:
    shop, processes = Shop(), Processes()
    slow = shop.step("slow", seconds=1000)

    @workflow(timeout=30)
    async def inner(flow: Flow) -> None:
        if ends_with == "sleep":
            await flow.sleep(60)
        elif ends_with == "wait":
            await flow.wait_for("go")
        else:
            await flow.run(slow)

    @workflow
    async def outer(flow: Flow) -> str:
        try:
            await flow.run(inner)
        except StepFailed:
            await flow.sleep(100)
            return "late"
        return "in time"

    await processes.killed_after(50, outer, id="1")
    await anyio.sleep(50)
    async with processes.one(outer) as workflows:
        with anyio.fail_after(100):
            if ends_with == "wait":
                await workflows.signal("1", "go")
            assert await workflows.handle("1").result() == "late"
    assert shop.log.count("slow") == (ends_with == "step")

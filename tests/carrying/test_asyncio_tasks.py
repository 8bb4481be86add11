"""What only asyncio knows: a cancellation of a task that serves a store, that no scope has asked for."""

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from postroom import Event, Runtime, UnknownResult, subscriber
from postroom.testing import virtual_backend
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.reference import ReferenceModule

TASKS = ("publisher", "fetcher", "settler", "news")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend("asyncio")


def cancel(task: str) -> None:
    """Cancel a task of the runtime's own, as whoever cancels all that there are."""
    (found,) = [each for each in asyncio.all_tasks() if each.get_name() == f"postroom {task}"]
    found.cancel()


@subscriber("n")
async def work(event: Event) -> str:
    return "done"


@pytest.mark.parametrize("task", TASKS)
async def test_cancelling_a_task_that_has_nothing_to_do_does_not_end_it(task: str) -> None:
    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        await anyio.sleep(1)
        cancel(task)
        await anyio.sleep(1)
        with anyio.fail_after(60):
            assert (await runtime.emit_and_wait("n")).succeeded


@pytest.mark.parametrize("task", TASKS)
async def test_cancelling_a_task_again_before_it_has_absorbed_the_first_does_not_end_it(task: str) -> None:
    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        await anyio.sleep(1)
        cancel(task)
        await anyio.lowlevel.checkpoint()
        cancel(task)
        await anyio.sleep(1)
        with anyio.fail_after(60):
            assert (await runtime.emit_and_wait("n")).succeeded


async def test_cancelling_all_tasks_of_a_runtime_does_not_end_it() -> None:
    before = {task.get_name() for task in asyncio.all_tasks()}
    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        await anyio.sleep(1)
        started = {task.get_name(): task for task in asyncio.all_tasks() if task.get_name() not in before}
        del started["reference lease"]  # the module's own
        assert {f"postroom {name}" for name in TASKS} < started.keys()
        for task in started.values():
            task.cancel()
        await anyio.sleep(1)
        with anyio.fail_after(60):
            assert (await runtime.emit_and_wait("n")).succeeded


BEFORE, AFTER = 1.0, 3.0
"""Seconds after the beginning of a slow call: before it has had its effect, and after."""


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize(("task", "call"), [("fetcher", "fetch"), ("settler", "settle")])
async def test_what_the_task_had_asked_for_is_neither_lost_nor_done_twice(task: str, call: str, when: float) -> None:
    runs: list[str] = []

    @subscriber("n")
    async def note(event: Event) -> None:
        runs.append(event.id)

    module = FaultyModule(ReferenceModule(), slowness=2.0)
    async with Runtime(module=module, subscribers=[note]) as runtime:
        await anyio.sleep(1)
        module.plan = lambda number, name: Fault.SLOW if name == call else None
        receipt = await runtime.emit("n")
        await anyio.sleep(when)
        cancel(task)
        module.plan = lambda number, name: None
        with anyio.fail_after(60):
            assert (await receipt).succeeded
            await runtime.idle()
    assert runs == [receipt.id]


@pytest.mark.parametrize("when", [BEFORE, AFTER])
async def test_an_emit_that_was_on_its_way_is_unknown_and_the_next_one_is_accepted(when: float) -> None:
    module = FaultyModule(ReferenceModule(), slowness=2.0)

    async def emit() -> None:
        with pytest.raises(UnknownResult):
            await runtime.emit("n")

    async with Runtime(module=module, subscribers=[work]) as runtime:
        module.plan = lambda number, name: Fault.SLOW if name == "publish" else None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(emit)
            await anyio.sleep(when)
            cancel("publisher")
            module.plan = lambda number, name: None
        with anyio.fail_after(60):
            assert (await runtime.emit_and_wait("n")).succeeded


async def test_what_a_fetch_may_have_lent_is_taken_back_though_that_is_cancelled_as_well() -> None:
    runs: list[str] = []

    @subscriber("n")
    async def note(event: Event) -> None:
        runs.append(event.id)

    module = FaultyModule(ReferenceModule(), slowness=2.0)
    async with Runtime(module=module, subscribers=[note]) as runtime:
        await anyio.sleep(1)
        module.plan = lambda number, name: Fault.SLOW if name in ("fetch", "reclaim") else None
        receipt = await runtime.emit("n")
        await anyio.sleep(AFTER)
        cancel("fetcher")
        await anyio.sleep(BEFORE)
        assert "reclaim" in [call for _, call, _ in module.faults]
        cancel("fetcher")
        module.plan = lambda number, name: None
        with anyio.fail_after(60):
            assert (await receipt).succeeded
            await runtime.idle()
    assert runs == [receipt.id]

"""Runs outlive their process: another one takes them up, and goes on after the last recorded step."""

from typing import Any

import anyio
import pytest

from postroom import (
    Flow,
    PermanentFailure,
    StepAnswer,
    StepContext,
    WorkflowCancelled,
    WorkflowFailed,
    emit_event,
    step,
    workflow,
)
from postroom.workflows import RunState, WorkflowParked
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop


async def test_a_killed_processs_run_goes_on_after_the_last_recorded_step() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("first", returns=1), shop.step("slow", seconds=5, returns=2))
    await processes.killed_after(1, line, id="1")
    async with processes.one(line) as workflows:
        assert await workflows.handle("1").result() == [1, 2]
    assert shop.log == ["first", "slow", "slow", "slow+"]


async def test_84_a_step_killed_between_its_effect_and_its_record_runs_again_with_the_same_key() -> None:
    keys: list[str] = []
    processes = Processes()

    @step
    async def pay(context: StepContext) -> None:
        keys.append(context.idempotency_key)
        if len(keys) == 1:
            await anyio.sleep_forever()  # the effect has happened; the process dies here

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(pay)

    await processes.killed_after(1, order, id="1")
    async with processes.one(order) as workflows:
        await workflows.handle("1").result()
    assert len(keys) == 2
    assert keys[0] == keys[1]


async def test_85_steps_side_by_side_are_known_by_their_place_whatever_finishes_first() -> None:
    processes = Processes()
    ran: list[str] = []

    @step
    async def wait(name: str, seconds: float) -> str:
        ran.append(name)
        await anyio.sleep(seconds)
        return name

    @workflow
    async def race(flow: Flow) -> list[str]:
        async with flow.together() as together:
            pending = [together.run(wait, name, seconds) for name, seconds in (("a", 9), ("b", 1), ("c", 5))]
        return [each.value for each in pending]

    await processes.killed_after(3, race, id="1")  # b has finished
    async with processes.one(race) as workflows:
        assert await workflows.handle("1").result() == ["a", "b", "c"]
    assert sorted(ran) == ["a", "a", "b", "c", "c"]


async def test_86_a_journal_that_no_longer_fits_the_code_is_parked_with_the_difference_shown() -> None:
    shop, processes = Shop(), Processes()
    reserve, pay, slow = shop.step("reserve"), shop.step("pay"), shop.step("slow", seconds=10)
    await processes.killed_after(1, shop.line(reserve, slow), id="1")
    changed = shop.line(pay, reserve, slow)
    async with processes.one(changed) as workflows:
        with pytest.raises(WorkflowParked) as caught:
            await workflows.handle("1").result()
        assert caught.value.journal == "step reserve#0, which finished, next"
        assert caught.value.code == "asks for step pay#0"
        await anyio.sleep(100)
        assert (await workflows.status("1")).state is RunState.PARKED
    assert shop.log == ["reserve", "slow"]
    async with processes.one(shop.line(reserve, slow)) as workflows:
        await workflows.resume("1")
        await workflows.handle("1").result()
    assert shop.log == ["reserve", "slow", "slow", "slow+"]


async def test_code_that_ends_without_a_recorded_step_is_parked() -> None:
    shop, processes = Shop(), Processes()
    reserve, slow = shop.step("reserve"), shop.step("slow", seconds=10)
    await processes.killed_after(1, shop.line(reserve, slow), id="1")
    async with processes.one(shop.line()) as workflows:
        with pytest.raises(WorkflowParked, match="without asking for it"):
            await workflows.handle("1").result()


async def test_a_run_killed_while_it_is_undone_is_undone_by_another() -> None:
    processes, log = Processes(), list[str]()

    async def slowly(done: object) -> None:
        log.append("undoing")
        await anyio.sleep(5)
        log.append("undone")

    @step(compensate=slowly)
    async def first() -> str:
        return "done"

    @step(compensate=slowly)
    async def second() -> str:
        return "done"

    @step
    async def refuse() -> None:
        raise PermanentFailure("no")

    @workflow
    async def order(flow: Flow) -> None:
        await flow.run(first)
        await flow.run(second)
        await flow.run(refuse)

    await processes.killed_after(7, order, id="1")  # second is undone, first half-way
    async with processes.one(order) as workflows:
        with pytest.raises(WorkflowFailed, match="no"):
            await workflows.handle("1").result()
    assert log == ["undoing", "undone", "undoing", "undoing", "undone"]


async def test_a_run_that_was_cancelled_half_way_and_killed_is_undone_by_another() -> None:
    processes, shop = Processes(), Shop()

    async def slowly(done: object) -> None:
        await anyio.sleep(5)
        shop.log.append("-slow undone")

    slow = shop.step("slow", seconds=100, compensate=slowly)
    line = shop.line(shop.step("first", returns=1), slow)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: processes.killed_after(4, line, id="1"))
        await anyio.sleep(2)
        async with processes.one() as workflows:
            await workflows.cancel("1")
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowCancelled):
            await workflows.handle("1").result()
    assert shop.log == ["first", "slow", "-slow undone", "-first"]


async def test_leaving_the_block_hands_runs_back_and_loses_nothing() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("first", returns=1), shop.step("slow", seconds=30, returns=2))
    async with processes.one(line, drain_within=5) as workflows:
        await workflows.start(line, id="1")
        await anyio.sleep(1)
    assert shop.log == ["first", "slow"]
    async with processes.one(line) as workflows:
        assert (await workflows.status("1")).losses == 0
        assert await workflows.handle("1").result() == [1, 2]


async def test_events_of_a_run_that_was_taken_up_go_out_once() -> None:
    shop, processes = Shop(), Processes()
    slow = shop.step("slow", seconds=10)

    @workflow
    async def order(flow: Flow) -> None:
        await flow.emit("order.begun", 1)
        await flow.run(emit_event, "order.placed", 2)
        await flow.run(slow)
        await flow.emit("order.ended", 3)

    await processes.killed_after(1, order, id="1")
    async with processes.one(order, subscribers=[shop.ear]) as workflows:
        await workflows.handle("1").result()
        await workflows.runtime.idle()
    assert shop.heard == [("order.begun", 1), ("order.placed", 2), ("order.ended", 3)]


async def test_sleep_goes_on_while_no_process_has_the_run() -> None:
    processes = Processes()

    @workflow
    async def nap(flow: Flow) -> str:
        await flow.sleep(100)
        return "awake"

    began = anyio.current_time()
    await processes.killed_after(60, nap, id="1")
    async with processes.one(nap) as workflows:
        assert await workflows.handle("1").result() == "awake"
    assert anyio.current_time() - began == pytest.approx(100, abs=1)


async def test_time_randomness_and_ids_are_the_same_when_the_workflow_runs_again() -> None:
    shop, processes = Shop(), Processes()
    seen: list[tuple[Any, ...]] = []
    slow, quick = shop.step("slow", seconds=10), shop.step("quick")

    @workflow
    async def order(flow: Flow) -> None:
        now = flow.now()
        await flow.run(quick)
        seen.append((now, flow.random.random(), flow.uuid()))
        await flow.run(slow)

    await processes.killed_after(1, order, id="1")
    async with processes.one(order) as workflows:
        await workflows.handle("1").result()
    assert len(seen) == 2
    assert seen[0] == seen[1]


async def test_a_signal_reaches_a_run_in_another_process() -> None:
    processes = Processes()

    @workflow
    async def order(flow: Flow) -> Any:
        return await flow.wait_for("payment")

    async with processes.one(order) as workflows, processes.one() as elsewhere:
        handle = await workflows.start(order, id="1")
        await anyio.sleep(1)
        await elsewhere.signal("1", "payment", {"amount": 3})
        assert await handle.result() == {"amount": 3}
        assert await elsewhere.handle("1").result() == {"amount": 3}


async def test_a_process_waits_for_a_run_that_another_one_has() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("slow", seconds=10, returns=1))
    async with processes.one(line) as workflows, processes.one(line) as elsewhere:
        await workflows.start(line, id="1")
        assert await elsewhere.run(line, id="1") == [1]
    assert shop.log == ["slow", "slow+"]


async def test_two_processes_with_one_schedule_begin_one_run_for_each_slot() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    async with processes.one(line) as workflows, processes.one(line) as elsewhere:
        workflows.schedule(line, every=60, times=3)
        elsewhere.schedule(line, every=60, times=3)
        await anyio.sleep(400)
    assert shop.log == ["only"] * 3


async def test_a_slot_is_left_out_while_the_run_before_goes_on() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("slow", seconds=90))
    async with processes.one(line) as workflows:
        workflows.schedule(line, every=60)
        await anyio.sleep(60 * 5 - 30)
    assert shop.log.count("slow") in (2, 3)


async def test_runs_beyond_the_capacity_wait_in_the_journal_in_their_order() -> None:
    shop, processes = Shop(), Processes()
    begun: list[int] = []

    @step
    async def work(number: int) -> None:
        begun.append(number)
        await anyio.sleep(1)

    @workflow
    async def job(flow: Flow, number: int) -> None:
        await flow.run(work, number)

    async with processes.one(job, capacity=2, drain_within=0) as workflows:
        handles = [await workflows.start(job, number) for number in range(7)]
        await anyio.sleep(0.5)
        assert sorted(begun) == [0, 1]
        for handle in handles:
            await handle.result()
    assert [number // 2 for number in begun] == [0, 0, 1, 1, 2, 2, 3]
    assert not shop.log


async def test_a_run_that_kills_its_processes_is_given_up_and_undone() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("first"), shop.step("deadly", seconds=10))
    for _ in range(4):
        await processes.killed_after(1, line, id="1")
        await anyio.sleep(60)
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowFailed, match="LostTooOften"):
            await workflows.handle("1").result()
    assert shop.log.count("-first") == 1


async def test_a_process_that_was_taken_for_dead_stops_its_runs_and_writes_nothing() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("slow", seconds=60, returns=1))
    async with processes.one(line) as workflows:
        await workflows.start(line, id="1")
        await anyio.sleep(1)
        (session,) = processes.store.sessions
        processes.store.sessions[session].lease_until = 0.0
        processes.store.expire(anyio.current_time())
        assert await workflows.handle("1").result() == [1]
    assert shop.log == ["slow", "slow", "slow+"]


@pytest.mark.parametrize("apart", ["text", 7, ["a", 1], {"a": {"b": 1}}, None])
async def test_what_a_compensation_gets_apart_from_the_output_is_read_again(apart: Any) -> None:
    shop, processes = Shop(), Processes()
    first = shop.step("first", act=lambda context: StepAnswer("output", compensate_with=apart))
    line = shop.line(first, shop.step("slow", seconds=5))
    await processes.killed_after(1, line, id="1")
    async with processes.one(line) as workflows:
        handle = workflows.handle("1")
        assert await handle.result() == ["output", None]
        assert [each.kind for each in await handle.history()] == ["finished", "finished"]
        await handle.cancel()
        with pytest.raises(WorkflowCancelled):
            await handle.result()
    assert shop.undone_with["first"] == apart


async def test_the_same_id_tells_of_what_was_undone_in_another_process() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    async with processes.one(line) as workflows:
        handle = await workflows.start(line, id="1")
        await handle.result()
        workflows._keeper.capacity = 0  # another process takes up what is to be undone
        async with processes.one(line) as elsewhere:
            await elsewhere.cancel("1")
            with pytest.raises(WorkflowCancelled):
                await elsewhere.handle("1").result()
        with pytest.raises(WorkflowCancelled):
            await workflows.run(line, id="1")

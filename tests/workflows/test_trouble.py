"""Journals that can't be read, stores that don't answer, and leases that are lost: no run is lost or done twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import msgspec
import pytest

from postroom import (
    Event,
    Flow,
    PermanentFailure,
    Retry,
    Runtime,
    WorkflowCancelled,
    WorkflowFailed,
    Workflows,
    step,
    subscriber,
    workflow,
)
from postroom.store_errors import UnknownResult
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.reference import ReferenceModule, ReferenceStore
from postroom.workflows import (
    NotSignalled,
    RunState,
    StepFailed,
    WorkflowNeedsAttention,
    WorkflowParked,
    WorkflowTimeout,
)
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop


@attrs.define
class Trouble:
    """Faults of calls by their names: how many more of them fail, and how."""

    module: FaultyModule = attrs.field(factory=lambda: FaultyModule(ReferenceModule(ReferenceStore())))
    faults: dict[str, tuple[int, Fault]] = attrs.field(factory=dict)

    def __call__(self, number: int, call: str) -> Fault | None:
        count, fault = self.faults.get(call, (0, Fault.BUSY))
        if not count:
            return None
        self.faults[call] = (count - 1, fault)
        return fault

    @asynccontextmanager
    async def process(self, *known: Any, subscribers: Any = (), **options: Any) -> AsyncIterator[Workflows]:
        self.module.plan = self
        async with (
            Runtime(module=self.module, subscribers=subscribers) as runtime,
            Workflows(runtime, known, **options) as workflows,
        ):
            yield workflows


FOR_EVER = 10**9


async def test_a_run_whose_input_cannot_be_read_is_parked_and_others_go_on() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("slow", seconds=5, returns=1))
    await processes.killed_after(1, line, id="1")
    kept = processes.store.journal.runs["1"]
    good, kept.new = kept.new, msgspec.structs.replace(kept.new, input=b"{")
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowParked, match="can't read that"):
            await workflows.handle("1").result()
        assert await workflows.run(line, id="2") == [1]
        kept.new = good
        await workflows.resume("1")
        assert await workflows.handle("1").result() == [1]


async def test_a_step_whose_result_the_code_reads_otherwise_now_is_parked() -> None:
    processes, shop = Processes(), Shop()
    slow = shop.step("slow", seconds=10)

    def declared(kind: Any) -> Any:
        async def pay() -> Any:
            return "thirty"

        pay.__annotations__["return"] = kind
        paid = step(pay)

        @workflow(name="order")
        async def order(flow: Flow) -> None:
            await flow.run(paid)
            await flow.run(slow)

        return order

    await processes.killed_after(1, declared(str), id="1")
    async with processes.one(declared(int)) as workflows:
        with pytest.raises(WorkflowParked, match=r"step pay#0, which finished.*can't read what it returned"):
            await workflows.handle("1").result()


async def test_a_run_that_is_parked_can_be_cancelled_by_code_that_fits() -> None:
    shop, processes = Shop(), Processes()
    reserve, slow = shop.step("reserve"), shop.step("slow", seconds=10)
    await processes.killed_after(1, shop.line(reserve, slow), id="1")
    async with processes.one(shop.line()) as workflows:
        with pytest.raises(WorkflowParked):
            await workflows.handle("1").result()
    async with processes.one(shop.line(reserve, slow)) as workflows:
        await workflows.cancel("1")
        with pytest.raises(WorkflowCancelled, match="workflow line '1' was cancelled"):
            await workflows.handle("1").result()
    assert shop.log[-1] == "-reserve"


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_REQUEST, Fault.TWICE])
@pytest.mark.parametrize("call", ["begin", "take", "record", "conclude", "hand_back"])
async def test_a_call_of_the_journal_that_got_lost_or_came_twice_loses_no_run(fault: Fault, call: str) -> None:
    shop, trouble = Shop(), Trouble()
    line = shop.line(shop.step("first", returns=1), shop.step("second", seconds=5, returns=2))
    async with trouble.process(line, drain_within=0) as workflows:
        trouble.faults = {call: (2, fault)}
        await workflows.start(line, id="1", delay=1)
        handle = await workflows.start(line, id="2")
        await anyio.sleep(3)
        if call != "hand_back":
            assert await handle.result() == [1, 2]
            assert await workflows.handle("1").result() == [1, 2]
    async with trouble.process(line) as workflows:
        for id in ("1", "2"):
            assert await workflows.run(line, id=id) == [1, 2]
    assert shop.log.count("first") == 2


async def test_a_run_that_begins_while_lost_loans_are_given_back_is_not_given_back_with_them() -> None:
    shop, trouble = Shop(), Trouble()
    trouble.module.slowness = 2.0
    line = shop.line(shop.step("slow", seconds=20, returns=1))
    async with trouble.process(line) as workflows:
        trouble.faults = {"take": (1, Fault.LOST_REPLY), "begin": (1, Fault.SLOW)}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(workflows.run, line, None)
            await workflows.start(line, id="late", delay=1)
            await anyio.sleep(2)
            trouble.faults = {"reclaim runs": (1, Fault.SLOW), "take": (1, Fault.LOST_REPLY)}
            await workflows.start(line, id="later", delay=0.5)
            for number in range(10):
                await anyio.sleep(0.5)
                await workflows.start(line, id=str(number))
        for id in ("late", "later", *map(str, range(10))):
            assert await workflows.handle(id).result() == [1]
    assert shop.log.count("slow") == shop.log.count("slow+") == 13


async def test_a_begin_that_nobody_answers_says_that_it_may_have_begun() -> None:
    shop, trouble = Shop(), Trouble()
    line = shop.line(shop.step("only"))
    async with trouble.process(line) as workflows:
        trouble.faults = {"begin": (FOR_EVER, Fault.BUSY)}
        with pytest.raises(UnknownResult, match="begin a workflow"):
            await workflows.start(line, id="1")
        trouble.faults = {}
        await workflows.run(line, id="1")
    assert shop.log == ["only"]


@pytest.mark.parametrize("call", ["record", "conclude"])
async def test_a_run_whose_store_does_not_answer_is_left_and_taken_up_again(call: str) -> None:
    shop, trouble = Shop(), Trouble()
    line = shop.line(shop.step("only", returns=1))
    async with trouble.process(line) as workflows:
        trouble.faults = {call: (FOR_EVER, Fault.BUSY)}
        handle = await workflows.start(line, id="1")
        await anyio.sleep(40)
        trouble.faults = {}
        assert await handle.result() == [1]
    assert shop.log == ["only"] * (2 if call == "record" else 1)


@pytest.mark.parametrize("seconds", [0.0, 5.0])
async def test_a_run_whose_lease_was_lost_meanwhile_writes_nothing_more(seconds: float) -> None:
    shop, processes = Shop(), Processes()

    def lose(context: object) -> None:
        if shop.log.count("only") == 1:
            processes.store.journal.give_back(next(iter(processes.store.sessions)), anyio.current_time(), lost=True)

    line = shop.line(shop.step("only", act=lose), shop.step("after", seconds=seconds))
    async with processes.one(line) as workflows:
        await workflows.run(line, id="1")
    assert shop.log.count("only") == 2
    assert shop.log.count("after") == 1


async def test_the_end_of_a_run_waits_for_room_for_its_events() -> None:
    processes, heard = Processes(), list[int]()

    @subscriber("placed", backlog=1)
    async def ledger(event: Event) -> None:
        await anyio.sleep(3)
        heard.append(event.data)

    @workflow
    async def order(flow: Flow, number: int) -> None:
        await flow.emit("placed", number)

    async with processes.one(order, subscribers=[ledger]) as workflows:
        handles = [await workflows.start(order, number) for number in range(3)]
        for handle in handles:
            await handle.result()
        await anyio.sleep(20)
    assert sorted(heard) == [0, 1, 2]


async def test_a_run_that_waits_for_room_is_handed_on_when_its_process_leaves() -> None:
    processes, heard, shut = Processes(), list[int](), anyio.Event()

    @subscriber("placed", backlog=1)
    async def ledger(event: Event) -> None:
        await shut.wait()
        heard.append(event.data)

    @workflow
    async def order(flow: Flow, number: int) -> None:
        await flow.emit("placed", number)

    async with processes.one(order, subscribers=[ledger], drain_within=0) as workflows:
        await workflows.run(order, 0)
        await workflows.start(order, 1, id="1")
        await anyio.sleep(10)
        shut.set()
        await anyio.lowlevel.checkpoint()
    async with processes.one(order, subscribers=[ledger]) as workflows:
        await workflows.handle("1").result()
    assert heard == [0, 1]


async def test_a_cancelled_run_is_undone_whatever_its_code_would_have_waited_for() -> None:
    shop, processes = Shop(), Processes()
    first = shop.step("first")

    @workflow
    async def order(flow: Flow, what: str) -> None:
        await flow.run(first)
        if what == "sleep":
            await flow.sleep(1000)
        elif what == "wait":
            await flow.wait_for("payment")
        else:
            await flow.emit("placed")
            await flow.run(shop.step("slow", seconds=1000))

    for what in ("sleep", "wait", "emit"):
        await processes.killed_after(1, order, id=what, input=what)
        async with processes.one() as elsewhere:
            await elsewhere.cancel(what)
        async with processes.one(order) as workflows:
            with pytest.raises(WorkflowCancelled):
                await workflows.handle(what).result()
    assert shop.log.count("-first") == 3


async def test_a_cancelled_run_whose_code_does_not_ask_for_its_steps_any_more_is_parked() -> None:
    shop, processes = Shop(), Processes()
    first = shop.step("first")

    def declared(*, changed: bool) -> Any:
        @workflow(name="order")
        async def order(flow: Flow) -> None:
            if changed:
                await flow.wait_for("payment")
            await flow.run(first)
            await flow.run(shop.step("slow", seconds=1000))

        return order

    await processes.killed_after(1, declared(changed=False), id="1")
    async with processes.one() as elsewhere:
        await elsewhere.cancel("1")
    async with processes.one(declared(changed=True)) as workflows:
        with pytest.raises(WorkflowParked, match="step first#0, to be undone"):
            await workflows.handle("1").result()
    assert "-first" not in shop.log


async def test_a_wait_that_was_over_is_over_again_in_another_process() -> None:
    shop, processes = Shop(), Processes()
    slow = shop.step("slow", seconds=10)

    @workflow
    async def order(flow: Flow) -> str:
        try:
            await flow.wait_for("payment", within=5)
        except NotSignalled:
            await flow.run(slow)
            return "late"
        return "paid"

    await processes.killed_after(6, order, id="1")
    async with processes.one(order) as workflows:
        await workflows.signal("1", "payment")
        assert await workflows.handle("1").result() == "late"


async def test_a_nested_workflow_that_took_too_long_has_taken_too_long_again_in_another_process() -> None:
    shop, processes = Shop(), Processes()
    inner_first, slow, after = shop.step("inner"), shop.step("slow", seconds=100), shop.step("after", seconds=50)

    @workflow(timeout=5)
    async def inner(flow: Flow) -> None:
        await flow.run(inner_first)
        await flow.run(slow)

    @workflow
    async def outer(flow: Flow) -> str:
        with pytest.raises(StepFailed) as caught:
            await flow.run(inner)
        assert isinstance(caught.value.__cause__, WorkflowTimeout)
        await flow.run(after)
        return "done"

    await processes.killed_after(10, outer, id="1")
    assert shop.log == ["inner", "slow", "-slow", "-inner", "after"]
    async with processes.one(outer) as workflows:
        assert await workflows.handle("1").result() == "done"
    assert shop.log[5:] == ["after", "after+"]


async def test_what_a_nested_workflow_could_not_undo_needs_attention_though_its_parent_went_on() -> None:
    shop = Shop(failing={"-inner": 2})

    @workflow
    async def inner(flow: Flow) -> None:
        await flow.run(shop_inner)
        raise PermanentFailure("no")

    @workflow
    async def outer(flow: Flow) -> str:
        with suppress(StepFailed):
            await flow.run(inner)
        return "done"

    shop_inner = shop.step("inner", compensate_retry=Retry(attempts=1))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        with pytest.raises(WorkflowNeedsAttention) as caught:
            await workflows.run(outer, id="1")
        assert "needs attention: inner#0/inner#0 could not be undone" in str(caught.value)
        await workflows.resume("1")
        with pytest.raises(WorkflowFailed):
            await workflows.handle("1").result()
    assert shop.log == ["inner", *["-inner"] * 3]


async def test_a_run_is_cancelled_once_however_often_that_is_asked_for() -> None:
    shop = Shop()

    async def slowly(result: object) -> None:
        await anyio.sleep(10)
        shop.log.append("undone")

    line = shop.line(shop.step("first", compensate=slowly), shop.step("slow", seconds=100))
    async with Runtime() as runtime, Workflows(runtime) as workflows:
        handle = await workflows.start(line, id="1")
        await anyio.sleep(1)
        await handle.cancel()
        await anyio.sleep(1)
        await handle.cancel()
        with pytest.raises(WorkflowCancelled):
            await handle.result()
    assert shop.log.count("undone") == 1


async def test_a_run_that_is_being_undone_goes_on_elsewhere_when_its_process_leaves() -> None:
    shop, processes = Shop(), Processes()

    async def slowly(result: object) -> None:
        shop.log.append("undoing")
        await anyio.sleep(100)
        shop.log.append("undone")

    line = shop.line(shop.step("first", compensate=slowly), shop.step("bad", permanent=True, undo=False))
    shop.failing["bad"] = 1
    async with processes.one(line, drain_within=0, compensate_within=1) as workflows:
        await workflows.start(line, id="1")
        await anyio.sleep(1)
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowFailed):
            await workflows.handle("1").result()
    assert shop.log == ["first", "bad", "undoing", "undoing", "undone"]
    assert processes.store.journal.runs.get("1") is None or processes.store.journal.runs["1"].state is RunState.FAILED


async def test_an_interrupt_in_a_step_ends_the_program() -> None:
    @step
    async def stop() -> None:
        raise SystemExit(3)

    line = Shop().line(stop)
    with pytest.raises(SystemExit):
        async with Runtime() as runtime, Workflows(runtime) as workflows:
            await workflows.run(line)

"""Workflows in moments that come seldom, and records that are not as they should be."""

from contextlib import suppress
from typing import Any

import anyio
import attrs
import pytest

from postroom import Flow, NotPortable, Runtime, StepFailed, WorkflowCancelled, WorkflowFailed, Workflows, workflow
from postroom.codec import UnreadableRecord
from postroom.journal import Entry
from postroom.local_journal import LocalJournal
from postroom.workflows import RunHistory, replay_history
from postroom.workflows.errors import ConflictingRun, WorkflowsClosed
from postroom.workflows.keeping import staged_events
from postroom.workflows.records import Done, Kind, encode, entry, read, read_value, write_value
from postroom.workflows.replay import Replay

from .processes import Processes
from .shop import Shop
from .test_histories import line_of, recorded


async def test_a_cancellation_that_finds_another_state_than_it_has_seen_looks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Shop()
    known = line_of(shop, "a")
    reopen, asked = LocalJournal.reopen, list[str]()

    async def not_at_first(self: LocalJournal, run: str, request: Entry) -> bool:
        asked.append(run)
        return len(asked) > 1 and await reopen(self, run, request)

    monkeypatch.setattr(LocalJournal, "reopen", not_at_first)
    async with Runtime() as runtime, Workflows(runtime, [known]) as workflows:
        await workflows.run(known, id="1")
        await workflows.cancel("1")
        with pytest.raises(WorkflowCancelled):
            await workflows.handle("1").result()
    assert asked == ["1", "1"]
    assert shop.log == ["a", "-a"]


async def test_lost_loans_of_a_process_are_given_back_in_memory_as_well() -> None:
    shop = Shop()
    known = line_of(shop, "a")
    async with Runtime() as runtime, Workflows(runtime, [known]) as workflows:
        await workflows.run(known, id="1")
        journal = runtime.backstage().journal
        await journal.reclaim([])
        assert [run.id for run in await journal.runs(None, None, None, 10)] == ["1"]


async def test_a_history_that_can_not_be_read_is_told() -> None:
    known = line_of(Shop(), "a")
    history = await recorded(known)
    found = await replay_history(known, attrs.evolve(history, input=b"{"))
    assert not found.fits
    assert found.code == "can't read that"
    assert "input of a workflow" in found.journal


async def test_code_that_raises_where_its_run_succeeded_is_told() -> None:
    history = await recorded(line_of(Shop(), "a", name="line"))
    shop = Shop()

    @workflow(name="line")
    async def raises(flow: Flow) -> None:
        await flow.run(shop.step("a"))
        raise LookupError("no stock")

    found = await replay_history(raises, history)
    assert (found.journal, found.code) == ("the end, a success,", "raises LookupError: no stock")


async def failed_at_pay(shop: Shop) -> RunHistory:
    """The history of a run that a step has failed."""
    return await recorded(line_of(shop, "a", "pay"))


async def test_code_that_goes_on_where_its_run_had_failed_is_told_with_what_it_asks_for() -> None:
    history = await failed_at_pay(Shop(failing={"pay": 100}))
    shop = Shop()

    @workflow(name="line")
    async def goes_on(flow: Flow) -> None:
        await flow.run(shop.step("a"))
        try:
            await flow.run(shop.step("pay"))
        except StepFailed:
            await flow.run(shop.step("pay-by-card"))

    found = await replay_history(goes_on, history)
    assert (found.journal, found.code) == ("the end, a failure of step pay#0,", "asks for step pay-by-card#0")


async def test_a_sleep_and_an_event_that_are_not_on_record_go_no_further() -> None:
    history = await recorded(line_of(Shop(), "a"))
    shop = Shop()

    @workflow(name="line")
    async def sleeps(flow: Flow) -> list[Any]:
        await flow.emit("order.placed")
        result = [await flow.run(shop.step("a"))]
        await flow.sleep(1000)
        return result

    found = await replay_history(sleeps, history)
    assert (found.journal, found.code) == ("the end, a success,", "asks for something that is not on record")
    assert shop.log == []


async def test_outside_of_a_step_the_service_of_events_emits_nothing() -> None:
    with pytest.raises(WorkflowsClosed, match="no step runs here that could emit"):
        await staged_events("order.placed", None, {})


def test_a_run_of_another_workflow_under_the_same_id_is_named() -> None:
    assert (
        str(ConflictingRun("1", "checkout"))
        == "id '1' belongs to a run of checkout that was started with something else"
    )


def test_of_a_step_that_was_recorded_twice_the_first_record_counts() -> None:
    replay = Replay()
    first = entry(Kind.STEP, "a#0", Done(1.5, 1))
    replay.load([first, entry(Kind.STEP, "a#0", Done(2.5, 2))])
    (_, record) = replay.steps["a#0"]
    assert isinstance(record, Done)
    assert replay.count == 2
    assert encode(record) == first.body


def test_a_record_of_another_version_is_not_read() -> None:
    body = encode(Done(1.5, 1)).replace(b"{", b'{"version":99,', 1)
    with pytest.raises(UnreadableRecord, match="it has a version that is not"):
        read(body, Done, "step a#0")


@attrs.frozen
class Order:
    cds: int


def test_a_value_that_its_annotation_does_not_read_is_not_written() -> None:
    with pytest.raises(NotPortable, match="annotate the function with it"):
        write_value(Order(3), int, "result of step a#0")


class Stranger:
    """A type that nobody knows how to read."""


def test_what_is_annotated_with_a_type_that_nothing_is_known_of_is_read_as_plain_data() -> None:
    assert read_value(write_value({"cds": 3}, None, "result"), Stranger(), "result") == {"cds": 3}


async def test_a_run_whose_event_conflicts_with_one_that_was_accepted_fails_and_is_undone() -> None:
    shop = Shop()

    @workflow(name="order")
    async def order(flow: Flow) -> None:
        await flow.run(shop.step("a"))
        await flow.emit("order.placed", 2, id="order-1")

    async with Runtime() as runtime, Workflows(runtime, [order]) as workflows:
        await runtime.emit("order.placed", 1, id="order-1")
        with pytest.raises(WorkflowFailed, match="order-1"):
            await workflows.run(order, id="1")
    assert shop.log == ["a", "-a"]


async def test_one_that_is_cancelled_while_no_process_has_it_is_undone_by_the_next_one() -> None:
    processes, shop = Processes(), Shop()
    line = shop.line(shop.step("first", returns=1), shop.step("second", returns=2), shop.step("slow", seconds=100))
    await processes.killed_after(2, line, id="1")
    async with processes.one() as workflows:
        await workflows.cancel("1")
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowCancelled), anyio.fail_after(200):
            await workflows.handle("1").result()
    assert shop.log[-2:] == ["-second", "-first"]


async def test_one_that_is_cancelled_once_more_right_after_it_was_taken_up_is_undone_once() -> None:
    processes, shop = Processes(), Shop()
    line = shop.line(shop.step("first", returns=1), shop.step("second", returns=2), shop.step("slow", seconds=100))
    await processes.killed_after(2, line, id="1")
    async with processes.one() as workflows:
        await workflows.cancel("1")
    async with processes.one(line) as workflows, processes.one() as others:
        await anyio.sleep(0.5)
        await others.cancel("1")
        with pytest.raises(WorkflowCancelled), anyio.fail_after(200):
            await workflows.handle("1").result()
    assert shop.log[-2:] == ["-second", "-first"]
    assert shop.log.count("-first") == 1


async def test_a_nested_workflow_that_makes_an_error_of_its_cancellation_is_cancelled_all_the_same() -> None:
    shop = Shop()
    slow = shop.step("slow", seconds=100)

    @workflow(name="inner")
    async def inner(flow: Flow) -> None:
        try:
            await flow.run(slow)
        finally:
            raise LookupError("it did not end")

    @workflow(name="outer")
    async def outer(flow: Flow) -> None:
        await flow.run(shop.step("first"))
        await flow.run(inner)

    async with Runtime() as runtime, Workflows(runtime, [outer, inner]) as workflows:
        handle = await workflows.start(outer, id="1")
        await anyio.sleep(1)
        await handle.cancel()
        with pytest.raises(WorkflowCancelled), anyio.fail_after(100):
            await handle.result()
    assert shop.log[0] == "first"
    assert shop.log[-1] == "-first"


async def test_a_wait_outside_of_a_nested_workflow_that_was_out_of_time_is_told_as_not_on_record() -> None:
    @workflow(name="inner", timeout=5)
    async def inner(flow: Flow) -> None:
        await flow.sleep(100)

    def outer(waits: bool) -> Any:
        @workflow(name="outer")
        async def made(flow: Flow) -> str:
            async def nested() -> None:
                with suppress(StepFailed):
                    await flow.run(inner, key="inner")

            async def beside() -> None:
                if waits:
                    await flow.sleep(50)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(nested)
                tasks.start_soon(beside)
            return "done"

        return made

    history = await recorded(outer(False))
    assert (await replay_history(outer(False), history)).fits
    found = await replay_history(outer(True), history)
    assert (found.fits, found.code) == (False, "asks for something that is not on record")

"""Runs whose lease is lost, or that are laid down, in the very moment in which their process writes of them."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from postroom import Event, Flow, Runtime, WorkflowCancelled, WorkflowFailed, Workflows, subscriber, workflow
from postroom.journal import Entry, RunLoan, RunState
from postroom.local_journal import LocalJournal
from postroom.testing.reference import ReferenceStore
from postroom.testing.reference.journal import ReferenceJournal
from postroom.workflows.driver import LONGEST_WAIT
from postroom.workflows.records import Kind, entry

from .processes import Processes
from .shop import Shop
from .test_resting import patient


def lose(store: ReferenceStore) -> None:
    """Lend the runs of the only session to whoever asks next."""
    store.journal.give_back(next(iter(store.sessions)), anyio.current_time(), lost=True)


async def test_a_run_that_was_lost_right_before_its_end_is_ended_by_whoever_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only", returns=1))
    conclude, ends = ReferenceJournal.conclude, list[bool]()

    async def lost_before(self: ReferenceJournal, *arguments: Any) -> Any:
        if not ends:
            lose(processes.store)
        answer = await conclude(self, *arguments)
        ends.append(answer is not None)
        return answer

    monkeypatch.setattr(ReferenceJournal, "conclude", lost_before)
    async with processes.one(line) as workflows:
        with anyio.fail_after(100):
            assert await workflows.run(line, id="1") == [1]
    assert ends == [False, True]
    assert shop.log == ["only"]


async def test_a_run_that_is_cancelled_right_before_its_success_is_written_is_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    conclude, cancelled = ReferenceJournal.conclude, list[str]()

    async def cancelled_before(self: ReferenceJournal, *arguments: Any) -> Any:
        if not cancelled:
            cancelled.append("1")
            await workflows.cancel("1")
        return await conclude(self, *arguments)

    monkeypatch.setattr(ReferenceJournal, "conclude", cancelled_before)
    async with processes.one(line) as workflows:
        handle = await workflows.start(line, id="1")
        with pytest.raises(WorkflowCancelled), anyio.fail_after(100):
            await handle.result()
    assert cancelled
    assert shop.log == ["only", "-only"]


async def test_on_local_too_a_run_that_is_cancelled_right_before_its_success_is_written_is_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, seen = Shop(), list[RunState]()
    line = shop.line(shop.step("only"))
    conclude = LocalJournal.conclude_now

    def cancelled_before(self: LocalJournal, token: int, state: RunState, *arguments: Any) -> Any:
        if not seen:
            assert self._kept.signal("1", entry(Kind.CANCEL, ""), anyio.current_time())
        seen.append(state)
        return conclude(self, token, state, *arguments)

    monkeypatch.setattr(LocalJournal, "conclude_now", cancelled_before)
    async with Runtime() as runtime, Workflows(runtime, [line]) as workflows:
        handle = await workflows.start(line, id="1")
        with pytest.raises(WorkflowCancelled), anyio.fail_after(100):
            await handle.result()
    assert seen == [RunState.SUCCEEDED, RunState.CANCELLED]
    assert shop.log == ["only", "-only"]


async def test_a_run_that_was_lost_right_before_it_is_undone_is_undone_by_whoever_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, processes = Shop(failing={"pay": 1}), Processes()
    line = shop.line(shop.step("reserve"), shop.step("pay", permanent=True))
    record, tried = ReferenceJournal.record, list[bool]()

    async def lost_before(
        self: ReferenceJournal, token: int, entries: Sequence[Entry], state: RunState | None = None
    ) -> bool:
        if state is RunState.COMPENSATING and not tried:
            lose(processes.store)
        done = await record(self, token, entries, state)
        if state is RunState.COMPENSATING:
            tried.append(done)
        return done

    monkeypatch.setattr(ReferenceJournal, "record", lost_before)
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowFailed), anyio.fail_after(100):
            await workflows.run(line, id="1")
    assert tried == [False, True]
    assert shop.log == ["reserve", "pay", "-pay", "-reserve"]


async def test_a_run_that_was_forgotten_while_it_was_laid_down_is_not_got_up(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, processes = Shop(), Processes()
    known = patient(shop, 600)
    run, asked = ReferenceJournal.run, list[str]()

    async def forgotten(self: ReferenceJournal, id: str, *, watch: bool = False) -> RunLoan | None:
        if watch or asked:
            return await run(self, id, watch=watch)
        asked.append(id)
        return None

    async with processes.one(known) as workflows:
        handle = await workflows.start(known, id="1")
        await anyio.sleep(1)
        monkeypatch.setattr(ReferenceJournal, "run", forgotten)
        with anyio.fail_after(1200):
            assert await handle.result() == "rested"
    assert asked == ["1"]
    assert shop.log == ["first", "last"]


async def test_a_run_whose_events_have_no_room_before_its_process_leaves_is_ended_by_the_next_one() -> None:
    processes, heard, shut = Processes(), list[int](), anyio.Event()

    @subscriber("placed", backlog=1)
    async def ledger(event: Event) -> None:
        await shut.wait()
        heard.append(event.data)

    @workflow
    async def order(flow: Flow, number: int) -> None:
        await flow.emit("placed", number)

    async with processes.one(order, subscribers=[ledger], drain_within=0, compensate_within=20) as workflows:
        await workflows.run(order, 0)
        await anyio.sleep(1)  # it is in hand, and the next one takes the only place
        await workflows.run(order, 1)
        handle = await workflows.start(order, 2, id="2")
        await anyio.sleep(10)
        assert (await handle.status()).state is RunState.RUNNING
        left_at = anyio.current_time()
    assert anyio.current_time() < left_at + LONGEST_WAIT + 10  # in which the ledger is waited for
    shut.set()
    async with processes.one(order, subscribers=[ledger]) as workflows:
        with anyio.fail_after(100):
            await workflows.handle("2").result()
        await anyio.sleep(10)
    assert sorted(heard) == [0, 1, 2]


async def test_a_run_that_is_cancelled_while_its_events_have_no_room_is_undone() -> None:
    processes, shop, heard, shut = Processes(), Shop(), list[int](), anyio.Event()

    @subscriber("placed", backlog=1)
    async def ledger(event: Event) -> None:
        await shut.wait()
        heard.append(event.data)

    first = shop.step("first")

    @workflow
    async def order(flow: Flow, number: int) -> None:
        await flow.run(first)
        await flow.emit("placed", number)

    async with processes.one(order, subscribers=[ledger]) as workflows:
        await workflows.run(order, 0)
        await anyio.sleep(1)
        await workflows.run(order, 1)
        handle = await workflows.start(order, 2, id="2")
        await anyio.sleep(10)
        await handle.cancel()
        with pytest.raises(WorkflowCancelled), anyio.fail_after(LONGEST_WAIT):
            await handle.result()
        shut.set()
        await anyio.sleep(10)
    assert heard == [0, 1]
    assert shop.log == [*["first"] * 3, "-first"]

"""Calls of the journal at a store whose commits fail, and how many of them share one."""

from collections.abc import Callable
from pathlib import Path

import anyio
import apsw
import pytest

from postroom.journal import Entry, NewRun, RunLoan, RunState
from postroom.modules.sqlite import SqliteModule, wakes, worker
from postroom.modules.sqlite.journal import SqliteJournal
from postroom.store_errors import UnknownResult

from .calls import LEDGER, event, fetch, inside

Fail = Callable[[apsw.Connection], None]


def commit_and_fail(db: apsw.Connection) -> None:
    db.execute("COMMIT")
    raise apsw.IOError("the reply was lost")


def fail(db: apsw.Connection) -> None:
    raise apsw.IOError("nothing was written")


async def have(journal: SqliteJournal, id: str, number: int) -> RunLoan:
    loan = await journal.begin(number, NewRun(id, "ship", b"", b""), lend=True)
    assert isinstance(loan, RunLoan)
    return loan


@pytest.mark.parametrize("lost", [commit_and_fail, fail])
async def test_57_a_run_whose_beginning_is_in_doubt_is_begun_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, lost: Fail
) -> None:
    async with SqliteModule(path).open("session") as store:
        journal = inside(store).journal
        monkeypatch.setattr(worker, "commit", lost)
        with pytest.raises(UnknownResult):
            await have(journal, "a", 1)
        monkeypatch.undo()
        loan = await have(journal, "a", 1)
        assert await journal.record(loan.token, [Entry("step", "x")])
        assert len(await journal.runs(None, None, None, 10)) == 1


@pytest.mark.parametrize("lost", [commit_and_fail, fail])
async def test_57_an_end_that_is_in_doubt_lets_its_events_out_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, lost: Fail
) -> None:
    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        journal = inside(store).journal
        loan = await have(journal, "a", 1)
        monkeypatch.setattr(worker, "commit", lost)
        with pytest.raises(UnknownResult):
            await journal.conclude(loan.token, RunState.SUCCEEDED, b"", [event("e")], 60)
        monkeypatch.undo()
        seen = await journal.run("a")
        assert seen is not None
        published = await fetch(store)
        assert bool(published) == (seen.run.state is RunState.SUCCEEDED) == (lost is commit_and_fail)
        answer = await journal.conclude(loan.token, RunState.SUCCEEDED, b"", [event("e")], 60)
        assert isinstance(answer, list)
        assert answer[0].targets == ("ledger",)
        assert [loan.id for loan in published + await fetch(store)] == ["e"]


async def test_57_runs_that_were_lent_by_a_take_that_got_lost_are_reclaimed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteModule(path).open("session") as store:
        journal = inside(store).journal
        await journal.begin(1, NewRun("a", "ship", b"", b""), lend=False)
        monkeypatch.setattr(worker, "commit", commit_and_fail)
        with pytest.raises(UnknownResult):
            await journal.take({"ship": 1})
        monkeypatch.undo()
        assert (await journal.take({"ship": 1})).loans == []
        await journal.reclaim([])
        (loan,) = (await journal.take({"ship": 1})).loans
        assert loan.run.losses == 0


async def test_calls_of_many_runs_at_once_share_commits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = 0

    def count(db: apsw.Connection) -> None:
        nonlocal commits
        commits += 1
        db.execute("COMMIT")

    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        journal = inside(store).journal

        async def run(number: int) -> None:
            loan = await have(journal, f"run-{number}", number)
            for step in range(5):
                await journal.record(loan.token, [Entry("step", str(step))])
            await journal.conclude(loan.token, RunState.SUCCEEDED, b"", [event(f"of {number}")], 60)

        monkeypatch.setattr(worker, "commit", count)
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(run, number)
        assert commits < 150  # of 700 calls
        assert len(await fetch(store, 200)) == 100


async def test_the_thread_is_woken_once_for_all_that_one_turn_of_the_loop_asks_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ring = wakes.Wakes.ring

    async with SqliteModule(path).open("session") as store:
        thread = inside(store)._worker

        def noted(bell: wakes.Wakes) -> None:
            asked.append(len(thread._calls))
            ring(bell)

        await have(inside(store).journal, "first", 0)
        while not thread._asleep:
            await anyio.sleep(0.001)
        monkeypatch.setattr(wakes.Wakes, "ring", noted)
        async with anyio.create_task_group() as tasks:
            for number in range(1, 101):
                tasks.start_soon(have, inside(store).journal, f"run-{number}", number)
        monkeypatch.undo()
    assert asked == [100]

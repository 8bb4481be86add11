"""A store that is busy or full, and commits of which nobody can tell whether they happened."""

import sys
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from postroom import Event, Runtime, subscriber
from postroom.contract import Store
from postroom.modules.sqlite import SqliteModule, worker
from postroom.store_errors import StoreBusy, StoreFull, UnknownResult

from . import small_files_child
from .calls import LEDGER, NUMBERS, event, fetch, inside, publish, settled


async def limit_pages(store: Store, more: int | None) -> None:
    """Let the file grow by so many pages; by any number with None."""

    def limit(tx: Any) -> None:
        tx.db.pragma("max_page_count", 2**31 if more is None else tx.db.pragma("page_count") + more)

    await inside(store)._run(limit)


@pytest.mark.slow
async def test_51_a_store_that_is_locked_for_too_long_is_busy_and_nothing_is_done(path: Path) -> None:
    async with SqliteModule(path, busy_timeout=0.2).open("session") as store:
        await store.bind([LEDGER], serve=True)
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match=r"kept .* locked"):
            await publish(store, 1, "e1")
        other.execute("ROLLBACK")
        other.close()
        assert await fetch(store) == []
        await publish(store, 1, "e1")
        assert [loan.id for loan in await fetch(store)] == ["e1"]


@pytest.mark.slow
async def test_51_what_is_in_hand_while_the_store_is_locked_for_longer_than_a_lease_is_handled_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handled: list[int] = []
    begun, go_on = anyio.Event(), anyio.Event()

    @subscriber("order.*", concurrency=1)
    async def ledger(order: Event) -> None:
        handled.append(order.data)
        begun.set()
        await go_on.wait()

    module = SqliteModule(path, lease=0.5, busy_timeout=0.2)
    async with Runtime(module=module, subscribers=[ledger], losses=1) as runtime:
        receipts = [await runtime.emit("order.placed", number) for number in (1, 2)]
        await begun.wait()
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        go_on.set()
        await anyio.sleep(1.2)
        other.execute("ROLLBACK")
        other.close()
        with anyio.fail_after(10):
            for receipt in receipts:
                await receipt
        assert not await runtime.dead_letters.list()
    assert handled == [1, 2]
    assert "had been lent to another process" not in caplog.text


@pytest.mark.slow
async def test_51_a_store_that_is_locked_for_a_moment_is_waited_for(path: Path) -> None:
    async with SqliteModule(path).open("session") as store, anyio.create_task_group() as tasks:
        await store.bind([LEDGER], serve=True)
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        tasks.start_soon(publish, store, 1, "e1")
        await anyio.sleep(0.1)
        other.execute("ROLLBACK")
        other.close()
        while not await fetch(store):
            await anyio.sleep(0.01)


async def test_52_with_a_full_disk_an_emit_is_refused_and_what_is_stored_can_be_settled(path: Path) -> None:
    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        await publish(store, 1, "e1", "e2")
        await limit_pages(store, 2)
        with pytest.raises(StoreFull, match=r"no room"):
            await store.publish(2, [[event(f"f{number}") for number in range(500)]])
        loans = await fetch(store)
        assert [loan.id for loan in loans] == ["e1", "e2"]
        assert await store.settle(next(NUMBERS), settled(loans)) == [True, True]
        await limit_pages(store, None)
        await publish(store, 2, "g")
        assert [loan.id for loan in await fetch(store)] == ["g"]


async def test_52_one_call_that_is_too_large_does_not_fail_those_that_share_its_commit(path: Path) -> None:
    results: list[str] = []

    async def emit(store: Store, number: int, count: int) -> None:
        try:
            await publish(store, number, *[f"{number}.{each}" for each in range(count)])
        except StoreFull:
            results.append(f"{number} is refused")
        else:
            results.append(f"{number} is stored")

    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        await limit_pages(store, 2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(emit, store, 1, 1)
            tasks.start_soon(emit, store, 2, 2000)
            tasks.start_soon(emit, store, 3, 1)
        assert sorted(results) == ["1 is stored", "2 is refused", "3 is stored"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 900_000, 60_000_000])  # the last one is written in part before its commit
async def test_52_where_files_may_not_grow_an_emit_is_refused_and_nothing_of_it_is_stored(
    path: Path, size: int, anyio_backend: str
) -> None:
    command = [sys.executable, "-m", small_files_child.__name__, str(path), anyio_backend, str(size)]
    child = await anyio.run_process(command)
    assert child.stdout.decode().split() == ["StoreFull", "stored", "StoreFull"]
    async with SqliteModule(path).open("after") as store:
        assert [loan.id for loan in await fetch(store)] == ["e1"]


async def test_57_a_commit_that_happened_and_failed_is_not_repeated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit_and_fail(db: apsw.Connection) -> None:
        db.execute("COMMIT")
        raise apsw.IOError("the reply was lost")

    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        monkeypatch.setattr(worker, "commit", commit_and_fail)
        with pytest.raises(UnknownResult):
            await publish(store, 1, "e1")
        monkeypatch.undo()
        (published,) = await publish(store, 1, "e1")  # type: ignore[misc]
        assert published.targets == ("ledger",)
        loans = await fetch(store)
        assert [loan.id for loan in loans] == ["e1"]
        monkeypatch.setattr(worker, "commit", commit_and_fail)
        with pytest.raises(UnknownResult):
            await store.settle(1, settled(loans))
        monkeypatch.undo()
        assert await store.settle(1, settled(loans)) == [True]
        assert await store.settle(2, settled(loans)) == [False]
        assert await fetch(store) == []


async def test_57_a_commit_that_did_not_happen_is_done_when_it_is_asked_for_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(db: apsw.Connection) -> None:
        raise apsw.IOError("nothing was written")

    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        monkeypatch.setattr(worker, "commit", fail)
        with pytest.raises(UnknownResult):
            await publish(store, 1, "e1")
        monkeypatch.undo()
        await publish(store, 1, "e1")
        assert [loan.id for loan in await fetch(store)] == ["e1"]


async def test_57_a_fetch_that_got_lost_is_reclaimed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def commit_and_fail(db: apsw.Connection) -> None:
        db.execute("COMMIT")
        raise apsw.IOError("the reply was lost")

    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        await publish(store, 1, "e1")
        monkeypatch.setattr(worker, "commit", commit_and_fail)
        with pytest.raises(UnknownResult):
            await fetch(store)
        monkeypatch.undo()
        assert await fetch(store) == []
        await store.reclaim([])
        (loan,) = await fetch(store)
        assert (loan.id, loan.losses) == ("e1", 0)


async def test_a_step_that_fails_by_itself_leaves_the_session_at_work(path: Path) -> None:
    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        with pytest.raises(UnicodeEncodeError):
            await publish(store, 1, "\ud800")
        await publish(store, 2, "e2")
        assert [loan.id for loan in await fetch(store)] == ["e2"]

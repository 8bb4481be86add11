"""Sessions in threads: wake-ups, leases, ends, and calls that are cancelled."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from postroom.contract import Binding, Letter, News, Settlement, Step, Store
from postroom.errors import ForkedProcess
from postroom.modules.sqlite import SqliteModule, wakes
from postroom.modules.sqlite.session import SqliteSession
from postroom.modules.sqlite.transaction import NOTICES
from postroom.store_errors import StoreBroken

from .calls import LEDGER, NUMBERS, event, fetch, inside, notices, publish, settled


async def until_mail(store: Store) -> News:
    while True:
        news = await store.news(0)
        if news.mail:
            return news


async def test_mail_wakes_who_serves_the_subscription(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY", 600.0)  # so nothing but a wake-up tells
    async with SqliteModule(path).open("emits") as emits, SqliteModule(path).open("handles") as handles:
        await handles.bind([LEDGER], serve=True)
        await until_mail(handles)
        assert await fetch(handles) == []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish, emits, 1, "e1")
            with anyio.fail_after(5):
                while not (loans := await fetch(handles)):
                    await until_mail(handles)
        assert [loan.id for loan in loans] == ["e1"]


async def test_outcomes_wake_who_has_published(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY", 600.0)
    async with SqliteModule(path).open("emits") as emits, SqliteModule(path).open("handles") as handles:
        await handles.bind([LEDGER], serve=True)
        await publish(emits, 1, "e1")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handles.settle, next(NUMBERS), settled(await fetch(handles)))
            with anyio.fail_after(5):
                news, (notice,) = await notices(emits)
        assert (notice.event, notice.subscription, notice.outcome) == ("e1", "ledger", b"done")
        with anyio.move_on_after(0.05):
            await notices(emits, news.number)
            raise AssertionError("they were forgotten")


async def test_an_outcome_that_comes_while_the_last_ones_are_asked_for_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY", 600.0)
    async with SqliteModule(path).open("emits") as emits, SqliteModule(path).open("handles") as handles:
        await handles.bind([LEDGER], serve=True)
        await publish(emits, 1, "e1")
        loans = await fetch(handles)
        await emits.news(0)
        session = inside(emits)
        ask = SqliteSession._run
        asked = 0

        async def slow(self: SqliteSession, step: Any) -> Any:
            nonlocal asked
            result = await ask(self, step)
            if self is session and (asked := asked + 1) == 1:
                await handles.settle(next(NUMBERS), settled(loans))
                while not session._what & NOTICES:
                    await anyio.sleep(0.001)
            return result

        session._what |= NOTICES
        monkeypatch.setattr(SqliteSession, "_run", slow)
        with anyio.fail_after(5):
            _, (notice,) = await notices(emits)
    assert notice.event == "e1"


async def test_notices_come_again_until_they_were_seen(path: Path) -> None:
    async with SqliteModule(path).open("emits") as emits, SqliteModule(path).open("handles") as handles:
        await handles.bind([LEDGER], serve=True)
        await publish(emits, 1, "e1")
        await publish(emits, 2, "e2")
        await handles.settle(next(NUMBERS), settled(await fetch(handles, 1)))
        first, _ = await notices(emits)
        await handles.settle(next(NUMBERS), settled(await fetch(handles, 1)))
        with anyio.fail_after(5):
            second, both = await notices(emits)
            _, last = await notices(emits, first.number)
    assert [each.event for each in both] == ["e1", "e2"]
    assert [each.event for each in last] == ["e2"]
    assert second.number > first.number


async def test_without_sockets_the_file_is_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "HAS_SOCKETS", False)
    async with SqliteModule(path).open("emits") as emits, SqliteModule(path).open("handles") as handles:
        await handles.bind([LEDGER], serve=True)
        await until_mail(handles)
        await publish(emits, 1, "e1")
        with anyio.fail_after(5):
            while not await fetch(handles):
                await until_mail(handles)
    assert [each.name for each in path.parent.iterdir()] == ["events.db"]


async def test_a_lost_wake_up_costs_a_second_at_most(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY", 0.05)
    async with SqliteModule(path).open("emits") as emits, SqliteModule(path).open("handles") as handles:
        await handles.bind([LEDGER], serve=True)
        await until_mail(handles)
        monkeypatch.setattr(wakes.Wakes, "send", lambda *_: None)
        await publish(emits, 1, "e1")
        with anyio.fail_after(5):
            while not await fetch(handles):
                await until_mail(handles)


async def test_a_path_of_any_length_has_its_sockets(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = path.parent / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    monkeypatch.setattr(wakes, "LOOK_EVERY", 600.0)
    async with SqliteModule(folder / "x.db").open("emits") as emits, SqliteModule(folder / "x.db").open("h") as handles:
        await handles.bind([LEDGER], serve=True)
        await until_mail(handles)
        await publish(emits, 1, "e1")
        with anyio.fail_after(5):
            while not await fetch(handles):
                await until_mail(handles)


async def test_many_calls_at_once_share_commits(path: Path) -> None:
    async with SqliteModule(path, durability="power").open("session") as store:
        await store.bind([LEDGER], serve=True)
        before = await commits(store)
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(publish, store, number + 1, f"e{number}")
        assert await commits(store) - before < 50
        assert len(await fetch(store, 200)) == 100


async def commits(store: Store) -> int:
    """Transactions so far in which numbered calls were."""
    return int(await inside(store)._run(lambda tx: tx._attempt))


@pytest.mark.slow
async def test_48_a_session_that_is_gone_loses_its_loans_which_is_counted(path: Path) -> None:
    module = SqliteModule(path, lease=0.3)
    async with module.open("heir") as heir:
        await heir.bind([LEDGER], serve=True)
        async with module.open("dead") as dead:
            await publish(heir, 1, "e1")
            (loan,) = await fetch(dead)
            await kill(dead)
            with anyio.fail_after(5):
                while not (again := await fetch(heir)):
                    await until_mail(heir)
    assert (again[0].id, again[0].losses, again[0].attempts) == ("e1", 1, 0)
    assert again[0].token != loan.token


async def kill(store: Store) -> None:
    """Let a session's thread do nothing more, as after `kill -9`."""
    stopped = threading.Event()

    def stop(_tx: object) -> None:
        stopped.set()
        raise SystemExit  # nothing is written any more

    with pytest.raises(StoreBroken):
        await inside(store)._run(stop)
    assert stopped.is_set()


@pytest.mark.slow
async def test_11_a_blocked_event_loop_does_not_lose_the_lease(path: Path) -> None:
    module = SqliteModule(path, lease=0.4)
    async with module.open("busy") as busy, module.open("other") as other:
        await busy.bind([LEDGER], serve=True)
        await publish(busy, 1, "e1")
        loans = await fetch(busy)
        time.sleep(1.2)  # noqa: ASYNC251 - that is the point
        assert await fetch(other) == []
        assert await busy.settle(next(NUMBERS), settled(loans)) == [True]


@pytest.mark.slow
async def test_45_a_process_that_slept_for_longer_than_its_lease_is_told_and_settles_nothing(path: Path) -> None:
    module = SqliteModule(path, lease=0.3)
    async with module.open("sleeper") as sleeper, module.open("heir") as heir:
        await sleeper.bind([LEDGER], serve=True)
        await publish(heir, 1, "e1")
        loans = await fetch(sleeper)
        with stopped_thread(sleeper), anyio.fail_after(5):
            while not (again := await fetch(heir)):
                await anyio.sleep(0.02)
        with anyio.fail_after(5):
            assert await sleeper.settle(next(NUMBERS), settled(loans)) == [False]
            while not (await sleeper.news(0)).lost:
                pass
        assert [each.served_by for each in await sleeper.subscriptions()] == [()]
        await sleeper.bind([LEDGER], serve=True)
        assert await heir.settle(next(NUMBERS), settled(again)) == [True]


@contextmanager
def stopped_thread(store: Store) -> Iterator[None]:
    """A block in which the session's thread stands still, as when the machine or the process is stopped."""
    go_on = threading.Event()
    stopped = inside(store)._worker._wakes
    wait = wakes.Wakes.wait

    def wait_for_ever(self: wakes.Wakes, seconds: float) -> int:
        if self is stopped:
            go_on.wait(10)
        return wait(self, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wakes.Wakes, "wait", wait_for_ever)
        stopped.ring()
        yield
        go_on.set()


async def test_the_end_of_a_session_hands_back_without_a_loss(path: Path) -> None:
    async with SqliteModule(path).open("stays") as stays:
        async with SqliteModule(path).open("goes") as goes:
            await goes.bind([LEDGER], serve=True)
            await publish(stays, 1, "e1")
            await fetch(goes)
        (loan,) = await fetch(stays)
    assert (loan.id, loan.losses) == ("e1", 0)


async def test_what_is_stored_outlives_all_sessions(path: Path) -> None:
    async with SqliteModule(path).open("first") as first:
        await first.bind([LEDGER], serve=True)
        await publish(first, 1, "e1", "e2")
        (loan,) = await fetch(first, 1)
        await first.settle(next(NUMBERS), [Settlement(loan.token, Step.SETTLED, b"", Letter("no", None, "", "", 1), 1)])
    async with SqliteModule(path).open("second") as second:
        assert [each.id for each in await fetch(second)] == ["e2"]
        (letter,) = await second.letters(None, None, 10)
        assert (letter.event, letter.body) == ("e1", b"body of e1")


async def test_a_cancelled_block_ends_its_session_and_its_thread(path: Path) -> None:
    threads = threading.active_count()
    async with SqliteModule(path).open("stays") as stays:
        with anyio.move_on_after(0.1):
            async with SqliteModule(path).open("goes") as goes:
                await goes.bind([LEDGER], serve=True)
                await anyio.sleep_forever()
        (subscription,) = await stays.subscriptions()
        assert subscription.served_by == ()
    assert threading.active_count() == threads


async def test_a_cancelled_call_that_had_not_begun_is_left_out(path: Path) -> None:
    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        entered, leave = threading.Event(), threading.Event()

        def block(_tx: object) -> None:
            entered.set()
            leave.wait(5)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inside(store)._run, block)
            while not entered.is_set():
                await anyio.sleep(0.001)
            with anyio.move_on_after(0.01):
                await publish(store, 1, "e1")
            leave.set()
        assert await fetch(store) == []


async def test_cancelled_news_lose_nothing(path: Path) -> None:
    async with SqliteModule(path).open("emits") as emits, SqliteModule(path).open("handles") as handles:
        await handles.bind([LEDGER], serve=True)
        await publish(emits, 1, "e1")
        with anyio.move_on_after(0):
            await notices(emits)
        await handles.settle(next(NUMBERS), settled(await fetch(handles)))
        for _ in range(20):
            with anyio.move_on_after(0.0005):
                await notices(emits)
        with anyio.fail_after(5):
            _, (notice,) = await notices(emits)
    assert notice.event == "e1"


async def test_a_call_after_the_end_says_so(path: Path) -> None:
    async with SqliteModule(path).open("session") as store:
        pass
    with pytest.raises(StoreBroken, match="its session has ended"):
        await fetch(store)


async def test_77_in_a_forked_child_every_call_is_refused_and_the_parent_goes_on(path: Path) -> None:
    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        worker = inside(store)._worker
        child = os.fork()
        if child == 0:
            try:
                worker.check()
            except ForkedProcess:
                os._exit(7)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        await publish(store, 1, "e1")
        assert [loan.id for loan in await fetch(store)] == ["e1"]


async def test_room_wakes_who_was_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY", 600.0)
    bounded = Binding("ledger", ("order.*",), 1)
    async with SqliteModule(path).open("emits") as emits, SqliteModule(path).open("handles") as handles:
        await handles.bind([bounded], serve=True)
        await publish(emits, 1, "e1")
        while not (await emits.news(0)).room:
            pass
        (refusal,) = await emits.publish(2, [[event("e2")]])
        assert "backlog" in str(refusal)
        await fetch(handles)
        with anyio.fail_after(5):
            while not (await emits.news(0)).room:
                pass


async def test_a_session_is_woken_by_none_but_its_own_matters(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY", 600.0)
    async with SqliteModule(path).open("idle") as idle, SqliteModule(path).open("works") as works:
        await works.bind([LEDGER], serve=True)
        with anyio.move_on_after(0.2):
            while True:
                await idle.news(0)
        await publish(works, 1, "e1")
        await works.settle(next(NUMBERS), settled(await fetch(works)))
        with anyio.move_on_after(0.1) as patience:
            await idle.news(0)
        assert patience.cancelled_caught

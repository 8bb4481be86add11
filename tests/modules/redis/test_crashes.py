"""Ends without a word: of the server, whose append-only file is synced at each write, and of processes (goal R8)."""

import time
from functools import partial
from typing import Any

import anyio
import pytest

from postroom import Event, Runtime, subscriber
from postroom.contract import Store
from tests.servers.redis import RedisServer

from .making import bind, fetch, hear, module, notices, publish, settle, until_done

pytestmark = pytest.mark.slow

DURABLE = {"appendonly": "yes", "appendfsync": "always"}
CYCLES = 5


async def emit_for_ever(store: Store, acknowledged: list[str]) -> None:
    number = 0
    while True:
        number += 1
        id = f"e{number}"
        await until_done(partial(publish, store, number, id))
        acknowledged.append(id)


async def test_a_killed_server_has_lost_nothing_that_was_acknowledged() -> None:
    acknowledged: list[str] = []
    handled: list[str] = []
    with RedisServer(DURABLE) as server:
        async with module(server.url).open("emitter") as emitter, module(server.url).open("worker") as worker:
            await bind(worker)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(emit_for_ever, emitter, acknowledged)
                for _ in range(CYCLES):
                    before = len(acknowledged)
                    with anyio.fail_after(10):
                        while len(acknowledged) < before + 20:
                            await anyio.sleep(0.005)
                    server.kill()
                    await anyio.to_thread.run_sync(server.start)
                    back = time.monotonic()
                    loans = await until_done(lambda: fetch(worker, 1000))
                    assert time.monotonic() - back < 2
                    handled += [loan.id for loan in loans]
                    await until_done(partial(settle, worker, *loans))
                tasks.cancel_scope.cancel()
            await until_done(lambda: worker.reclaim([]))
            handled += [loan.id for loan in await fetch(worker, 100_000)]
    assert len(acknowledged) >= CYCLES * 20
    assert not set(acknowledged) - set(handled)
    assert len(set(handled)) >= len(acknowledged)


async def test_what_survives_is_said_as_it_is() -> None:
    for options, kind in (
        (DURABLE, "always"),
        ({"appendonly": "yes"}, "everysec"),
        ({"appendonly": "yes", "appendfsync": "no"}, "os"),
        ({"save": "60 1"}, "snapshots"),
        ({}, "none"),
    ):
        with RedisServer(options) as server:
            made = module(server.url)
            assert made.guarantee is None
            async with made.open("one"):
                assert made.guarantee is not None
                assert made.guarantee.persistence == kind


async def test_leases_that_nobody_could_renew_while_the_server_was_away_go_on() -> None:
    with RedisServer(DURABLE) as server:
        async with (
            module(server.url, lease=1.2).open("one") as store,
            module(server.url, lease=1.2).open("two") as other,
        ):
            await bind(store)
            await bind(other)
            await publish(store, 1, "a")
            (loan,) = await fetch(store)
            server.kill()
            await anyio.sleep(1.4)
            server.start()
            assert await until_done(lambda: fetch(other)) == []
            assert await until_done(lambda: settle(store, loan, outcome=b"done")) == [True]


async def test_a_session_that_could_not_reach_the_server_for_a_lease_keeps_what_it_has_where_nobody_noticed(
    server: RedisServer,
) -> None:
    async with module(server.url).open("one") as store, module(server.url).open("two") as other:
        await bind(store)
        await bind(other)
        await publish(store, 1, "a", "b")
        (own,) = await fetch(store, 1)
        (loan,) = await fetch(other, 1)
        server.ask("ZADD", "{postroom:default}:lease", 0, "one", 0, "two")
        assert await fetch(store) == []
        assert await settle(other, loan) == [True]
        server.ask("ZADD", "{postroom:default}:lease", 0, "one")
        assert await settle(store, own) == [True]


async def test_a_session_that_ends_when_its_lease_has_run_out_hands_back_without_a_loss(server: RedisServer) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        await publish(store, 1, "a")
        assert len(await fetch(store)) == 1
        server.ask("ZADD", "{postroom:default}:lease", 0, "one")
    async with module(server.url).open("two") as other:
        (loan,) = await fetch(other)
        assert loan.losses == 0


async def test_a_lease_lives_while_a_handler_blocks_the_loop(server: RedisServer) -> None:
    """For three times as long (reliability, R19): it is renewed from a thread."""
    async with module(server.url, lease=0.6).open("one") as store:
        await bind(store)
        await publish(store, 1, "a")
        (loan,) = await fetch(store)
        async with module(server.url, lease=60.0).open("two") as other:
            await bind(other)
            time.sleep(1.8)  # noqa: ASYNC251 - a handler that blocks
            assert await fetch(other) == []
            assert await settle(store, loan) == [True]


async def test_the_end_of_a_session_gives_back_at_once_and_tells_who_serves(server: RedisServer) -> None:
    async with module(server.url).open("two") as other:
        await bind(other)
        async with module(server.url).open("one") as store:
            await bind(store)
            await publish(store, 1, "a")
            assert len(await fetch(store)) == 1
            await hear(other, lambda news: news.mail)
        await hear(other, lambda news: news.mail)
        (loan,) = await fetch(other)
        assert loan.losses == 0


async def test_a_session_whose_block_is_cancelled_gives_back_at_once_as_well(server: RedisServer) -> None:
    async with module(server.url, lease=60.0).open("two") as other:
        await bind(other)
        with anyio.CancelScope() as block:
            async with module(server.url, lease=60.0).open("one") as store:
                await bind(store)
                await publish(store, 1, "a")
                assert len(await fetch(store)) == 1
                block.cancel()
                await anyio.sleep_forever()
        (loan,) = await fetch(other)
        assert loan.losses == 0


async def test_a_session_that_came_back_hears_what_became_of_its_events_meanwhile(server: RedisServer) -> None:
    async with module(server.url).open("one") as store, module(server.url).open("two") as other:
        await bind(other)
        await publish(store, 1, "a")
        (loan,) = await fetch(other)
        server.ask("ZADD", "{postroom:default}:lease", 0, "one")
        await settle(other, loan, outcome=b"done")
        assert [notice.outcome for notice in await notices(store)] == [b"done"]


async def test_two_runtimes_share_the_work_and_the_server_may_be_killed_meanwhile() -> None:
    seen: list[int] = []

    @subscriber("order.*", concurrency=4)
    async def ledger(event: Event) -> Any:
        await anyio.sleep(0.001)
        seen.append(event.data)
        return event.data

    with RedisServer(DURABLE) as server:
        async with (
            Runtime(module=module(server.url), subscribers=[ledger]) as first,
            Runtime(module=module(server.url), subscribers=[ledger]),
        ):
            receipts = []
            for number in range(60):
                receipts.append(await first.emit("order.placed", number, id=f"o{number}"))
                if number == 30:
                    server.kill()
                    await anyio.to_thread.run_sync(server.start)
            with anyio.fail_after(20):
                reports = [await receipt for receipt in receipts]
    assert all(report.succeeded for report in reports)
    assert set(seen) == set(range(60))


async def test_no_keys_grow_with_what_was_handled(server: RedisServer) -> None:
    async with module(server.url, window=0.2).open("one") as store:
        await bind(store, "ledger", "mail")

        async def keys_after(first: int) -> list[bytes]:
            for number in range(first, first + 3):
                await publish(store, number, f"a{number}", f"b{number}", key=f"k{number}", digest=b"1")
                fetched = await store.fetch({"ledger": 5, "mail": 5})
                await settle(store, *fetched.loans)
            await anyio.sleep(0.3)
            return sorted(server.ask("KEYS", "*"))

        assert await keys_after(1) == await keys_after(10)

"""What happens to a store that many share (reliability scenarios 45, 58 to 64, 66 to 70)."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from postroom import Event, Runtime, subscriber
from postroom.contract import Settlement, Step
from postroom.modules.redis import scripts
from postroom.store_errors import StoreBusy, StoreFull, UnknownResult
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

from .making import NUMBERS, PREFIX, bind, error_of, event, fetch, hear, module, notices, publish, settle, until_done

pytestmark = pytest.mark.slow

SLEEPER = """
import sys
import anyio
from tests.modules.redis.making import *

async def main() -> None:
    async with module(sys.argv[1], lease=0.8).open("sleeper") as store:
        await bind(store)
        (loan,) = await fetch(store)
        print("has it", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        settled = await settle(store, loan)
        news = await hear(store, lambda each: each.lost)
        print(settled, news.lost, flush=True)

anyio.run(main)
"""


async def test_45_a_process_that_slept_settles_nothing_that_others_took_over(server: RedisServer) -> None:
    async with module(server.url, lease=0.8).open("awake") as store:
        await bind(store)
        await publish(store, 1, "a")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(  # noqa: ASYNC220 - its pipes are read in threads
            [sys.executable, "-c", SLEEPER, server.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[3],
        ) as sleeper:
            assert sleeper.stdin is not None
            assert sleeper.stdout is not None
            assert await anyio.to_thread.run_sync(sleeper.stdout.readline) == "has it\n"
            sleeper.send_signal(signal.SIGSTOP)
            await hear(store, lambda news: news.mail)
            (taken,) = await until_fetched(store)
            assert (taken.id, taken.losses) == ("a", 1)
            sleeper.send_signal(signal.SIGCONT)
            sleeper.stdin.write("go on\n")
            sleeper.stdin.flush()
            assert await anyio.to_thread.run_sync(sleeper.stdout.readline) == "[False] True\n"
        assert await settle(store, taken) == [True]


async def until_fetched(store: Any) -> Any:
    with anyio.fail_after(10):
        while not (loans := await until_done(lambda: fetch(store))):
            await anyio.sleep(0.05)
        return loans


async def test_58_without_memory_emits_are_refused_and_what_is_there_is_handled(server: RedisServer) -> None:
    async with module(server.url).open("one") as store, module(server.url).open("two") as other:
        await bind(store)
        await publish(store, 1, "a", "b")
        (a,) = await fetch(store, 1)
        try:
            server.ask("CONFIG", "SET", "maxmemory", 1)
            error = await error_of(lambda: publish(store, 2, "c"))
            assert isinstance(error, StoreFull)
            assert "maxmemory" in str(error)
            assert await settle(store, a) == [True]
            (b,) = await fetch(store)
            assert await settle(other, b) == [False]
            step = Settlement(b.token, Step.RETRYING, attempts=1, wait=0.0)
            assert await store.settle(next(NUMBERS), [step]) == [True]
            assert await settle(store, b, outcome=b"{}") == [True]
            assert isinstance(await error_of(lambda: store.stage("g", [event("d")], 9.0)), StoreFull)
        finally:
            server.ask("CONFIG", "SET", "maxmemory", 0)
        assert (await publish(store, 2, "c"))[0].targets == ("ledger",)


async def test_59_where_the_server_takes_no_writes_any_more_the_same_call_is_done_once_it_does(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        try:
            server.ask("REPLICAOF", "127.0.0.1", 1)
            error = await error_of(lambda: publish(store, 1, "a"))
            assert isinstance(error, StoreBusy)
            assert "READONLY" in str(error)
        finally:
            server.ask("REPLICAOF", "NO", "ONE")
        await until_done(lambda: publish(store, 1, "a"))
        assert [loan.id for loan in await fetch(store)] == ["a"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it takes seconds
async def test_59_a_failover_moves_the_session_to_the_new_primary_and_tells_of_the_window(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RedisServer() as first, RedisServer() as second:
        second.ask("REPLICAOF", "127.0.0.1", first.port)
        with anyio.fail_after(20):
            while b"master_link_status:up" not in second.ask("INFO", "replication"):
                await anyio.sleep(0.05)
        watching = {"sentinel monitor": f"shop 127.0.0.1 {first.port} 1", "save": None}
        with RedisServer(watching, arguments=("--sentinel",)) as sentinel:
            with anyio.fail_after(30):
                while b"num-slaves" not in b" ".join(sentinel.ask("SENTINEL", "MASTER", "shop")) or not sentinel.ask(
                    "SENTINEL", "REPLICAS", "shop"
                ):
                    await anyio.sleep(0.1)
            url = f"redis+sentinel://127.0.0.1:{sentinel.port}/shop/0"
            async with module(url, lease=20.0).open("one") as store:
                await bind(store)
                await publish(store, 1, "a")
                (loan,) = await fetch(store)
                with anyio.fail_after(30):
                    while sentinel.ask("SENTINEL", "FAILOVER", "shop") != "OK":
                        await anyio.sleep(0.2)
                    while b"role:master" not in second.ask("INFO", "replication"):
                        await anyio.sleep(0.05)
                first.ask("REPLICAOF", "127.0.0.1", second.port)  # as the sentinel does some seconds later
                await until_done(lambda: settle(store, loan), 20)  # where a reply gets lost, the next one finds nothing
                (found,) = await until_done(store.subscriptions, 20)
                assert (found.lent, found.waiting) == (0, 0)
                await until_done(lambda: publish(store, 2, "b"), 20)
                assert b"b" in [each.id.encode() for each in await fetch(store)]
    assert "another server has taken its place" in caplog.text


async def test_60_scripts_that_the_server_has_forgotten_are_loaded_again(server: RedisServer) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        server.ask("SCRIPT", "FLUSH")
        await publish(store, 1, "a")
        assert [loan.id for loan in await fetch(store)] == ["a"]


async def test_60_after_a_flush_the_session_begins_anew_and_says_so(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        await publish(store, 1, "a", "b", "c")
        (lost, *_) = await fetch(store)
        for _ in range(20):  # its numbers are high
            await store.reclaim([lost.token])
        before = await hear(store, lambda news: news.routes)
        server.ask("FLUSHALL")
        with anyio.fail_after(10):
            while not (news := await until_done(partial(store.news, before.number))).lost:
                before = news
        assert news.number > before.number
        assert "was emptied by somebody" in caplog.text
        assert await settle(store, lost) == [False]
        await publish(store, 2, "d")
        assert [loan.id for loan in await fetch(store)] == ["d"]
        (listed,) = await store.subscriptions()
        assert listed.served_by == ("one",)


async def test_61_a_reply_that_comes_too_late_is_nobodys(server: RedisServer) -> None:
    async with module(server.url, reply_within=0.3, lease=20.0).open("one") as store:
        await bind(store)
        await publish(store, 1, "a")
        server.freeze()
        try:
            assert isinstance(await error_of(lambda: fetch(store)), UnknownResult)
        finally:
            server.thaw()
        await until_done(lambda: publish(store, 2, "b"))
        await until_done(lambda: store.reclaim([]))
        assert [loan.id for loan in await fetch(store)] == ["a", "b"]


async def test_62_the_reply_to_a_cancelled_call_is_nobodys(server: RedisServer) -> None:
    with Proxy(server.port) as proxy:
        async with module(proxy.url).open("one") as store:
            await bind(store)
            proxy.delay = 0.1
            for number in range(1, 6):
                with anyio.move_on_after(0.05):
                    await publish(store, 2 * number, f"cancelled {number}")
                (listed,) = await until_done(store.subscriptions)
                assert listed.name == "ledger"
            proxy.delay = 0.0
            await store.reclaim([])
            ids = [loan.id for loan in await fetch(store)]
            assert len(ids) == len(set(ids))


async def test_62_a_cancelled_wait_for_news_loses_none(server: RedisServer) -> None:
    async with module(server.url).open("one") as store, module(server.url).open("two") as other:
        await bind(other)
        await publish(store, 1, "a")
        (loan,) = await fetch(other)
        for _ in range(3):
            with anyio.move_on_after(0.02):
                while True:
                    await store.news(0)
        await settle(other, loan, outcome=b"done")
        assert [notice.outcome for notice in await notices(store)] == [b"done"]


async def test_63_a_connection_that_stands_but_carries_nothing_is_noticed(server: RedisServer) -> None:
    with Proxy(server.port) as proxy:
        async with module(proxy.url, lease=20.0).open("one") as store, module(server.url).open("two") as other:
            await bind(other)
            await publish(store, 1, "a")
            (loan,) = await fetch(other)
            heard: list[Any] = []

            async def listen() -> None:
                heard.extend(await notices(store, 15))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await anyio.sleep(0.1)
                proxy.swallow = True
                await settle(other, loan, outcome=b"done")
                assert isinstance(await error_of(lambda: fetch(store)), UnknownResult)
                await anyio.sleep(0.5)
                proxy.swallow = False
            assert [notice.outcome for notice in heard] == [b"done"]
            assert await until_done(lambda: fetch(store)) == []


async def test_63_what_is_in_hand_while_the_server_is_out_of_reach_for_longer_than_a_lease_is_handled_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    handled: list[int] = []
    begun, go_on = anyio.Event(), anyio.Event()

    @subscriber("order.*", concurrency=1)
    async def ledger(event: Event) -> None:
        handled.append(event.data)
        begun.set()
        await go_on.wait()

    with Proxy(server.port) as proxy:
        async with Runtime(module=module(proxy.url, lease=0.6), subscribers=[ledger], losses=1) as runtime:
            receipts = [await runtime.emit("order.placed", number) for number in (1, 2)]
            await begun.wait()
            proxy.refuse = True
            proxy.cut()
            go_on.set()
            await anyio.sleep(1.2)
            proxy.heal()
            with anyio.fail_after(10):
                for receipt in receipts:
                    await receipt
            assert not await runtime.dead_letters.list()
    assert handled == [1, 2]
    assert "had been lent to another process" not in caplog.text


async def test_64_a_delivery_whose_event_somebody_has_deleted_ends_as_a_dead_letter(server: RedisServer) -> None:
    seen: list[Any] = []

    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        seen.append(event.data)

    async with module(server.url).open("one") as store:
        await bind(store)
        await publish(store, 1, "a")
    server.ask("DEL", PREFIX + "b")
    async with Runtime(module=module(server.url), subscribers=[ledger]) as runtime:
        with anyio.fail_after(10):
            while not await runtime.dead_letters.list():
                await anyio.sleep(0.02)
        await runtime.idle()
        (letter,) = await runtime.dead_letters.list()
        assert letter.subscription == "ledger"
        report = await runtime.emit_and_wait("order.placed", 1)
        assert report.succeeded
    assert seen == [1]


async def test_66_what_was_lost_can_be_settled_by_nobody_but_who_has_it_now(server: RedisServer) -> None:
    async with module(server.url).open("one") as store, module(server.url).open("two") as other:
        await bind(store)
        await bind(other)
        await publish(store, 1, "a")
        (loan,) = await fetch(store)
        server.ask("ZADD", PREFIX + "lease", 0, "one")
        (again,) = await fetch(other)
        assert (again.id, again.losses) == ("a", 1)
        assert await settle(store, loan) == [False]
        assert (await hear(store, lambda news: news.lost)).lost
        assert await settle(other, again) == [True]


async def test_67_who_emits_waits_for_a_store_that_is_slow(server: RedisServer) -> None:
    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        """Takes it."""

    with Proxy(server.port) as proxy:
        async with Runtime(module=module(proxy.url), subscribers=[ledger]) as runtime:
            proxy.delay = 0.1
            began = anyio.current_time()
            for number in range(5):
                await runtime.emit("order.placed", number)
            assert anyio.current_time() - began >= 0.5
            proxy.delay = 0.0
            await runtime.idle()


async def test_68_what_a_dead_process_had_is_taken_over_though_the_server_restarts_meanwhile() -> None:
    with RedisServer({"appendonly": "yes", "appendfsync": "always"}) as server:
        async with module(server.url, lease=1.0).open("one") as store:
            async with module(server.url, lease=1.0).open("dead") as dead:
                await bind(dead)
                await publish(dead, 1, "a")
                assert len(await fetch(dead)) == 1
                server.kill()  # it can't even say that it ends
            server.start()
            await until_done(lambda: bind(store))
            (loan,) = await until_fetched(store)
            assert (loan.id, loan.losses) == ("a", 1)


async def test_69_two_that_take_over_the_same_get_it_once(server: RedisServer) -> None:
    async with (
        module(server.url).open("one") as one,
        module(server.url).open("two") as two,
        module(server.url).open("dead") as dead,
    ):
        for store in (one, two, dead):
            await bind(store)
        await publish(dead, 1, *"abcdef")
        await fetch(dead)
        server.ask("ZADD", PREFIX + "lease", 0, "dead")
        taken: list[str] = []

        async def take(store: Any) -> None:
            taken.extend(loan.id for loan in await fetch(store, 4))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, one)
            tasks.start_soon(take, two)
        assert sorted(taken) == list("abcdef")


async def test_70_a_payload_that_is_too_large_is_refused_also_where_it_is_in_the_store_already(
    server: RedisServer,
) -> None:
    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        raise AssertionError("nobody may see it")

    async with module(server.url).open("hostile") as store:
        await bind(store)
        body = b'{"name":"order.placed","data":"%s"}' % (b"x" * 1_100_000)
        huge = event("huge")
        await store.publish(1, [[type(huge)("huge", "order.placed", body)]])
    async with Runtime(module=module(server.url), subscribers=[ledger]) as runtime:
        with anyio.fail_after(10):
            while not (letters := await runtime.dead_letters.list()):
                await anyio.sleep(0.02)
        assert letters[0].raw == body
        await runtime.idle()


async def test_57_a_lost_reply_to_an_emit_is_asked_for_again_and_done_once(server: RedisServer) -> None:
    with Proxy(server.port) as proxy:
        async with module(proxy.url).open("one") as store:
            await bind(store)
            for number in range(1, 4):
                proxy.half = number == 2
                proxy.lose = (scripts.PUBLISH.sha.encode(), 1)
                assert isinstance(await error_of(partial(publish, store, number, f"e{number}")), UnknownResult)
                (published,) = await until_done(partial(publish, store, number, f"e{number}"))
                assert published.targets == ("ledger",)
            assert [loan.id for loan in await fetch(store)] == ["e1", "e2", "e3"]

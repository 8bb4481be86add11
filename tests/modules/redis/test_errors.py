"""What Redis answers on its bad days, each once: what the caller is told, and that it goes on afterwards (goal R10)."""

import shutil
from functools import partial
from typing import Any

import anyio
import pytest

from postroom import Event, Runtime, subscriber
from postroom.store_errors import StoreBroken, StoreBusy, StoreFull, UnknownResult
from tests.servers.redis import RedisServer, free_port

from .making import PREFIX, bind, error_of, fetch, hear, module, notices, publish, settle, until_done

pytestmark = [pytest.mark.slow, pytest.mark.redis_errors]


async def test_oom(server: RedisServer) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        server.ask("CONFIG", "SET", "maxmemory", 1)
        try:
            assert isinstance(await error_of(lambda: publish(store, 1, "a")), StoreFull)
        finally:
            server.ask("CONFIG", "SET", "maxmemory", 0)
        await until_done(lambda: publish(store, 1, "a"))
        assert len(await fetch(store)) == 1


async def test_who_comes_to_handle_what_fills_the_memory_gets_in(server: RedisServer) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        await publish(store, 1, "a")
    server.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        async with module(server.url).open("two") as store:
            await bind(store)
            await store.pause("ledger", True)
            await store.pause("ledger", False)
            (loan,) = await fetch(store)
            assert await settle(store, loan) == [True]
    finally:
        server.ask("CONFIG", "SET", "maxmemory", 0)


async def test_readonly(server: RedisServer) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        server.ask("REPLICAOF", "127.0.0.1", 1)
        try:
            error = await error_of(lambda: fetch(store))
        finally:
            server.ask("REPLICAOF", "NO", "ONE")
        assert isinstance(error, StoreBusy)
        assert await until_done(lambda: fetch(store)) == []


async def test_masterdown(server: RedisServer) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
        server.ask("REPLICAOF", "127.0.0.1", 1)
        try:
            error = await error_of(lambda: fetch(store))
            assert isinstance(error, StoreBusy)
            assert "MASTERDOWN" in str(error)
        finally:
            server.ask("REPLICAOF", "NO", "ONE")
            server.ask("CONFIG", "SET", "replica-serve-stale-data", "yes")
        assert await until_done(lambda: fetch(store)) == []


async def test_loading() -> None:
    options = {"save": "3600 1000000", "rdbcompression": "no"}
    with RedisServer(options) as server:
        async with module(server.url, lease=30.0).open("one") as store:
            await bind(store)
            await publish(store, 1, "a")
            for number in range(150):  # it answers once for every 2 MB that it has loaded
                server.ask("SET", f"other {number}", "x" * 300_000)
            server.ask("SAVE")
            server.kill()
            server.options = {**options, "key_load_delay": 7_000}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, server.start)
                errors: list[str] = []
                with anyio.fail_after(20):
                    while True:
                        try:
                            loans = await fetch(store)
                            break
                        except (StoreBusy, UnknownResult) as error:
                            errors.append(str(error))
                            await anyio.sleep(0.02)
            assert [loan.id for loan in loans] == ["a"]
            assert any("LOADING" in each for each in errors)


async def test_noscript(server: RedisServer) -> None:
    async with module(server.url).open("one") as store:
        await bind(store)
        for number in range(1, 4):
            server.ask("SCRIPT", "FLUSH")
            await publish(store, number, f"e{number}")
        assert len(await fetch(store)) == 3


async def test_misconf(tmp_path: Any) -> None:
    with RedisServer({"save": "3600 1", "dir": tmp_path}) as server:
        async with module(server.url).open("one") as store:
            await bind(store)
            shutil.rmtree(tmp_path)
            server.ask("BGSAVE")
            with anyio.fail_after(10):
                while b"rdb_last_bgsave_status:err" not in server.ask("INFO", "persistence"):
                    await anyio.sleep(0.02)
            error = await error_of(lambda: publish(store, 1, "a"))
            assert isinstance(error, StoreFull)
            assert "MISCONF" in str(error)
            server.ask("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
            await until_done(lambda: publish(store, 1, "a"))


async def test_wrongtype(server: RedisServer) -> None:
    server.ask("SET", PREFIX + "lease", "of another program")

    async def use() -> None:
        async with module(server.url).open("one"):
            """Not reached."""

    error = await error_of(use)
    assert isinstance(error, StoreBroken)
    assert "another program" in str(error)
    assert "namespace" in str(error)


async def test_flushall_with_two_sessions(server: RedisServer) -> None:
    async with module(server.url).open("one") as store, module(server.url).open("two") as other:
        await bind(store)
        await bind(other, "mail")
        server.ask("FLUSHALL")
        await hear(store, lambda news: news.lost)
        await hear(other, lambda news: news.lost)
        await publish(store, 1, "a")
        (loan,) = await fetch(other, name="mail")
        await settle(other, loan, outcome=b"done")
        assert [each.outcome for each in await notices(store)] == [b"done"]


async def test_a_receipt_of_what_flushall_took_says_that_nobody_can_tell(server: RedisServer) -> None:
    @subscriber("order.*")
    async def ledger(event: Event) -> str:
        return "booked"

    async with Runtime(module=module(server.url), role="emit", subscribers=[ledger]) as runtime:
        lost = [await runtime.emit("order.placed", 1, id="order-1") for _ in range(2)]
        server.ask("FLUSHALL")
        with anyio.fail_after(10):
            for receipt in lost:
                with pytest.raises(UnknownResult):
                    await receipt
        again = await runtime.emit("order.placed", 1, id="order-1")
        async with Runtime(module=module(server.url), role="handle", subscribers=[ledger]):
            with anyio.fail_after(10):
                assert (await again).succeeded


async def test_client_kill(server: RedisServer) -> None:
    async with module(server.url).open("one") as store, module(server.url).open("two") as other:
        await bind(other)
        for number in range(1, 4):
            server.ask("CLIENT", "KILL", "TYPE", "normal")
            await until_done(partial(publish, store, number, f"e{number}"))
            (loan,) = await until_done(lambda: fetch(other))
            await until_done(partial(settle, other, loan, outcome=b"done"))
        assert len((await hear(store, lambda news: len(news.notices) == 3)).notices) == 3


def cluster_port() -> int:
    """A free one whose bus has a port as well."""
    while (port := free_port()) > 55_000:
        pass
    return port


@pytest.mark.parametrize("anyio_backend", ["trio"])  # it takes seconds
async def test_moved() -> None:
    options = {"cluster_enabled": "yes", "cluster_require_full_coverage": "no"}
    with (
        RedisServer(options, port=cluster_port()) as empty,
        RedisServer(options, port=cluster_port()) as full,
    ):
        full.ask("CLUSTER", "ADDSLOTS", *range(16384))
        empty.ask("CLUSTER", "MEET", "127.0.0.1", full.port)
        with anyio.fail_after(20):
            while b"cluster_slots_assigned:16384" not in empty.ask("CLUSTER", "INFO"):
                await anyio.sleep(0.05)
        async with module(empty.url, wait_for_server=10.0).open("one") as store:
            await bind(store)
            await publish(store, 1, "a")
            assert len(await fetch(store)) == 1
        assert full.ask("EXISTS", PREFIX + "state") == 1


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/0", "redis://:wrong@127.0.0.1:{}/0"])
async def test_noauth_and_wrongpass(url: str) -> None:
    with RedisServer({"requirepass": "sesame"}) as server:

        async def use() -> None:
            async with module(url.format(server.port)).open("one"):
                """Not reached."""

        error = await error_of(use)
        assert isinstance(error, StoreBroken)
        assert "password" in str(error)
        async with module(f"redis://:sesame@127.0.0.1:{server.port}/0").open("one") as store:
            await bind(store)


async def test_noperm_while_it_is_open(server: RedisServer) -> None:
    server.ask("ACL", "SETUSER", "shop", "reset", "on", ">sesame", "~*", "+@all")
    async with module(server.url.replace("://", "://shop:sesame@")).open("one") as store:
        await bind(store)
        server.ask("ACL", "SETUSER", "shop", "-evalsha")
        error = await error_of(lambda: fetch(store))
        assert isinstance(error, StoreBroken)
        assert "may not do" in str(error)
        server.ask("ACL", "SETUSER", "shop", "+evalsha")


async def test_nobody_there() -> None:
    async def use() -> None:
        async with module(f"redis://127.0.0.1:{free_port()}/0").open("one"):
            """Not reached."""

    error = await error_of(use)
    assert isinstance(error, StoreBroken)
    assert "can't be reached" in str(error)


async def test_a_server_that_evicts_is_refused(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.ask("CONFIG", "SET", "maxmemory", 100_000_000)
    try:

        async def use() -> None:
            async with module(server.url).open("one"):
                """Not reached."""

        error = await error_of(use)
    finally:
        server.ask("CONFIG", "SET", "maxmemory", 0)
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert isinstance(error, StoreBroken)
    assert "noeviction" in str(error)

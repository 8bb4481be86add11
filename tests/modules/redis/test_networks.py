"""What networks do to connections: no reply reaches another caller, and nothing is lost or done twice (goal R9)."""

from functools import partial
from typing import Any

import anyio
import pytest

from postroom.contract import Store
from postroom.errors import Full
from postroom.store_errors import UnknownResult
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

from .making import bind, fetch, hear, module, publish, settle, until_done

pytestmark = pytest.mark.slow

EVENTS = 30


def slow(proxy: Proxy) -> None:
    proxy.delay = 0.02


def sliced(proxy: Proxy) -> None:
    proxy.slice = 1


def as_it_is(proxy: Proxy) -> None:
    """Only cut."""


@pytest.mark.parametrize("worsen", [as_it_is, slow, sliced])
async def test_events_come_through_once_though_connections_are_cut_and_slow(server: RedisServer, worsen: Any) -> None:
    handled: list[str] = []

    async def emit(store: Store) -> None:
        for number in range(1, EVENTS + 1):
            (published,) = await until_done(partial(publish, store, number, f"e{number}"))
            assert published.targets == ("ledger",)

    async def handle(store: Store) -> None:
        failed = False
        while len(handled) < EVENTS:
            try:
                if failed:
                    await store.reclaim([])
                failed = True
                loans = await fetch(store)
                failed = False
            except (Full, UnknownResult):
                await anyio.sleep(0.01)
                continue
            for loan in loans:
                assert loan.body == f"body of {loan.id}".encode()
            results = await until_done(partial(settle, store, *loans))
            assert len(results) == len(loans)
            handled.extend(loan.id for loan in loans)

    with Proxy(server.port) as proxy:
        async with module(proxy.url).open("one") as emitter, module(proxy.url).open("two") as worker:
            await bind(worker)
            worsen(proxy)
            with anyio.fail_after(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(emit, emitter)
                    tasks.start_soon(handle, worker)
                    for _ in range(5):
                        await anyio.sleep(0.1)
                        proxy.cut()
            proxy.cut()
            news = await hear(emitter, lambda each: len(each.notices) == EVENTS)
    assert sorted(handled) == sorted(f"e{number}" for number in range(1, EVENTS + 1))
    assert len({notice.event for notice in news.notices}) == EVENTS

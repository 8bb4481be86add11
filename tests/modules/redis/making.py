"""Short words for what most tests of the Redis module do."""

import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

import anyio

from postroom.contract import Binding, Fetched, Loan, News, Notice, Settlement, Step, Store, StoredEvent
from postroom.errors import PostroomError
from postroom.modules.redis import RedisModule
from postroom.store_errors import StoreBusy, StoreFull, UnknownResult

T = TypeVar("T")

PREFIX = "{postroom:default}:"

NUMBERS: Final = itertools.count(1)
"""Of settlements, of all sessions together."""


def module(url: str, **options: Any) -> RedisModule:
    """A module that is quick to notice."""
    return RedisModule(url, **{"lease": 3.0, "reply_within": 1.0, "connect_within": 1.0, "block": 0.5, **options})


async def bind(store: Store, *names: str, pattern: str = "order.*", **options: Any) -> None:
    await store.bind([Binding(name, (pattern,), **options) for name in names or ("ledger",)], serve=True)


def event(id: str, name: str = "order.placed", **options: Any) -> StoredEvent:
    return StoredEvent(id, name, f"body of {id}".encode(), **options)


async def publish(store: Store, number: int, *ids: str, **options: Any) -> Any:
    (answer,) = await store.publish(number, [[event(id, **options) for id in ids]])
    return answer


async def fetch(store: Store, count: int = 10, name: str = "ledger") -> list[Loan]:
    fetched: Fetched = await store.fetch({name: count})
    return fetched.loans


async def settle(store: Store, *loans: Loan, outcome: bytes = b"{}") -> list[bool]:
    return await store.settle(next(NUMBERS), [Settlement(loan.token, Step.SETTLED, outcome) for loan in loans])


async def until_done(ask: Callable[[], Awaitable[T]], within: float = 10.0) -> T:
    """Ask as the runtime does: again, as long as that may help."""
    with anyio.fail_after(within):
        while True:
            try:
                return await ask()
            except (StoreBusy, StoreFull, UnknownResult):
                await anyio.sleep(0.02)


async def hear(store: Store, wanted: Callable[[News], object], within: float = 10.0) -> News:
    """News of a kind, asked for as the runtime does."""
    seen = 0
    with anyio.fail_after(within):
        while True:
            news = await until_done(partial(store.news, seen))
            seen = news.number
            if wanted(news):
                return news


async def notices(store: Store, within: float = 10.0) -> list[Notice]:
    news = await hear(store, lambda each: each.notices, within)
    return list(news.notices)


async def error_of(ask: Callable[[], Awaitable[object]]) -> PostroomError:
    """What a call raises."""
    try:
        await ask()
    except PostroomError as error:
        return error
    raise AssertionError("it has worked")

"""Short ways to call a store in tests."""

import itertools
from collections.abc import Sequence
from typing import Any, Final

from postroom.contract import Answer, Binding, Loan, News, Notice, Settlement, Step, Store, StoredEvent
from postroom.modules.sqlite.session import SqliteSession

LEDGER = Binding("ledger", ("order.*",))

NUMBERS: Final = itertools.count(1)
"""Of settlements, of all sessions together."""


def event(id: str, name: str = "order.placed", **options: Any) -> StoredEvent:
    return StoredEvent(id, name, f"body of {id}".encode(), **options)


def settled(loans: Sequence[Loan]) -> list[Settlement]:
    return [Settlement(loan.token, Step.SETTLED, b"done") for loan in loans]


async def publish(store: Store, number: int, *ids: str, **options: Any) -> Answer:
    (answer,) = await store.publish(number, [[event(id, **options) for id in ids]])
    return answer


async def fetch(store: Store, count: int = 10, name: str = "ledger") -> list[Loan]:
    return (await store.fetch({name: count})).loans


async def notices(store: Store, seen: int = 0) -> tuple[News, Sequence[Notice]]:
    """The next news that have any."""
    while True:
        news = await store.news(seen)
        if news.notices:
            return news, news.notices


def inside(store: Store) -> SqliteSession:
    """For tests that meddle with the file from the session's own thread: `await inside(store)._run(…)`."""
    assert isinstance(store, SqliteSession)
    return store

"""A bare session on a store, as the checks of the contract itself use it."""

import itertools
from collections.abc import Iterator
from typing import Any

import anyio
import attrs

from postroom.contract import Binding, Loan, News, Notice, Published, Settlement, Step, Store, StoredEvent

from .world import World


@attrs.define(eq=False)
class Bare:
    """A session, and its numbers."""

    store: Store
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)
    _settlements: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    def next(self) -> int:
        """The number of the next call that is numbered."""
        return next(self._numbers)

    def next_settle(self) -> int:
        """The number of the next `settle`."""
        return next(self._settlements)

    async def bind(self, name: str = "ledger", *patterns: str, serve: bool = True, **options: Any) -> None:
        """Register one subscription.

        Cancellation: as the store's.
        """
        await self.store.bind([Binding(name, patterns or ("order.*",), **options)], serve=serve)

    async def publish(self, *ids: str, **fields: Any) -> list[Published]:
        """Publish one event for each id, together.

        Cancellation: as the store's.
        """
        (answer,) = await self.store.publish(self.next(), [[event(id, **fields) for id in ids]])
        assert isinstance(answer, list), answer
        return answer

    async def fetch(self, count: int = 100, name: str = "ledger") -> list[Loan]:
        """What one subscription is lent.

        Cancellation: as the store's.
        """
        return (await self.store.fetch({name: count})).loans

    async def settle(self, loan: Loan, outcome: bytes = b"{}") -> bool:
        """Settle one loan.

        Cancellation: as the store's.
        """
        return (await self.note(Settlement(loan.token, Step.SETTLED, outcome)))[0]

    async def give_back(self, loan: Loan, *, attempts: int = 0, wait: float = 0.0) -> bool:
        """Return one loan.

        Cancellation: as the store's.
        """
        return (await self.note(Settlement(loan.token, Step.RETURNED, attempts=attempts, wait=wait)))[0]

    async def note(self, *steps: Settlement) -> list[bool]:
        """Note steps of loans in one call.

        Cancellation: as the store's.
        """
        return list(await self.store.settle(self.next_settle(), steps))

    async def fetch_when_due(self, world: World, name: str = "ledger") -> list[Loan]:
        """What it is lent as soon as there is something.

        Raises:
            TimeoutError: there is nothing for as long as the world is patient.

        Cancellation: as the store's.
        """
        with anyio.fail_after(world.patience):
            while not (loans := await self.fetch(name=name)):
                await world.wait(0.2)
        return loans

    async def hear(self, world: World, seen: int = 0, count: int = 1) -> tuple[list[Notice], News]:
        """The notices that come again or anew after `seen`, at least so many, and the last news.

        Raises:
            TimeoutError: they do not come.

        Cancellation: as the store's.
        """
        with anyio.fail_after(world.patience):
            while True:
                news = await self.store.news(seen)
                if len(news.notices) >= count:
                    return list(news.notices), news


def event(id: str, name: str = "order.placed", body: bytes = b"body", **fields: Any) -> StoredEvent:
    """An event as a store gets it."""
    return StoredEvent(id, name, body, **fields)


def ids_of(loans: list[Loan]) -> list[str]:
    """Of the events that are lent."""
    return [loan.id for loan in loans]

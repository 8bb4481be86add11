"""A branch of the shop: the same jobs as in one process, with the books in a file that all branches share.

Run by the storefront itself, once for each process: python -m examples.storefront.branch MODULE BOOKS ...
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs

from postroom import (
    Actor,
    Batch,
    BatchFailure,
    Context,
    Event,
    Full,
    Retry,
    Runtime,
    Subscriber,
    Supervision,
    constant,
    exponential,
    on,
    subscriber,
)

from .books import Books
from .modules import module_of
from .shop import MOST_CRASHES, MailServerBusy
from .stock import ClerkFainted
from .telling import tell_of_postroom

TOGETHER: Final = Batch(size=100)
"""A transaction in the books takes as long for one entry as for a hundred."""


@attrs.define(eq=False)
class Warehouse(Actor):
    """Packs orders; its clerk faints now and then, before anything is written."""

    books: Books
    crash: float
    random: Random

    @on("order.placed")
    async def pack(self, event: Event) -> None:
        """Pack an order."""
        if self.random.random() < self.crash:
            raise ClerkFainted
        await _write(self.books, "packed", [(event.id, event.data["quantity"])])


@attrs.define(eq=False)
class Branch:
    """Everybody who works in one branch.

    Attributes:
        fail: The share of the mailer's attempts that fail, from 0 to 1.
        crash: The share of the warehouse's attempts that crash, from 0 to 1.
    """

    books: Books
    fail: float = 0.0
    crash: float = 0.0
    random: Random = attrs.field(factory=Random)

    def subscribers(self) -> list[Subscriber[..., Any]]:
        """The same subscriptions in every branch, so that each event is handled in one of them."""
        room = Retry(attempts=1000, backoff=constant(1.0), on=Full)  # of the store, for the welcomes
        patience = Retry(attempts=20, backoff=exponential(0.005, limit=0.1), on=MailServerBusy)
        again = Retry(attempts=20, backoff=constant(0.0), on=ClerkFainted)
        fresh = Supervision(on={ClerkFainted: "restart"}, intensity=MOST_CRASHES, within=1.0)
        order = "order.placed"
        warehouse = subscriber(name="warehouse", retry=again, supervision=fresh)
        return [
            subscriber(order, name="ledger", batch=TOGETHER)(self.book),
            subscriber(order, name="customers", batch=TOGETHER, retry=room)(self.know),
            subscriber(order, name="months", batch=TOGETHER)(self.sum_up_month),
            subscriber(order, name="best-customers", batch=TOGETHER)(self.rank),
            subscriber(order, "customer.*", name="mailer", batch=TOGETHER, retry=patience)(self.mail),
            warehouse(partial(Warehouse, self.books, self.crash, self.random)),
        ]

    async def book(self, events: list[Event]) -> None:
        """Book orders, CDs and revenue."""
        rows = [(each.id, each.data["customer"], each.data["quantity"], each.data["cents"]) for each in events]
        await _write(self.books, "ledger", rows)

    async def know(self, events: list[Event], context: Context) -> None:
        """Know each customer; welcome one at the first purchase, before that one is known: twice is the same event."""
        customers = [each.data["customer"] for each in events]
        known = await anyio.to_thread.run_sync(self.books.known, customers)
        for customer in dict.fromkeys(customers):
            if customer not in known:
                id = f"welcome-{customer}"
                await context.emit("customer.welcomed", {"customer": customer}, key=customer, id=id)
        await _write(self.books, "visits", [(each.id, each.data["customer"]) for each in events])

    async def sum_up_month(self, events: list[Event]) -> None:
        """Sum up revenue by month."""
        await _write(self.books, "months", [(each.id, each.data["date"][:7], each.data["cents"]) for each in events])

    async def rank(self, events: list[Event]) -> None:
        """Sum up revenue by customer, for the board of the best."""
        await _write(self.books, "bests", [(each.id, each.data["customer"], each.data["cents"]) for each in events])

    async def mail(self, events: list[Event]) -> None:
        """Mail the customers; the mail server fails now and then, for some of them."""
        busy = {each.id: MailServerBusy() for each in events if self.random.random() < self.fail}
        await _write(self.books, "mails", [(each.id, each.name) for each in events if each.id not in busy])
        if busy:
            raise BatchFailure(busy)


async def _write(books: Books, table: str, rows: list[tuple[Any, ...]]) -> None:
    await anyio.to_thread.run_sync(books.write, table, rows)


async def work(branch: Branch, module: Any) -> None:
    """Handle what comes, until a signal says stop; what is in hand by then is finished, the rest goes back."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with Runtime(module=module, role="handle", subscribers=branch.subscribers()):
            print("open", flush=True)
            async for _ in signals:
                return


def main(arguments: list[str]) -> int:
    """Run one branch; returns its exit status."""
    module, books, backend, fail, crash = arguments
    branch = Branch(Books(Path(books)), float(fail), float(crash))
    anyio.run(work, branch, module_of(module, Path(books)), backend=backend)
    return 0


if __name__ == "__main__":
    tell_of_postroom(f"storefront, process {os.getpid()}")
    sys.exit(main(sys.argv[1:]))

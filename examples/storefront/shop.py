"""The shop: what happens when an order is placed. One subscriber for each job, each with state of its own."""

from collections import Counter
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, Final

import attrs

from postroom import Context, Event, Retry, Subscriber, Supervision, constant, exponential, subscriber

from .stock import ClerkFainted, Stock, StockRecords

MOST_CRASHES: Final = 100_000
"""Restarts within a second that the shop bears: its stock crashes because it is told to."""


class MailServerBusy(Exception):
    """The mail server failed on purpose."""


@attrs.define(eq=False)
class Shop:
    """The books of one run. Each handler runs for one event at a time, so none of them needs a lock.

    Attributes:
        fail: The share of the mailer's attempts that fail, from 0 to 1.
        pack_for: Seconds that it takes to pack an order.
        crash: The share of the stock's attempts that crash, from 0 to 1.
    """

    fail: float = 0.0
    pack_for: float = 0.0
    crash: float = 0.0
    random: Random = attrs.field(factory=lambda: Random(20))
    orders: int = 0
    cds: int = 0
    revenue: Decimal = Decimal("0.00")
    free_orders: int = 0
    customers: dict[str, int] = attrs.field(factory=dict)
    welcomed: int = 0
    cents_by_month: Counter[str] = attrs.field(factory=Counter)
    cents_by_customer: Counter[str] = attrs.field(factory=Counter)
    mails: int = 0
    stock: StockRecords = attrs.field(factory=StockRecords)

    def subscribers(self) -> list[Subscriber[..., Any]]:
        """Everybody who works in this shop."""
        patience = Retry(attempts=4, backoff=exponential(0.005, limit=0.1), on=MailServerBusy)
        again = Retry(attempts=20, backoff=constant(0.0), on=ClerkFainted)
        fresh = Supervision(on={ClerkFainted: "restart"}, intensity=MOST_CRASHES, within=1.0)
        return [
            subscriber("order.placed", name="ledger")(self.book),
            subscriber("order.placed", name="customers")(self.know),
            subscriber("order.placed", name="months")(self.sum_up_month),
            subscriber("order.placed", name="best-customers")(self.rank),
            subscriber("order.placed", "customer.*", name="mailer", retry=patience)(self.mail),
            subscriber(name="warehouse", capacity=4, retry=again, supervision=fresh)(self._stock()),
        ]

    def _stock(self) -> partial[Stock]:
        return partial(Stock, self.stock, self.pack_for, self.crash, Random(21))

    async def book(self, event: Event) -> None:
        """Book orders, CDs and revenue."""
        order = event.data
        self.orders += 1
        self.cds += order["quantity"]
        self.revenue += Decimal(order["cents"]) / 100
        self.free_orders += order["cents"] == 0

    async def know(self, event: Event, context: Context) -> None:
        """Know each customer; welcome one at the first purchase."""
        customer = event.data["customer"]
        purchases = self.customers.get(customer, 0)
        self.customers[customer] = purchases + 1
        if not purchases:
            await context.emit("customer.welcomed", {"customer": customer}, key=customer)
            self.welcomed += 1

    async def sum_up_month(self, event: Event) -> None:
        """Sum up revenue by month."""
        self.cents_by_month[event.data["date"][:7]] += event.data["cents"]

    async def rank(self, event: Event) -> None:
        """Sum up revenue by customer, for the board of the best."""
        self.cents_by_customer[event.data["customer"]] += event.data["cents"]

    async def mail(self, event: Event) -> None:
        """Mail the customer; the mail server fails now and then."""
        if self.random.random() < self.fail:
            raise MailServerBusy
        self.mails += 1

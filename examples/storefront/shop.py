"""The shop: what happens when an order is placed. One subscriber for each job, each with state of its own."""

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any, Final

import anyio
import attrs

from postroom import Context, Event, Retry, Subscriber, exponential, subscriber

SHORTEST_SLEEP: Final = 0.001
"""Seconds. Loops sleep at least about so long, so shorter times are saved up."""


class MailServerBusy(Exception):
    """The mail server failed on purpose."""


@attrs.define(eq=False)
class Shop:
    """The books of one run. Each handler runs for one event at a time, so none of them needs a lock.

    Attributes:
        fail: The share of the mailer's attempts that fail, from 0 to 1.
        pack_for: Seconds that it takes to pack an order.
    """

    fail: float = 0.0
    pack_for: float = 0.0
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
    packed: int = 0
    _packing_time: float = 0.0

    def subscribers(self) -> list[Subscriber[..., Any]]:
        """Everybody who works in this shop."""
        patience = Retry(attempts=4, backoff=exponential(0.005, limit=0.1), on=MailServerBusy)
        return [
            subscriber("order.placed", name="ledger")(self.book),
            subscriber("order.placed", name="customers")(self.know),
            subscriber("order.placed", name="months")(self.sum_up_month),
            subscriber("order.placed", name="best-customers")(self.rank),
            subscriber("order.placed", "customer.*", name="mailer", retry=patience)(self.mail),
            subscriber("order.placed", name="warehouse", capacity=4)(self.pack),
        ]

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

    async def pack(self, event: Event) -> None:
        """Pack the order: slow work, and a small mailbox, so tills wait when it is full."""
        self._packing_time += self.pack_for
        if self._packing_time >= SHORTEST_SLEEP:
            time, self._packing_time = self._packing_time, 0.0
            await anyio.sleep(time)
        self.packed += 1

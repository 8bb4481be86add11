"""The stock: an actor that takes CDs from the shelves and packs them, and crashes now and then on purpose.

What is certain is written into records that outlive an instance. Whoever takes over begins with what they say.
"""

from random import Random

import anyio
import attrs

from postroom import Actor, Event, on

SHORTEST_SLEEP = 0.001
"""Seconds. Loops sleep at least about so long, so shorter times are saved up."""


class ClerkFainted(Exception):
    """The stock's clerk crashed on purpose."""


@attrs.define(eq=False)
class StockRecords:
    """What the stock has written down.

    Attributes:
        cds: CDs that left the shelves.
        orders: Orders that were packed.
        clerks: Instances that have begun to work.
    """

    cds: int = 0
    orders: int = 0
    clerks: int = 0


@attrs.define(eq=False)
class Stock(Actor):
    """Packs orders: slow work, and a small mailbox, so tills wait when it is full.

    Attributes:
        pack_for: Seconds that it takes to pack an order.
        crash: The share of its attempts that crash, from 0 to 1.
    """

    records: StockRecords
    pack_for: float
    crash: float
    random: Random
    cds: int = 0
    orders: int = 0
    _packing_time: float = 0.0

    async def started(self) -> None:
        """Begin with what the records say."""
        self.cds, self.orders = self.records.cds, self.records.orders
        self.records.clerks += 1

    @on("order.placed")
    async def pack(self, event: Event) -> None:
        """Pack an order. A crash comes in the middle, with the state half changed."""
        self.cds += event.data["quantity"]
        self._packing_time += self.pack_for
        if self._packing_time >= SHORTEST_SLEEP:
            time, self._packing_time = self._packing_time, 0.0
            await anyio.sleep(time)
        if self.random.random() < self.crash:
            raise ClerkFainted
        self.orders += 1
        self.records.cds, self.records.orders = self.cds, self.orders

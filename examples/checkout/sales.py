"""One run of the program: a reader takes orders from the file, tills check them out, several at once."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import svcs

from examples.storefront.orders import Order
from examples.storefront.replay import Replay
from examples.storefront.server import Server, open_server
from postroom import Runtime, WorkflowFailed, Workflows

from .books import Books
from .order import Purchase
from .workflow import Fate, checkout, ledger_of


@attrs.define(eq=False, kw_only=True)
class Sales(Replay):
    """A file of orders, each one checked out.

    Attributes:
        module: What carries the events and keeps the journal; None for Local.
        server: The Redis server of this run; None where it has none of its own.
        sold: Checkouts that succeeded.
        failed: Those that did not, by what went wrong.
    """

    module: Any
    books: Books
    fate: Fate
    server: Server | None = None
    sold: int = attrs.field(default=0, init=False)
    failed: Counter[str] = attrs.field(factory=Counter, init=False)
    _workflows: Workflows = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        services = svcs.Registry()
        services.register_value(Books, self.books)
        services.register_value(Fate, self.fate)
        options: dict[str, Any] = {} if self.module is None else {"module": self.module}
        self.runtime = Runtime(subscribers=[ledger_of(self.books)], services=services, **options)
        self._workflows = Workflows(self.runtime, [checkout])

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A block in which orders are checked out; at its end all that was told is in the ledger."""
        async with AsyncExitStack() as stack:
            if self.server is not None:
                await stack.enter_async_context(open_server(self.server))
            await stack.enter_async_context(self.runtime)
            async with self._workflows:
                yield
            await self.runtime.idle()

    @property
    def outlived(self) -> bool:
        """Whether what was accepted outlives this process."""
        return self.module is not None and self.server is None

    async def sell(self, number: int, order: Order) -> None:
        """Check one order out, under an id that is the same in every run of the program."""
        purchase = Purchase(
            number=number, date=order.date, customer=order.customer, cds=order.quantity, cents=order.cents
        )
        try:
            await self._workflows.run(checkout, purchase, id=f"order-{number}")
            self.sold += 1
        except WorkflowFailed as failed:
            self.failed[f"{failed.step}: {failed.type}"] += 1

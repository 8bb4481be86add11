"""The tills: concurrent emitters that each wait for an order's acknowledgement before they take the next."""

from collections.abc import Callable, Iterator

import anyio
import attrs

from postroom import Runtime

from .orders import Order, Rejected


@attrs.define(eq=False)
class Queue:
    """The customers in front of the tills: one file, read by whichever till is free.

    Attributes:
        taken: Orders taken from the file so far.
        rejected: Rows that held no order.
        closed: Set to stop taking orders; those taken are finished.
    """

    rows: Iterator[Order | Rejected]
    tell_rejected: Callable[[Rejected], None]
    taken: int = 0
    rejected: int = 0
    closed: bool = False

    def next_order(self) -> Order | None:
        """The next order; None when there are no more."""
        while not self.closed:
            row = next(self.rows, None)
            if row is None:
                return None
            if isinstance(row, Order):
                self.taken += 1
                return row
            self.rejected += 1
            self.tell_rejected(row)
        return None


async def run_tills(runtime: Runtime, queue: Queue, tills: int) -> None:
    """Serve the queue with `tills` tills at once, until it is empty or closed."""
    async with anyio.create_task_group() as tasks:
        for _ in range(tills):
            tasks.start_soon(_run_till, runtime, queue)


async def _run_till(runtime: Runtime, queue: Queue) -> None:
    while (order := queue.next_order()) is not None:
        await runtime.emit_and_wait("order.placed", attrs.asdict(order), key=order.customer)

"""One replay: a reader takes orders from the file, tills emit them and wait until each one is acknowledged."""

import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import attrs
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from postroom import DeadLetter, Runtime

from .orders import Order, Reader, Rejected
from .progress import show_progress
from .shop import Shop
from .source import Source, open_source
from .telling import say

MOST_REJECTED_SHOWN: Final = 20


@attrs.define(eq=False, kw_only=True)
class Replay:
    """A file of orders, sold by a shop.

    Attributes:
        tills: How many emit at once.
        progress: Whether to show a progress bar.
        read: Orders that were read.
        rejected: Rows that held no order.
        broken: Why the file could not be read to its end.
        stopped_by: The signal that ended it early.
        cut_short: Whether a second signal came before everything was drained.
        seconds: How long it took.
        dead: The dead letters that are kept.
    """

    path: Path
    shop: Shop
    tills: int = 8
    progress: bool = False
    runtime: Runtime = attrs.field(init=False)
    read: int = attrs.field(default=0, init=False)
    rejected: int = attrs.field(default=0, init=False)
    broken: OSError | None = attrs.field(default=None, init=False)
    stopped_by: signal.Signals | None = attrs.field(default=None, init=False)
    cut_short: bool = attrs.field(default=False, init=False)
    seconds: float = attrs.field(default=0.0, init=False)
    dead: tuple[DeadLetter, ...] = attrs.field(default=(), init=False)

    def __attrs_post_init__(self) -> None:
        self.runtime = Runtime(subscribers=self.shop.subscribers())

    async def run(self) -> None:
        """Sell everything, or until a signal says stop; what was taken by then is finished.

        Raises:
            OSError: the file can't be opened; nothing was sold.
        """
        start = time.perf_counter()
        reading = anyio.CancelScope()
        with (
            anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
            open_source(self.path) as source,
        ):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._obey, signals, reading, tasks.cancel_scope)
                if self.progress:
                    tasks.start_soon(show_progress, source, self.shop)
                async with self.at_work():
                    await self._sell(source, reading)
                tasks.cancel_scope.cancel()
        self.seconds = time.perf_counter() - start

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A block in which orders are handled."""
        async with self.runtime:
            yield
        self.dead = await self.runtime.dead_letters.list()

    async def sell(self, number: int, order: Order) -> None:
        """Emit one order, the file's so manieth, and wait until it is acknowledged."""
        await self.runtime.emit_and_wait("order.placed", attrs.asdict(order), key=order.customer)

    async def _obey(
        self, signals: AsyncIterator[signal.Signals], reading: anyio.CancelScope, everything: anyio.CancelScope
    ) -> None:
        async for number in signals:
            self.cut_short = self.stopped_by is not None
            self.stopped_by = number
            if self.cut_short:
                everything.cancel()
                return
            say("storefront: finishing the orders in hand; once more to leave at once")
            reading.cancel()

    async def _sell(self, source: Source, reading: anyio.CancelScope) -> None:
        # Without a buffer: an order is read when a till is free, so only the tills decide what is in hand.
        counter, queue = anyio.create_memory_object_stream[tuple[int, Order]](0)
        with queue:
            async with anyio.create_task_group() as tills:
                for _ in range(self.tills):
                    tills.start_soon(self._run_till, queue)
                with counter, reading:
                    await self._read(source, counter)

    async def _read(self, source: Source, counter: ObjectSendStream[tuple[int, Order]]) -> None:
        reader = Reader()
        chunk = b"?"
        while chunk:
            try:
                chunk = await source.read()
            except OSError as error:
                self.broken = error
                return
            for row in reader.feed(chunk) if chunk else reader.end():
                if isinstance(row, Order):
                    self.read += 1
                    await counter.send((self.read, row))
                else:
                    self._reject(row)

    def _reject(self, row: Rejected) -> None:
        self.rejected += 1
        if self.rejected <= MOST_REJECTED_SHOWN:
            say(f"line {row.line}: {row.reason}")
        elif self.rejected == MOST_REJECTED_SHOWN + 1:
            say("more rejected rows follow; they are only counted")

    async def _run_till(self, queue: ObjectReceiveStream[tuple[int, Order]]) -> None:
        async for number, order in queue:
            await self.sell(number, order)

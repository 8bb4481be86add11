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

FINISH_WITHIN: Final = 30.0
"""Seconds for the orders in hand after a signal: where a store can't be written, they would be waited for for ever."""


@attrs.define(eq=False, kw_only=True)
class Replay:
    """A file of orders, sold by a shop.

    Attributes:
        tills: How many emit at once.
        progress: Whether to show a progress bar.
        read: Orders that were read.
        in_hand: Orders that tills have taken, and that are not acknowledged.
        rejected: Rows that held no order.
        broken: Why the file could not be read to its end.
        stopped_by: The signal that ended it early.
        cut_short: Whether a second signal or the end of its time came before everything was drained.
        seconds: How long it took.
        dead: The dead letters that are kept.
    """

    path: Path
    shop: Shop
    tills: int = 8
    progress: bool = False
    runtime: Runtime = attrs.field(init=False)
    read: int = attrs.field(default=0, init=False)
    in_hand: int = attrs.field(default=0, init=False)
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

    @property
    def outlived(self) -> bool:
        """Whether what was accepted outlives this process."""
        return False

    def unfinished(self) -> str:
        """What is left undone where this ends now."""
        what = f"{self.in_hand:,} orders in hand are" if self.in_hand else "what the orders have caused is"
        kept = "the store keeps what it has accepted, and the same command goes on with it"
        return f"{what} not finished: " + (kept if self.outlived else "nothing keeps what was accepted")

    async def _obey(
        self, signals: AsyncIterator[signal.Signals], reading: anyio.CancelScope, everything: anyio.CancelScope
    ) -> None:
        self.stopped_by = await anext(signals)
        say("storefront: finishing the orders in hand; once more to leave at once")
        reading.cancel()
        with anyio.move_on_after(FINISH_WITHIN) as patience:
            self.stopped_by = await anext(signals)
        if patience.cancelled_caught:
            say(f"storefront: leaving after {FINISH_WITHIN:g} s; {self.unfinished()}")
        self.cut_short = True
        everything.cancel()

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
            self.in_hand += 1
            await self.sell(number, order)
            self.in_hand -= 1  # not in a `finally`: one that is given up is unfinished

"""The shop as a chain: one process emits the orders, several others handle them, and the books are in a file."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from subprocess import PIPE
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread
import attrs

from postroom import EventModule, Runtime

from .books import Books, Totals
from .branch import Branch
from .modules import module_of
from .orders import Order
from .replay import Replay
from .server import Server, open_server

LOOK_EVERY: Final = 0.05
"""Seconds between two looks at what is left to do."""

GRACE: Final = 15.0
"""Seconds that the branches have to end, all of them together."""


@attrs.define(eq=False, kw_only=True)
class Chain(Replay):
    """A replay that is handled by other processes.

    Attributes:
        module: What carries the events, as the command line has it.
        processes: How many branches there are.
        kill_one: Kill a branch with SIGKILL after so many orders; 0 for none. It is not started again.
        server: The Redis server of this run; None where it has none of its own.
        kill_server: Kill that with SIGKILL after so many orders, and start it again; 0 for never.
        sold: Orders that were emitted.
        totals: What the books say in the end.
    """

    module: str
    books: Books
    backend: str
    processes: int = 1
    kill_one: int = 0
    server: Server | None = None
    kill_server: int = 0
    runtime: Runtime = attrs.field(init=False)
    totals: Totals | None = attrs.field(default=None, init=False)
    sold: int = attrs.field(default=0, init=False)
    _branches: list[anyio.abc.Process] = attrs.field(factory=list, init=False)
    _end_by: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        carrier: EventModule = module_of(self.module, self.books.path)
        declared = Branch(self.books).subscribers()
        self.runtime = Runtime(module=carrier, role="emit", subscribers=declared)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A block in which the branches work; the runtime is open in it."""
        async with AsyncExitStack() as stack:
            if self.server is not None:
                await stack.enter_async_context(open_server(self.server))
            await stack.enter_async_context(self.runtime)
            # After the orders and the module were looked at: who is refused leaves no books behind.
            await anyio.to_thread.run_sync(self.books.make)
            for _ in range(self.processes):
                self._branches.append(await stack.enter_async_context(self._open_branch()))
            try:
                yield
                await self._until_done()
            finally:
                self._end_by = anyio.current_time() + GRACE
                for branch in self._branches:
                    _signal(branch, signal.SIGTERM)
            self.dead = await self.runtime.dead_letters.list()
        self.totals = self.books.totals()

    async def _until_done(self) -> None:
        """Wait for what the orders have caused as well: nobody here has a receipt of that."""
        while any(  # noqa: ASYNC110 - it is other processes that have it in hand
            each.waiting + each.delayed + each.lent for each in await self.runtime.stored_subscriptions()
        ):
            await anyio.sleep(LOOK_EVERY)

    @asynccontextmanager
    async def _open_branch(self) -> AsyncIterator[anyio.abc.Process]:
        options = [self.module, str(self.books.path), self.backend, str(self.shop.fail), str(self.shop.crash)]
        command = [sys.executable, "-m", "examples.storefront.branch", *options]
        # A group of its own: Ctrl-C is for the one who decides, which tells the branches.
        async with await anyio.open_process(command, stdout=PIPE, stderr=None, start_new_session=True) as branch:
            try:
                assert branch.stdout is not None
                await branch.stdout.receive()
                yield branch
                with anyio.CancelScope(shield=True, deadline=self._end_by):
                    await branch.wait()
            finally:
                _signal(branch, signal.SIGKILL)

    @property
    def outlived(self) -> bool:
        """Whether what was accepted outlives this process."""
        return self.server is None

    async def sell(self, number: int, order: Order) -> None:
        """Emit an order, under an id that is the same in every run, and wait until all of its jobs are done."""
        receipt = await self.runtime.emit("order.placed", attrs.asdict(order), key=order.customer, id=f"order-{number}")
        self.sold += 1
        if self.kill_one and self.sold == self.kill_one:
            _signal(self._branches[0], signal.SIGKILL)
        if self.server is not None and self.sold == self.kill_server:
            await self.server.restart()
        await receipt


def _signal(branch: anyio.abc.Process, number: int) -> None:
    if branch.returncode is None:
        os.kill(branch.pid, number)

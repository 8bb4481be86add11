"""The port to asyncio, and to every loop that keeps its contract, such as uvloop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Literal

import anyio
import attrs

from .libraries import running_library


@attrs.define(eq=False)
class AsyncioSleeper:
    """Sleeps on a future of its own for each park."""

    loop: asyncio.AbstractEventLoop
    _future: "asyncio.Future[None] | None" = attrs.field(default=None, init=False)

    def park(self) -> Awaitable[None]:
        self._future = future = self.loop.create_future()
        return future

    def wake(self) -> None:
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)


@attrs.define(eq=False)
class AsyncioPort:
    """Bare futures and bare yields."""

    loop: asyncio.AbstractEventLoop
    library: Literal["trio", "asyncio"] = attrs.field(default="asyncio", init=False)
    breathes_cheaply: bool = attrs.field(default=True, init=False)
    now: Callable[[], float] = attrs.field(init=False)
    stopwatch: Callable[[], float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.now = self.loop.time
        kind = type(self.loop)
        is_real = kind.time is asyncio.BaseEventLoop.time or kind.__module__.startswith("uvloop")
        self.stopwatch = time.perf_counter if is_real else self.now

    def sleeper(self) -> AsyncioSleeper:
        return AsyncioSleeper(loop=self.loop)

    async def breathe(self) -> None:
        await asyncio.sleep(0)

    def cancel_at(self, deadline: float, *, shield: bool = False) -> AbstractContextManager[anyio.CancelScope]:
        return anyio.CancelScope(deadline=deadline, shield=shield)

    def runs_here(self) -> bool:
        try:
            if asyncio.get_running_loop() is not self.loop:
                return False
        except RuntimeError:
            return False
        return running_library() == "asyncio"  # not a trio run inside this loop, whose thread it is as well

    def submit(self, call: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(call)

    def current_task(self) -> object:
        return asyncio.current_task(self.loop)

    def open_cancellations(self) -> Callable[[], int] | None:
        task = asyncio.current_task(self.loop)
        assert task is not None, "actors run in tasks"
        return task.cancelling

    async def absorb_cancellations(self) -> None:
        task = asyncio.current_task(self.loop)
        assert task is not None, "actors run in tasks"
        while task.cancelling():
            task.uncancel()
        # Until Python 3.13 `uncancel` leaves a request that has not been thrown yet: let it come out here,
        # where nothing is in hand, not in the next message's handler.
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if task.cancelling():
                raise

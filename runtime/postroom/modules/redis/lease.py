"""The lease of a session, renewed from a thread with an event loop and a connection of its own.

So it lives as long as the process does, however long a handler blocks the runtime's own loop.

Units: seconds.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread
import attrs

from postroom.errors import PostroomError

from .faults import SessionGone
from .finding import Finder
from .link import Link
from .opening import Greeting
from .scripts import RENEW
from .settings import Settings

RENEWALS: Final = 3
"""How often a lease is renewed before it would run out."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 1.0


@attrs.define(eq=False)
class LeaseKeeper:
    """The thread.

    Attributes:
        blob: Makes the arguments of the script.
        renewed: How often it has worked.
        failed: What it failed with last; None while it works.
    """

    settings: Settings
    blob: Callable[[], bytes]
    told: Callable[[str], None]
    renewed: int = attrs.field(default=0, init=False)
    failed: PostroomError | None = attrs.field(default=None, init=False)
    _thread: threading.Thread | None = attrs.field(default=None, init=False)
    _started: threading.Event = attrs.field(factory=threading.Event, init=False)
    _loop: asyncio.AbstractEventLoop | None = attrs.field(default=None, init=False)
    _stopping: asyncio.Event | None = attrs.field(default=None, init=False)

    async def start(self) -> None:
        """Start the thread.

        Cancellation: it runs; `stop` ends it.
        """
        self._thread = threading.Thread(target=self._main, name="postroom redis lease", daemon=True)
        self._thread.start()
        await anyio.to_thread.run_sync(self._started.wait)

    def _main(self) -> None:
        try:
            asyncio.run(self._live())
        finally:
            self._started.set()

    async def _live(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep, tasks, name="postroom redis lease")
            await self._stopping.wait()
            tasks.cancel_scope.cancel()

    async def _keep(self, tasks: anyio.abc.TaskGroup) -> None:
        link = Link(Finder(self.settings), tasks, Greeting(self.settings).greet, 0.0)
        period = self.settings.lease / RENEWALS
        pause = FIRST_PAUSE
        await anyio.sleep(period)  # the session has just begun
        while True:
            if await self._renew(link, period):
                pause = FIRST_PAUSE
                await anyio.sleep(period)
            else:
                await anyio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE, period)

    async def _renew(self, link: Link, within: float) -> bool:
        try:
            await link.run(RENEW, self.settings.prefix + "state", self.blob(), within=within)
        except SessionGone:
            return True  # the session finds out by its own next call, and begins anew
        except PostroomError as error:
            if self.failed is None:
                self.told(type(error).__name__)
            self.failed = error
            return False
        self.failed = None
        self.renewed += 1
        return True

    async def stop(self, within: float) -> bool:
        """End the thread; whether it has ended in time.

        Cancellation: it ends by itself.
        """
        if self._thread is None:
            return True
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        await anyio.to_thread.run_sync(self._thread.join, within)
        return not self._thread.is_alive()

"""The small port through which the kernel meets the event loop that runs it.

anyio's portable primitives would do, but a wake-up through an `anyio.Event` costs an object and a checkpoint more
on each side, and an actor wakes up for every burst of mail. So the loops' own primitives are used, and only the
two files that implement this port know them.

Units: seconds, on the loop's own clock.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import anyio

from .libraries import running_library
from .on_asyncio import AsyncioPort


class Wakeable(Protocol):
    """Somebody who waits: a task, or a thread."""

    def wake(self) -> None:
        """Wake who sleeps here; does nothing where nobody does."""
        ...


class Sleeper(Wakeable, Protocol):
    """A place where one task at a time sleeps until somebody wakes it."""

    def park(self) -> Awaitable[None]:
        """Sleep until `wake`, once awaited, which must be at once. May return without one, so the caller looks again.

        A plain function, since each coroutine between a task and its sleep is passed through at every wake-up.

        Cancellation: the sleeper is taken away first, so a later `wake` finds nobody and does nothing.
        """
        ...


class Cancellable(Protocol):
    """A block that can be cancelled."""

    def cancel(self) -> None:
        """Cancel it; it ends quietly."""
        ...


class Port(Protocol):
    """What the kernel asks of an event loop.

    Attributes:
        library: Which library runs the loop.
        now: Reads the loop's clock, seconds; virtual where the loop's clock is.
        stopwatch: Reads a clock for durations, seconds: only differences mean anything. It is the fastest there
            is, and goes on within one turn of the loop (uvloop's own clock stands meanwhile); virtual where the
            loop's clock is.
        breathes_cheaply: Whether one `breathe` costs less than a park and its wake-up.
    """

    @property
    def library(self) -> Literal["trio", "asyncio"]: ...
    @property
    def now(self) -> Callable[[], float]: ...
    @property
    def stopwatch(self) -> Callable[[], float]: ...
    @property
    def breathes_cheaply(self) -> bool: ...

    def sleeper(self) -> Sleeper:
        """A new, empty sleeper."""
        ...

    async def breathe(self) -> None:
        """Let the other tasks run once; a checkpoint."""
        ...

    def cancel_at(self, deadline: float, *, shield: bool = False) -> AbstractContextManager["Cancellable"]:
        """A block that is cancelled at `deadline`, on the loop's clock, and ends quietly then; with `shield` by nothing
        around it.

        On trio it is trio's own scope: anyio's around it was measured to take half as long again.
        """
        ...

    def runs_here(self) -> bool:
        """Whether the caller runs in this port's event loop."""
        ...

    def submit(self, call: Callable[[], None]) -> None:
        """Run `call` in the loop's thread soon; the one method for foreign threads.

        Raises:
            RuntimeError: the loop has ended.
        """
        ...

    def current_task(self) -> object:
        """The task that calls; compared by identity only."""
        ...

    def open_cancellations(self) -> Callable[[], int] | None:
        """A counter of the cancellations of the current task that are open, whoever asked; None on trio.

        asyncio lets anybody cancel any task, and a handler may do it to its own. trio has scopes only.
        """
        ...

    async def absorb_cancellations(self) -> None:
        """Take back every open cancellation of the current task.

        Cancellation: one that comes meanwhile comes out.
        """
        ...


def current_port() -> Port:
    """The port to the event loop that runs the caller.

    Raises:
        RuntimeError: no event loop runs in this thread.
    """
    if running_library() == "trio":
        from .on_trio import TrioPort

        return TrioPort()
    return AsyncioPort(loop=asyncio.get_running_loop())


def cancellation_was_asked_for() -> bool:
    """Whether a scope around the current task is cancelled or past its deadline."""
    return anyio.current_effective_deadline() <= anyio.current_time()

"""The kernel: the block in which actors live.

Everything that runs on behalf of an actor is a task of this block's task group and ends before the block does.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.abc
import attrs

from .actor import Actor, current_hand
from .admission import Admission
from .generators import listening
from .port import Port, current_port
from .slices import TimeSlice

M = TypeVar("M")


@attrs.define(eq=False)
class Kernel:
    """Starts actors, and shares one time slice among all that run here.

    Attributes:
        port: The event loop's primitives.
        turn: The slice of the task that runs now.
    """

    port: Port
    turn: TimeSlice
    _tasks: anyio.abc.TaskGroup

    def start(self, actor: Actor[M]) -> None:
        """Start the actor's hands."""
        for _ in range(actor.concurrency):
            self._tasks.start_soon(actor.work, actor.hire(self.port, self.turn), name=actor.name)

    def replace(self, actor: Actor[M]) -> None:
        """End the hands that have something in hand, by cancelling it, and let fresh ones take their places.

        One that is ended already, and has not noticed, has its successor.
        """
        for hand in [hand for hand in actor.hands if hand.message is not None and not hand.is_over]:
            self._tasks.start_soon(actor.work, actor.hire(self.port, self.turn), name=actor.name)
            hand.end()

    def keep(self, service: Callable[[], Coroutine[object, object, None]], name: str) -> None:
        """Run a service of the kernel's own, such as `Timers.run`, until the block ends."""
        self._tasks.start_soon(service, name=name)

    def admission(self) -> Admission:
        """A place in the lines of full mailboxes."""
        return Admission(self.port)

    def cancel(self) -> None:
        """Cancel everything that runs here, the block's body included."""
        self._tasks.cancel_scope.cancel()

    async def breathe(self) -> float:
        """Let the other tasks run once, and begin a new slice; a checkpoint. Returns the stopwatch's time."""
        await self.port.breathe()
        now = self.port.stopwatch()
        self.turn.restart(now)
        return now


@asynccontextmanager
async def open_kernel() -> AsyncIterator[Kernel]:
    """A block in which actors run. Leaving it waits for all hands; leaving by an error cancels them.

    Cancellation: cancels every actor; the block ends when all hands have ended.
    """
    port = current_port()
    with listening(current_hand):
        async with anyio.create_task_group() as tasks:
            yield Kernel(port, TimeSlice(), tasks)

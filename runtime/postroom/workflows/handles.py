"""Handles: what `workflows.start` returns, to hear of a run and to act on it.

Units: seconds.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

import anyio
import attrs

from ..changes import Watch, Watches
from ..journal import OVER, RunState, StoredRun
from ..quoting import quoted
from .changes import StepChange
from .driver import Ended

R = TypeVar("R")


@attrs.define(eq=False)
class Tracked:
    """What this process knows of a run.

    Attributes:
        ended: How it ended, where that was here.
        created_at: When the run began that was in hand here last.
        is_in_hand: It has begun here, and nothing has been heard of it since: whoever waits need not ask.
        stirred: Set, and made anew, whenever something has happened to it.
    """

    id: str
    watches: Watches[StepChange] = attrs.field(factory=Watches, init=False)
    ended: Ended | None = attrs.field(default=None, init=False)
    created_at: float = attrs.field(default=0.0, init=False)
    is_in_hand: bool = attrs.field(default=False, init=False)
    stirred: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    __weakref__: Any = attrs.field(init=False, repr=False)

    def stir(self) -> None:
        """Wake whoever waits for it."""
        self.is_in_hand = False
        stirred, self.stirred = self.stirred, anyio.Event()
        stirred.set()

    def forget_unless(self, run: StoredRun) -> None:
        """Forget how it ended where that is not how the store has it: another run of this id has begun since then, or
        it was undone elsewhere."""
        if self.ended is not None and (self.ended.state, self.created_at) != (run.state, run.created_at):
            self.ended = None

    def end(self, ended: Ended) -> None:
        """It has ended here; or stopped, which others may change."""
        self.ended = ended if ended.state in OVER else None
        self.stir()


@attrs.frozen(kw_only=True)
class WorkflowStatus:
    """How far a run is.

    Attributes:
        id, workflow: Which one.
        state: `running`, `compensating`, `succeeded`, `failed`, `cancelled`, `needs_attention` or `parked`.
        in_hand: Some process has it.
        losses: How often it was lost with its process.
        created_at, changed_at: In seconds since the epoch.
    """

    id: str
    workflow: str
    state: RunState
    in_hand: bool
    losses: int
    created_at: float
    changed_at: float


def status_of(run: StoredRun) -> WorkflowStatus:
    """How far a run is, as its store has it."""
    return WorkflowStatus(
        id=run.id,
        workflow=run.workflow,
        state=run.state,
        in_hand=run.owner is not None,
        losses=run.losses,
        created_at=run.created_at,
        changed_at=run.changed_at,
    )


class Runs(Protocol):
    """What a handle needs of the block that runs workflows."""

    async def result_of(self, tracked: Tracked) -> Any: ...
    async def status(self, id: str) -> WorkflowStatus: ...
    async def history(self, id: str) -> list[StepChange]: ...
    async def cancel(self, id: str) -> None: ...


@attrs.frozen(eq=False)
class WorkflowHandle(Generic[R]):
    """A run of a workflow.

    Attributes:
        id: Names it, in all processes.
    """

    id: str
    _tracked: Tracked
    _runs: Runs

    def __repr__(self) -> str:
        return f"<WorkflowHandle {quoted(self.id)}>"

    async def result(self) -> R:
        """Wait for the end of the run, wherever it runs; what its function returned.

        Raises:
            WorkflowFailed, WorkflowCancelled: what it did was undone.
            WorkflowNeedsAttention, WorkflowParked: it has stopped until somebody resumes it.
            UnknownRun: it is not remembered any more.

        Cancellation: the run goes on; wait again as you like.
        """
        return await self._runs.result_of(self._tracked)  # type: ignore[no-any-return]  # what the workflow returned

    async def status(self) -> WorkflowStatus:
        """How far the run is.

        Raises:
            UnknownRun: it is not remembered any more.

        Cancellation: changes nothing.
        """
        return await self._runs.status(self.id)

    async def history(self) -> list[StepChange]:
        """What happened to its steps, as its journal has it, oldest first; also after its end, while it is remembered.

        Raises:
            UnknownRun: it is not remembered any more.

        Cancellation: changes nothing.
        """
        return await self._runs.history(self.id)

    async def cancel(self) -> None:
        """Cancel the run: its running steps are cancelled, and all that it did is undone, also where it had succeeded.

        Returns once that is asked for; `result` waits for the end.

        Raises:
            UnknownRun: it is not remembered any more, or has been undone already.

        Cancellation: it was asked for or not.
        """
        await self._runs.cancel(self.id)

    def watch(self, limit: int = 1000) -> AbstractAsyncContextManager[Watch[StepChange]]:
        """A block with a stream of what happens to its steps in this process: iterate over it with `async for`. The
        stream ends with the `Workflows` block.

        Args:
            limit: Changes that are kept for a slow reader; then the oldest go.

        Cancellation: only of what is in the block.
        """
        return self._tracked.watches.watch(limit)

    async def events(self) -> AsyncIterator[StepChange]:
        """What happens to its steps in this process from now on, until the run or the `Workflows` block is over.

        Cancellation: ends it.
        """
        async with self.watch() as changes:
            async for change in changes:
                yield change
                if change.kind == "over":
                    return

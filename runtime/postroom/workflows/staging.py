"""Events of a run: they wait in it until it ends, and go out with it in their order, or are dropped.

Those of a step belong to that step until it is recorded; its compensation drops them, and nobody else's.
"""

import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final

import attrs

from ..drafts import run_in_hand
from ..event import Event
from ..event_types import Emitted
from ..journalling import Backstage, RunEvent
from ..options import EmitOptions
from ..receipt import Receipt
from ..staged import Stage, StagedReceipt, StillStaged
from .errors import WorkflowsClosed
from .records import derived


class RunReceipt(StagedReceipt, eq=False, kw_only=True):
    """The receipt of an event that waits for the end of a run. Nothing in that run may wait for it."""

    cause: Event

    async def _released(self) -> Receipt:
        if self.staged and run_in_hand.get() is self.cause:
            raise StillStaged(self.event.name, self.stage.id)
        return await super()._released()


@attrs.frozen(eq=False)
class Waiting:
    """One event that waits.

    Attributes:
        path: Of the step that has emitted it, or of the emit itself.
    """

    path: str
    draft: RunEvent
    receipt: RunReceipt


@attrs.define(eq=False)
class Stash:
    """All events of a run.

    Attributes:
        cause: What they are caused by: the run.
        waiting: Go out with the run's success.
        epilogue: Emitted by compensations; they go out with the run's end, whatever that is.
        muted: What is emitted was emitted before: the workflow only runs to find its steps.
    """

    run: str
    cause: Event
    backstage: Backstage
    waiting: list[Waiting] = attrs.field(factory=list, init=False)
    epilogue: list[Waiting] = attrs.field(factory=list, init=False)
    muted: bool = attrs.field(default=False, init=False)
    _stage: Stage = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._stage = Stage(self.run, self.backstage.port, math.inf, None, math.inf)

    def draft(self, path: str, name: Emitted, data: Any, options: EmitOptions) -> Waiting:
        """An event emitted at a path.

        Raises:
            PostroomError: it can't be emitted.
        """
        id = derived(self.run, path)
        return self.hold(path, self.backstage.draft(name, data, options, self.cause, id, self.run))

    def hold(self, path: str, draft: RunEvent) -> Waiting:
        """What waits for a draft."""
        receipt = RunReceipt(
            draft.event, (), stage=self._stage, draft=draft.given, require=draft.require, cause=self.cause
        )
        return Waiting(path, draft, receipt)

    def drop(self, is_dropped: Callable[[str], bool], reason: str) -> None:
        """Drop events, by the paths that they were emitted at."""
        kept: list[Waiting] = []
        for each in self.waiting:
            if is_dropped(each.path):
                each.receipt.clear(reason)
            else:
                kept.append(each)
        self.waiting = kept

    def released(self, outgoing: Sequence[Waiting], receipts: Sequence[Receipt]) -> None:
        """Events went out."""
        for each, receipt in zip(outgoing, receipts, strict=True):
            each.receipt.accept(receipt)

    def close(self, reason: str) -> None:
        """This process has nothing more to do with the run."""
        for each in (*self.waiting, *self.epilogue):
            if each.receipt.staged:
                each.receipt.clear(reason)


@attrs.define(eq=False)
class Buffer:
    """The events of one attempt at a step, or of one at its compensation."""

    path: str
    stash: Stash
    events: list[Waiting] = attrs.field(factory=list, init=False)
    open: bool = attrs.field(default=True, init=False)

    def emit(self, name: Emitted, data: Any, options: EmitOptions) -> RunReceipt:
        """Stage an event.

        Raises:
            WorkflowsClosed: the attempt is over.
            PostroomError: it can't be emitted.
        """
        if not self.open:
            raise WorkflowsClosed("open, but the step that emits is over")
        waiting = self.stash.draft(f"{self.path}/{len(self.events)}", name, data, options)
        held = Waiting(self.path, waiting.draft, waiting.receipt)
        self.events.append(held)
        return held.receipt

    def close(self, reason: str | None) -> None:
        """The attempt is over; with a reason its events are dropped."""
        self.open = False
        for each in self.events if reason is not None else ():
            each.receipt.clear(reason or "")


current_buffer: Final[ContextVar[Buffer | None]] = ContextVar("postroom step", default=None)
"""The events of the step that runs here."""

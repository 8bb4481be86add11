"""Groups in a store: what this process has staged there, and hears of it.

Units: seconds.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

import attrs

from postroom_actors import Port

from ..contract import EXPIRED, Answer, Notice, Published, StagedGroup, StoredEvent
from ..errors import PostroomError
from ..event import Event
from ..receipt import Receipt
from ..staged import Stage, StagedReceipt
from ..staging import Block
from .carrier import Carrier
from .errands import Call
from .receipts import StoredReceipt
from .storing import stored_event

T = TypeVar("T")


class RemotelyStagedReceipt(StagedReceipt, eq=False, kw_only=True):
    """The receipt of an event that is staged in a store; anybody may release or clear it."""

    refusal: PostroomError | None = None

    async def admitted(self) -> None:
        """The runtime's own: wait until the store has staged it.

        Cancellation: as `StoredReceipt.admitted`.
        """
        if self.admission is not None and self.admission.waiting:
            await self.admission.wait()
        self.check_accepted()

    def check_accepted(self) -> None:
        """The runtime's own: raises why it was not staged."""
        if self.refusal is not None:
            raise self.refusal


@attrs.define(eq=False)
class StoredGroups:
    """The groups of a store, as one runtime uses them.

    Attributes:
        blocks: Those whose block is open here.
    """

    _carrier: Carrier
    blocks: dict[str, Block] = attrs.field(factory=dict, init=False)
    _staged: dict[str, list[RemotelyStagedReceipt]] = attrs.field(factory=dict, init=False)  # by the event's id
    _stages: dict[str, Stage] = attrs.field(factory=dict, init=False)

    @property
    def port(self) -> Port:
        return self._carrier.port

    def __len__(self) -> int:
        return len(self._staged)

    def open(self, id: str, block: Block) -> None:
        """The block of a group begins."""
        self.blocks[id] = block
        self._stages[id] = self._stage_of(id)
        self._stages[id].task = block.task

    def end(self, id: str) -> None:
        """The block of a group has ended: whoever waits for its events need not leave it first."""
        del self.blocks[id]
        self._stages.pop(id).task = None

    def stage(
        self, group: str, events: Sequence[tuple[Event, Event | None]], require: bool, ttl: float | None
    ) -> list[RemotelyStagedReceipt]:
        """Stage events in a group, all or none; never waits, their receipts do.

        Raises:
            NotPortable, BackoffNotPortable: nothing was sent.
        """
        stored = [stored_event(event, given, require) for event, given in events]
        stage = self._stage_of(group)
        receipts = [
            RemotelyStagedReceipt(event, (), stage=stage, draft=given, require=require) for event, given in events
        ]
        call = Call(
            self.port,
            make=lambda number: self._carrier.store.stage(group, stored, ttl),
            what="stage events",
            then=lambda answer: self._was_staged(receipts, stored, answer),
            otherwise=lambda error: _refuse(receipts, error),
        )
        for receipt in receipts:
            receipt.admission = call
        self._carrier.publisher.send(call)
        return receipts

    def _was_staged(
        self,
        receipts: Sequence[RemotelyStagedReceipt],
        stored: Sequence[StoredEvent],
        answer: list[Published | None] | PostroomError,
    ) -> None:
        if isinstance(answer, PostroomError):
            _refuse(receipts, answer)
            return
        for receipt, published in zip(receipts, answer, strict=True):
            if published is None:
                self._staged.setdefault(receipt.event.id, []).append(receipt)
            else:
                receipt.accept(self._adopted(receipt.event, published, is_new=False))

    async def release(self, group: str) -> list[Receipt]:
        """Accept all that is staged in a group.

        Raises:
            PostroomError: why none of it was.

        Cancellation: it was accepted or not.
        """
        released: list[list[Receipt] | PostroomError] = []
        await self._call(
            "release a group",
            lambda number: self._carrier.store.release(number, group),
            lambda answer: released.append(self._released(group, *answer)),
        )
        if isinstance(released[0], PostroomError):
            raise released[0]
        return released[0]

    def _released(self, group: str, ids: list[str], answer: Answer) -> list[Receipt] | PostroomError:
        """Take up the answer to a release, before anything that is heard of its events."""
        if isinstance(answer, PostroomError):
            return answer
        receipts: list[Receipt] = []
        for id, published in zip(ids, answer, strict=True):
            staged = self._staged.pop(id, [])
            receipt = self._adopted(staged[0].event if staged else Event("", id=id), published)
            for each in staged:
                each.accept(receipt)
            receipts.append(receipt)
        self._forget_stage(group)
        return receipts

    async def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        """Drop what is staged; returns how many.

        Cancellation: it was dropped or not.
        """
        counts: list[int] = []
        await self._call("clear a group", lambda number: self._carrier.store.clear(group, names, reason), counts.append)
        return counts[0]

    async def listing(self, limit: int) -> list[StagedGroup]:
        """What is staged in the store.

        Cancellation: changes nothing.
        """
        return await self._carrier.ask("list its groups", lambda: self._carrier.store.groups(limit))

    def heard(self, notice: Notice) -> bool:
        """Take up what became of something staged; whether that was staged here."""
        staged = self._staged.pop(notice.event, None)
        if staged is None:
            return False
        for receipt in staged if notice.cleared else ():
            block = self.blocks.get(receipt.stage.id)
            if block is not None and notice.cleared == EXPIRED:
                block.expired = True
            receipt.clear(notice.cleared)
        if notice.published is not None:
            accepted = self._adopted(staged[0].event, notice.published, is_new=False)
            for receipt in staged:
                receipt.accept(accepted)
        return True

    def close(self, reason: str) -> None:
        """The runtime has ended: what it staged outside of blocks may still be released by others."""
        for staged in tuple(self._staged.values()):
            for receipt in staged:
                receipt.clear(reason)
        self._staged.clear()

    async def _call(self, what: str, make: Callable[[int], Awaitable[T]], then: Callable[[T], None]) -> None:
        call: Call[T] = Call(self.port, make=make, what=what, then=then)
        self._carrier.publisher.send(call)
        await call.wait()
        if call.error is not None:
            raise call.error

    def _adopted(self, event: Event, published: Published, *, is_new: bool = True) -> StoredReceipt:
        receipt = self._carrier.receipt_of(event)
        self._carrier.adopt(receipt, published)
        if is_new:
            self._carrier.recorded([receipt], [None])
        return receipt

    def _stage_of(self, id: str) -> Stage:
        stage = self._stages.get(id)
        if stage is None:
            block = self.blocks.get(id)
            task = None if block is None else block.task
            stage = Stage(id, self.port, 0.0, task, 0.0)
            if block is not None:
                self._stages[id] = stage
        return stage

    def _forget_stage(self, id: str) -> None:
        if id not in self.blocks:
            self._stages.pop(id, None)


def _refuse(receipts: Sequence[RemotelyStagedReceipt], error: PostroomError) -> None:
    for receipt in receipts:
        receipt.refusal = error

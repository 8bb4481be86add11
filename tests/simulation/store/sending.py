"""Emitting into a store, checked: what every emit has done or not done when it returns, raises, or is cancelled."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
import attrs

from postroom import (
    ConflictingEvent,
    Context,
    Event,
    PostroomError,
    Receipt,
    Report,
    RuntimeClosed,
    Succeeded,
    WouldDeadlock,
)
from postroom.store_errors import StoreBroken, StoreBusy, StoreFull, UnknownResult
from postroom_actors import current_hand

from .program import StoreDraft

if TYPE_CHECKING:  # a life sends by this, and this belongs to a life
    from .process import Life

REPEATS = 3
"""How often an emit with an id is made again where nobody knows whether it was done."""


@attrs.define(eq=False)
class Sending:
    """Emits in one life.

    Attributes:
        receipts: Of emits that have returned.
    """

    life: "Life"
    receipts: list[Receipt] = attrs.field(factory=list)

    async def send(self, draft: StoreDraft | None, context: Context | None = None) -> Receipt | None:
        """Emit one event; again where nobody knows and it has an id, as users are told to. None where it failed."""
        world = self.life.process.world
        for _ in range(REPEATS if draft is not None and draft.id is not None else 1):
            if draft is None:
                return None
            who, emit = self.marker(draft), self.life.runtime.emit if context is None else context.emit
            try:
                with world.waits(self.life, f"{who} emits {draft.name}"):
                    receipt = await emit(draft.name, draft.actions, headers={"by": who}, **draft.options)
            except UnknownResult:
                self.unknown(who)
                await anyio.sleep(1)
                continue
            except PostroomError as error:
                self.refused(draft.id is not None, who, 1, error)
                return None
            except anyio.get_cancelled_exc_class():
                self.cancelled()
                raise
            self.sent(who, [receipt])
            return receipt
        return None

    async def send_and_wait(self, draft: StoreDraft | None) -> None:
        """Emit one event, and wait for what becomes of it."""
        if draft is None:
            return
        receipt = await self.send(draft)
        if receipt is not None:
            await self.report_of(receipt)

    async def send_many(self, drafts: Sequence[StoreDraft]) -> None:
        """Emit some events together: all or none."""
        world = self.life.process.world
        who = f"{self.life.name}.{world.new_number()}"
        drafts = [attrs.evolve(draft, id=None) for draft in drafts]
        events = [Event(draft.name, draft.actions, headers={"by": who}, **draft.options) for draft in drafts]
        try:
            with world.waits(self.life, f"{who} emits {len(events)} events"):
                receipts = await self.life.runtime.emit_many(events)
        except UnknownResult:
            self.unknown(who)
        except PostroomError as error:
            self.refused(False, who, len(events), error)
        except anyio.get_cancelled_exc_class():
            self.cancelled()
            raise
        else:
            self.sent(who, receipts)
        count = len(self.life.process.model.by.get(who, ()))
        if count not in (0, len(events)):
            world.complain(f"{who} has emitted {len(events)} events together, and {count} were accepted")

    def marker(self, draft: StoreDraft) -> str:
        """Who emits: the id where the program has chosen one, or a name for this very call."""
        return draft.id or f"{self.life.name}.{self.life.process.world.new_number()}"

    def unknown(self, who: str) -> None:
        process = self.life.process
        process.world.say(f"{who} unknown")
        process.world.sometimes.hit("emit unknown")

    def cancelled(self) -> None:
        if not self.life.killed:
            self.life.process.world.sometimes.hit("cancelled on its way")

    def refused(self, has_id: bool, who: str, count: int, error: PostroomError) -> None:
        """A call raised, so it must have had no effect."""
        process, life = self.life.process, self.life
        if life.killed:
            return
        process.world.say(f"{who} refused: {type(error).__name__}")
        match error:
            case StoreBusy() | StoreFull():
                process.world.sometimes.hit("emit refused by a busy store")
            case RuntimeClosed() if life.is_closing or life.may_break or not life.is_open:
                pass
            case StoreBroken() if life.may_break:
                pass
            case WouldDeadlock() if current_hand() is not None:
                pass
            case ConflictingEvent() if has_id:
                pass
            case _:
                process.world.complain(f"{who} was refused with {error!r}")
        accepted = len(process.model.by.get(who, ()))
        if accepted and not has_id:
            process.world.complain(f"{who} was refused with {type(error).__name__}, and {accepted} were accepted")

    def sent(self, who: str, receipts: Sequence[Receipt]) -> None:
        """A call returned, so its events are stored, once."""
        process, life = self.life.process, self.life
        if life.killed:
            return
        process.world.say(f"{who} sent {' '.join(receipt.id for receipt in receipts)}")
        accepted = len(process.model.by.get(who, ()))
        if accepted != len(receipts):
            process.world.complain(f"{who} has {len(receipts)} receipts, and {accepted} were accepted")
        for receipt in receipts:
            self.receipts.append(receipt)
            life.tasks.start_soon(self.report_of, receipt)

    async def report_of(self, receipt: Receipt) -> None:
        """Wait for the report of an event, and look whether it says what the store says."""
        world, life = self.life.process.world, self.life
        began = world.trace.steps
        try:
            with world.waits(life, f"{life.name} waits for {receipt.id}", receipt):
                report = await receipt
        except RuntimeClosed:
            world.sometimes.hit("receipt closed")
            if not life.is_closing and not life.may_break and not life.killed:
                world.complain(f"{life.name} was told that it has closed, and it has not")
            return
        except WouldDeadlock:
            if world.trace.steps > began:
                world.sometimes.hit("refused late")
            return
        except StoreBroken:
            return
        if not life.killed:
            self.check(receipt.id, report)

    def check(self, id: str, report: Report) -> None:
        """Whether a report is that of the store."""
        world, model = self.life.process.world, self.life.process.model
        world.say(f"{self.life.name} knows of {id}: {len(report.outcomes)}")
        _, targets = model.accepted[id]
        if sorted(each.subscription for each in report.outcomes) != sorted(targets):
            world.complain(f"the report of {id} tells of {report.outcomes}, and it went to {targets}")
        for outcome in report.outcomes:
            one = model.deliveries[id, outcome.subscription]
            if one.last != self.life.session:
                world.sometimes.hit("settled elsewhere")
            known = one.first_outcome
            if known is None or type(known) is not type(outcome) or known.attempts != outcome.attempts:
                world.complain(f"the report of {id} says {outcome!r}, and the store {known!r}")
            if isinstance(outcome, Succeeded) and isinstance(known, Succeeded) and outcome.value != known.value:
                world.complain(f"the report of {id} says {outcome.value!r}, and the store {known.value!r}")

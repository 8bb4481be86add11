"""Emitting, checked: what every way to emit has done or not done when it returns, raises, or is cancelled."""

from collections.abc import Sequence

import anyio
import attrs

from postroom import (
    CausationTooDeep,
    ConflictingEvent,
    Context,
    Event,
    MailboxFull,
    NoSubscriber,
    PostroomError,
    Receipt,
    Runtime,
    RuntimeClosed,
    Succeeded,
    WouldDeadlock,
)
from postroom_actors import current_hand

from .model import Model, matches
from .program import Draft
from .world import Process, World

_REFUSALS = {
    MailboxFull: "mailbox full",
    ConflictingEvent: "same id with other data",
    NoSubscriber: "required somebody",
    WouldDeadlock: "would deadlock",
    CausationTooDeep: "causation too deep",
    RuntimeClosed: "closed too early",
}


@attrs.frozen
class Call:
    """One call that emits.

    Attributes:
        who: In the headers of its events; of events with ids that the program chose, one for each id.
        before: How many events this one had emitted before.
    """

    who: str
    before: int


@attrs.define(eq=False)
class Emitting:
    """Emits into one runtime.

    Attributes:
        by_id: The receipts of events with chosen ids.
    """

    world: World
    process: Process
    model: Model
    runtime: Runtime
    by_id: dict[str, Receipt] = attrs.field(factory=dict)

    async def emit(self, draft: Draft, context: Context | None = None) -> Receipt | None:
        """Emit one event; None where it was refused."""
        call = self.call(draft)
        world, turn = self.world, self.runtime._turn
        slice_ends_at = turn.ends_at
        emit = self.runtime.emit if context is None else context.emit
        try:
            with world.waits(self.process, f"{call.who} emits {draft.name}"):
                receipt = await emit(draft.name, draft.actions, headers={"by": call.who}, **draft.options)
        except PostroomError as error:
            self.refused(call, error, draft)
            return None
        except anyio.get_cancelled_exc_class():
            accepted = self.count(call)
            world.sometimes.hit("cancelled in line" if accepted else "cancelled before acceptance")
            world.say(f"{call.who} cancelled after {accepted}")
            raise
        if turn.ends_at != slice_ends_at:
            world.sometimes.hit("slice ended")
        self.accepted(call, draft, receipt)
        return receipt

    async def emit_and_wait(self, draft: Draft) -> None:
        """Emit one event and wait for what becomes of it."""
        call = self.call(draft)
        who = call.who
        try:
            with self.world.waits(self.process, f"{who} emits {draft.name} and waits"):
                report = await self.runtime.emit_and_wait(
                    draft.name, draft.actions, headers={"by": who}, **draft.options
                )
        except PostroomError as error:
            self.refused(call, error, draft, waits=True)
            return
        self.world.say(f"{who} knows {len(report.outcomes)} outcomes")
        wanted = self.model.targets.get(report.event.id)
        if sorted(outcome.subscription for outcome in report.outcomes) != sorted(wanted or ()):
            self.world.complain(f"{who} got a report of {report.outcomes}, and it went to {wanted}")

    async def request(self, draft: Draft) -> None:
        """Ask for the first answer."""
        call = self.call(draft)
        who = call.who
        options = {name: value for name, value in draft.options.items() if name != "require"}
        try:
            with self.world.waits(self.process, f"{who} requests {draft.name}"):
                value = await self.runtime.request(draft.name, draft.actions, headers={"by": who}, **options)
        except PostroomError as error:
            self.refused(call, error, draft, waits=True)
            return
        except ExceptionGroup as group:
            self.world.sometimes.hit("nobody answered")
            self.world.say(f"{who} was not answered: {len(group.exceptions)}")
            return
        self.world.say(f"{who} was answered {value!r}")
        event = str(value).split("/")[1:2]  # nothing for one of a batch of which others failed
        if event and any(event[0] in mine for mine in self.model.pending.values()):
            self.world.sometimes.hit("answered early")

    def emit_nowait(self, draft: Draft) -> Receipt | None:
        """Emit one event without waiting; None where it was refused."""
        call = self.call(draft)
        try:
            receipt = self.runtime.emit_nowait(draft.name, draft.actions, headers={"by": call.who}, **draft.options)
        except PostroomError as error:
            self.refused(call, error, draft)
            return None
        self.accepted(call, draft, receipt)
        return receipt

    async def emit_many(self, drafts: Sequence[Draft]) -> list[Receipt]:
        """Emit some events together: all or none."""
        who = self.someone()
        events = [self.event(who, draft) for draft in drafts]
        new = len([draft for draft in drafts if draft.id is None])
        try:
            with self.world.waits(self.process, f"{who} emits {len(drafts)} events"):
                receipts = await self.runtime.emit_many(events)
        except PostroomError as error:
            self.refused(Call(who, 0), error)
            return []
        except anyio.get_cancelled_exc_class():
            accepted = self.model.emitted[who]
            if accepted:
                self.world.sometimes.hit("many cancelled in line")
            if accepted and accepted < new:
                self.world.complain(f"{who} was cancelled after {accepted} of {len(drafts)} events")
            raise
        for draft, receipt in zip(drafts, receipts, strict=True):
            if receipt.event.name != draft.name:
                self.world.complain(f"{who} got the receipts in another order")
        if self.model.emitted[who] < new:
            self.world.complain(f"{who} was told that all were accepted, and {self.model.emitted[who]} were")
        return receipts

    def event(self, who: str, draft: Draft) -> Event:
        """A draft as an event of the user's."""
        return Event(draft.name, draft.actions, headers={"by": draft.id or who}, **draft.of_event)

    def call(self, draft: Draft) -> Call:
        """A call that emits this event."""
        who = draft.id or self.someone()
        return Call(who, self.model.emitted[who])

    def count(self, call: Call) -> int:
        """How many events it has emitted so far; of an id of the program's, somebody else may have meanwhile."""
        return self.model.emitted[call.who] - call.before

    def someone(self) -> str:
        """A name for one call."""
        return f"{self.process.name}.{self.world.new_number()}"

    def refused(self, call: Call, error: PostroomError, draft: Draft | None = None, *, waits: bool = False) -> None:
        """A call raised, so it must have had no effect; but where it `waits` for outcomes after it has emitted."""
        kind, world, who = type(error), self.world, call.who
        world.say(f"{who} refused: {kind.__name__}")
        if kind not in _REFUSALS:
            world.complain(f"{who} was refused with {error!r}")
            return
        world.sometimes.hit(_REFUSALS[kind])
        is_ours = call.who not in self.by_id  # of an id of the program's, somebody else may have emitted it meanwhile
        if is_ours and self.count(call) and not (waits and kind is WouldDeadlock):
            world.complain(f"{who} was refused with {kind.__name__}, and {self.count(call)} were accepted")
        if kind is WouldDeadlock and current_hand() is None:
            world.complain(f"{who}, which is no handler, was told that it would wait in a circle: {error}")
        if kind is WouldDeadlock and not self.count(call) and draft is not None and self.has_room_soon(draft):
            world.complain(f"{who} was told that it would wait for ever, and somebody can make room: {error}")
        if kind is RuntimeClosed and not self.process.is_closing:
            world.complain(f"{who} was told that the runtime is closed, which it is not")

    def has_room_soon(self, draft: Draft) -> bool:
        """Whether whoever is to make room for an event is at work or idle, so that no circle has closed.

        Said only where it is plain: keys, delays and gates may let a worker that is free find nothing to take.
        """
        targets = [each for each in self.runtime._roster.behaviours.values() if each.name in self.model.at_work]
        targets = [each for each in targets if any(matches(p, draft.name) for p in each.subscriber.patterns)]
        full = [each for each in targets if len(each.mailbox) >= each.mailbox.capacity]
        return all(
            any(hand.wait is None and hand is not current_hand() for hand in each.actor.hands)
            and not each.mailbox.gates
            and not any(one.event.key for one in (*each.mailbox.waiting(), *(one for one, _ in each.mailbox.line)))
            for each in full
        )

    def accepted(self, call: Call, draft: Draft, receipt: Receipt) -> None:
        """A call returned, so its event was accepted, once, and stands in no line any more."""
        world, who, count = self.world, call.who, self.count(call)
        world.say(f"{who} emitted {receipt.id}")
        if self.model.emitted[who] != 1:
            world.complain(f"{who} has its receipt, and its event was accepted {self.model.emitted[who]} times")
        if draft.id is not None and self.by_id.get(draft.id) is not receipt:
            world.complain(f"{who} was emitted again, and there is another receipt")
        if not count:
            world.sometimes.hit("same id")
        elif receipt.admission is not None:
            world.sometimes.hit("waited for room")
            if receipt.admission.waiting:
                world.complain(f"{who} goes on although its event stands in line")

    async def wait_for(self, receipt: Receipt, among: int, cancel_after: int | None) -> None:
        """Wait for the report of an event, as one of so many tasks."""
        if among > 1:
            self.world.sometimes.hit("two waited")
        with anyio.CancelScope() as scope:
            if cancel_after is not None:
                self.world.cancel_later(scope, cancel_after)
            await self.report_of(receipt)

    async def report_of(self, receipt: Receipt) -> None:
        """Wait for the report of an event, and look whether it is complete."""
        try:
            with self.world.waits(self.process, f"somebody waits for {receipt.id}", receipt):
                report = await receipt
        except anyio.get_cancelled_exc_class():
            self.world.sometimes.hit("wait cancelled")
            raise
        self.world.say(f"{receipt.id} is known: {len(report.outcomes)}")
        if len(report.outcomes) != len(receipt.targets):
            self.world.complain(f"the report of {receipt.id} has {len(report.outcomes)} of {len(receipt.targets)}")
        if any(isinstance(each, Succeeded) and not each.attempts for each in report.outcomes):
            self.world.complain(f"{receipt.id} succeeded without an attempt")

"""Operations: what each one in a program does, in the process that it names."""

from contextlib import ExitStack

import anyio
import anyio.abc
import anyio.lowlevel
import attrs

from postroom import (
    ConflictingEvent,
    GroupClosed,
    NoSubscriber,
    PostroomError,
    Receipt,
    RuntimeClosed,
    UnknownDeadLetter,
    UnknownSubscription,
    WouldDeadlock,
)

from .process import Process
from .program import (
    Draft,
    Emit,
    Group,
    Idle,
    Many,
    Operation,
    Pause,
    Replay,
    Sleep,
    Spawn,
    Stage,
    StepClock,
    Stop,
    Team,
)


class Ended(Exception):
    """Ends a block on purpose."""


@attrs.define(eq=False)
class Operations:
    """Runs operations, each in a task of its own where it may wait.

    Attributes:
        tasks: Where those tasks live: outside of the runtime's block, so that some of them outlast it.
    """

    process: Process
    tasks: anyio.abc.TaskGroup

    async def run(self, operation: Operation) -> None:
        """Begin an operation; return when the next one may."""
        match operation:
            case Sleep(seconds=seconds):
                await anyio.sleep(seconds)
            case StepClock(seconds=seconds):
                self.process.world.clock.offset += seconds
                self.process.world.sometimes.hit("clock stepped")
            case Spawn(spec=spec, cancel_after=None):
                await self.process.spawn(spec)
            case _:
                self.tasks.start_soon(self.in_task, operation)

    async def in_task(self, operation: Operation) -> None:
        """An operation from its beginning to its end or its cancellation."""
        with anyio.CancelScope() as scope:
            if operation.cancel_after is not None:
                self.process.world.cancel_later(scope, operation.cancel_after)
            await self.do(operation)

    async def do(self, operation: Operation) -> None:
        process, emitting = self.process, self.process.emitting
        match operation:
            case Spawn(spec=spec):
                await process.spawn(spec)
            case Team():
                await process.spawn_team(operation)
            case Stop(which=which, drain=drain):
                await process.stop(which, drain=drain)
            case Pause(which=which, seconds=seconds):
                await self.pause(which, seconds)
            case Emit():
                await self.emit(operation)
            case Many(drafts=drafts):
                for receipt in await emitting.emit_many(drafts):
                    self.watch(receipt, 1, operation.cancel_after)
            case Group():
                await self.group(operation)
            case Stage():
                await self.stage(operation)
            case Replay(which=which):
                await self.replay(which)
            case Idle():
                await self.idle()
            case _:
                raise AssertionError(operation)

    async def emit(self, operation: Emit) -> None:
        emitting = self.process.emitting
        for draft in operation.drafts:
            receipt: Receipt | None = None
            match operation.how:
                case "emit":
                    receipt = await emitting.emit(draft)
                case "nowait":
                    receipt = emitting.emit_nowait(draft)
                case "and_wait":
                    await emitting.emit_and_wait(draft)
                case "request":
                    await emitting.request(draft)
            if receipt is not None:
                self.watch(receipt, operation.waiters, operation.cancel_after)

    def watch(self, receipt: Receipt, waiters: int, cancel_after: int | None) -> None:
        """Have some tasks wait for a receipt, the first of which may be cancelled."""
        for number in range(waiters):
            steps = cancel_after if number == 0 else None
            self.tasks.start_soon(self.process.emitting.wait_for, receipt, waiters, steps)

    async def pause(self, which: str, seconds: float) -> None:
        process = self.process
        subscription = process.runtime.subscriptions.get(which)
        if subscription is None or process.is_healed:
            return
        await subscription.pause()
        if process.is_healed:
            with anyio.CancelScope(shield=True):
                await subscription.resume()
        process.world.say(f"{which} paused")
        await anyio.sleep(seconds)
        await subscription.resume()
        process.world.say(f"{which} resumed")

    async def replay(self, which: int) -> None:
        process = self.process
        letters = await process.runtime.dead_letters.list()
        if not letters:
            return
        letter = letters[which % len(letters)]
        process.is_replaying = True  # until it is placed, in this very step
        try:
            with process.world.waits(process, "somebody replays"):
                await process.runtime.dead_letters.replay(letter)
        except UnknownDeadLetter:  # somebody else has replayed it, or it went to make room
            process.is_replaying = False
        except (RuntimeClosed, UnknownSubscription):
            process.is_replaying = False
            if letter.id not in process.runtime.dead_letters._letters:
                process.world.complain(f"a dead letter of {letter.event.id} is gone, and was not replayed")

    async def idle(self) -> None:
        process = self.process
        try:
            with process.world.waits(process, "somebody waits until it is idle"):
                await process.runtime.idle()
        except RuntimeClosed:
            return
        process.world.say("idle")

    async def group(self, operation: Group) -> None:
        process, emitting = self.process, self.process.emitting
        who, mark = emitting.someone(), process.world.sometimes.hit
        count = 0
        try:
            with ExitStack() as end:
                async with process.runtime.group() as group:
                    for draft in operation.drafts:
                        await group.emit(draft.name, draft.actions, headers={"by": draft.id or who}, **draft.options)
                        count += draft.id is None
                    await anyio.sleep(operation.seconds)
                    if process.model.emitted[who]:
                        process.world.complain(f"{who} has staged events, and some were accepted")
                    if not operation.ends_well:
                        raise Ended
                    end.enter_context(process.world.waits(process, f"{who} ends its group"))
        except (Ended, ConflictingEvent, NoSubscriber, RuntimeClosed, GroupClosed, WouldDeadlock) as error:
            process.world.say(f"{who} has ended with {type(error).__name__}")
            mark("group dropped")
            if process.model.emitted[who]:
                process.world.complain(f"{who} has ended with {error!r}, and some of its events were accepted")
            return
        except anyio.get_cancelled_exc_class():
            accepted = process.model.emitted[who]
            mark("group waited for room" if accepted else "group dropped")
            raise
        mark("group released")
        if not count <= process.model.emitted[who] <= len(operation.drafts):
            process.world.complain(f"{who} was released, and {process.model.emitted[who]} of {count} were accepted")

    async def stage(self, operation: Stage) -> None:
        process, id = self.process, operation.id
        mark = process.world.sometimes.hit
        try:
            for draft in operation.drafts:
                await self.stage_one(draft, id)
            with process.world.waits(process, f"somebody releases {id}"):
                match operation.then:
                    case "release":
                        before = process.runtime.stats.staged
                        receipts = await process.runtime.release_group(id)
                        if any(receipt.admission is not None for receipt in receipts):
                            mark("group waited for room")
                        process.world.say(f"released {len(receipts)} of {before}")
                        for receipt in receipts:
                            self.watch(receipt, 1, None)
                    case "clear":
                        if await process.runtime.clear_group(id):
                            mark("group cleared elsewhere")
        except PostroomError as error:
            if not isinstance(error, ConflictingEvent | NoSubscriber | RuntimeClosed):
                process.world.complain(f"staging was refused with {error!r}")
            process.world.say(f"staging {id} refused: {type(error).__name__}")

    async def stage_one(self, draft: Draft, group: str) -> None:
        """Emit into a group; nothing is accepted by that."""
        process = self.process
        who = process.emitting.someone()
        await process.runtime.emit(
            draft.name, draft.actions, headers={"by": draft.id or who}, group=group, **draft.options
        )
        if process.model.emitted[who] and draft.id is None:
            process.world.complain(f"{who} has staged an event, and it was accepted")

"""Groups: events that go out together, once what they tell of is done, or not at all."""

import math
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, Unpack

import anyio
import anyio.lowlevel
import attrs
import msgspec

from .checks import check_count, check_number, listed, word
from .deadlock import check_here
from .errors import InvalidOption, NoSubscriber
from .event_types import Emitted
from .listings import StagedGroup
from .many import Draft, ManyEmitter, note_of_position
from .names import tokens_of_name
from .options import EmitOptions, check_group
from .quoting import quoted
from .receipt import Entrance, Receipt
from .staged import CLEARED
from .staging import MOST_STAGED, TIME_TO_LIVE, Block, GroupClosed, GroupFull

GRACE: Final = 5.0
"""How long a group that failed waits for its store to drop what is staged, seconds."""


MOST_LISTED: Final = 100


@attrs.define(eq=False)
class Group:
    """Events that are staged until the block of the group succeeds. Made by `Runtime.group`, for one `async with`.

    When the block ends well, all of them are accepted, in their order; when it raises, all of them are dropped. The
    end of the block then waits for room in full mailboxes, as `emit_many` does.

    What is refused at the release (`NoSubscriber`, `WouldDeadlock`, `RuntimeClosed`) comes out of the block, and then
    the events are dropped. Where they were dropped before, since they waited for too long, `GroupClosed` does.

    Attributes:
        id: Names it, for those who emit into it, release or clear it from elsewhere.

    Cancellation: of the block drops the events. At its end, while it waits for room, they are accepted and stay so.

    Source: the transactional outbox (C. Richardson, *Microservices Patterns*, 2018), in memory.
    """

    id: str
    _ttl: float
    _emitter: "GroupEmitter"
    _block: Block | None = attrs.field(default=None, init=False)
    _has_ended: bool = attrs.field(default=False, init=False)

    def __repr__(self) -> str:
        state = "not entered yet" if self._block is None else "ended" if self._has_ended else "open"
        return f"<Group {quoted(self.id)}: {state}>"

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise GroupClosed(self.id, "it was entered before")
        await anyio.lowlevel.checkpoint()
        self._block = self._emitter._open_block(self.id, self._ttl)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._block is not None
        self._has_ended = True
        if kind is None:
            await self._emitter._end_well(self.id, self._block)
        else:
            await self._emitter._end_badly(self.id, f"its block raised {kind.__name__}")

    async def emit(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt:
        """Stage an event. Arguments as `Runtime.emit`, but that `delay` and `expires_after` count from the release.

        Returns:
            A receipt. Awaiting it waits for the release as well, so await it after the block: in the task of the
            block it is refused with `StillStaged`. If the event is dropped it raises `GroupCleared`.

        Raises:
            GroupFull: the group holds 10,000 events.
            GroupClosed: the block has ended or was not entered, or what was staged has expired.
            Exception: as `Runtime.emit`.

        Cancellation: as `Runtime.emit`, with nothing staged.
        """
        self._check_usable()
        group = options.get("group")
        if group is not None:
            raise InvalidOption("group", group, f"this is group {self.id!r}; use `runtime.emit` for another")
        options["group"] = self.id
        return await self._emitter._stage_one(self._check_usable, name, data, options)

    async def emit_many(self, events: Iterable[Emitted]) -> list[Receipt]:
        """Stage several events, each an `Event` or a typed one, in their order: all of them, or none.

        Returns:
            One receipt for each, in the same order; as of `emit`.

        Raises:
            GroupFull: there is no room in the group for all of them.
            GroupClosed: as `emit`.
            Exception: as `Runtime.emit_many`, with a note of the position of the event that is refused.

        Cancellation: nothing was staged.
        """
        self._check_usable()
        checked = await self._emitter._check_all(events, self.id)
        self._check_usable()  # others may have had their turns
        return await self._emitter._stage_all(self.id, checked)

    async def clear(self, names: Iterable[str] | None = None) -> int:
        """Drop what is staged, or of it the events of these names; the block goes on.

        Returns:
            How many were dropped.

        Raises:
            GroupClosed, InvalidName, InvalidOption: nothing was dropped.

        Cancellation: only before anything was dropped.
        """
        self._check_usable()
        return await self._emitter.clear_group(self.id, names)

    def _check_usable(self) -> None:
        if self._block is None:
            raise GroupClosed(self.id, "its block was not entered")
        if self._has_ended:
            raise GroupClosed(self.id, "its block has ended")
        if self._block.expired:
            raise GroupClosed(self.id, "what was staged has waited for too long, and was dropped")


@attrs.define(eq=False)
class GroupEmitter(ManyEmitter):
    """What a runtime does with groups."""

    def group(self, id: str | None = None, ttl: float | None = TIME_TO_LIVE) -> Group:
        """A group of events for one `async with` block: staged until it succeeds, dropped when it raises.

        Args:
            id: Names the group, where others are to use it, too. One that was begun by `emit(…, group=id)` is taken
                over by the block, its time to live included.
            ttl: Seconds after the first event is staged at which all of them are dropped unless they were released;
                None for no limit.

        Raises:
            InvalidOption: a value that it can't have; or, when it is entered, another block of this id is open.
            RuntimeClosed, WrongThread, WrongBackend: when it is entered.
        """
        if id is not None:
            id = check_group(id)
        seconds = math.inf if ttl is None else check_number("ttl", ttl, "seconds", above=True, finite=False)
        return Group(id or self._ids(), seconds, self)

    async def release_group(self, id: str) -> list[Receipt]:
        """Accept all events of a group, in their order, or none of them; then the group is forgotten.

        Which subscriptions get them is decided now. They enter the mailboxes as those of `emit_many` do. Where nothing
        is staged nothing happens.

        Returns:
            One receipt for each, once every mailbox has taken its share.

        Raises:
            NoSubscriber: one was emitted with `require=True`, and nobody subscribes to it.
            WouldDeadlock, InvalidOption, RuntimeClosed, WrongThread, WrongBackend: nothing was accepted, and the
                group stays as it is.

        Cancellation: while it yields nothing was accepted; while it waits for room all of them were.
        """
        id = check_group(id)
        await self._before("release_group")
        if self._outbox is not None:
            return await self._outbox.groups.release(id)
        receipts, admission = self._accept_group(id)
        await self._admitted(receipts, admission)
        return receipts

    async def clear_group(self, id: str, names: Iterable[str] | None = None) -> int:
        """Drop what is staged in a group, or of it the events of these names; their receipts raise `GroupCleared`.

        Returns:
            How many were dropped; 0 where there is no such group.

        Raises:
            InvalidName, InvalidOption, RuntimeClosed, WrongThread, WrongBackend: nothing was dropped.

        Cancellation: only before anything was dropped.
        """
        id = check_group(id)
        wanted = None if names is None else _names(names)
        await self._before("clear_group")
        if self._outbox is not None:
            return await self._outbox.groups.clear(id, wanted, CLEARED)
        return self._stages.clear(id, wanted)

    async def staged_groups(self, *, limit: int = MOST_LISTED) -> tuple[StagedGroup, ...]:
        """The groups in which something is staged, those first that are dropped first unless they are released.

        On a durable module those of all processes, in memory those of this runtime.

        Args:
            limit: At most so many.

        Raises:
            InvalidOption: a limit that is none.
            Unsupported: the event module has no groups.
            RuntimeClosed, WrongThread, WrongBackend: it is not open here.
            StoreBroken: the store can't be asked.

        Cancellation: changes nothing.
        """
        check_count("limit", limit, "groups")
        await self._before("staged_groups")
        if self._outbox is not None:
            return tuple(await self._outbox.groups.listing(limit))
        return tuple(self._stages.listing(limit))

    async def _before(self, call: str) -> None:
        """Whether this may be called here; a checkpoint, before anything has been done."""
        self._check_open(call)
        check_here(self._kernel.port)
        if self._outbox is not None:
            self._outbox.check_groups()
        await anyio.lowlevel.checkpoint()
        self._check_open(call)

    async def _stage_one(self, check: Callable[[], None], name: Emitted, data: Any, options: EmitOptions) -> Receipt:
        """`emit` into a group of which `check` says whether it can be used, after others may have had their turns."""
        if self._turn.is_over(self._stopwatch()):
            await self._breathe()
            check()
        receipt = self._accept(self._stopwatch(), name, data, options, None)
        if receipt.admission is not None:  # one that was accepted before, under its id; and all that go to a store
            await receipt.admitted()
        return receipt

    async def _stage_all(self, id: str, checked: list[Draft]) -> list[Receipt]:
        """Stage events that were checked, all of them or none; in memory without a yield, as `_accept_all`.

        Cancellation: while a store is asked, all of them may be staged or none.
        """
        self._check_open()
        if self._outbox is not None:
            receipts = self._outbox.stage(checked, id) if checked else []
            for receipt in receipts:
                await receipt.admitted()
            return receipts
        return self._stage_here(id, checked)

    def _stage_here(self, id: str, checked: list[Draft]) -> list[Receipt]:
        now = self._kernel.port.now()
        known: dict[str, Receipt | None] = {}  # by ids that were chosen; None for those that are new
        new: list[int] = []
        for position, (event, given) in enumerate(checked):
            if given is not None and event.id in known:
                continue
            if given is not None:  # `find` raises where an event conflicts, before any is staged
                known[event.id] = self._deduplication.find(given, now, id)
            if given is None or known[event.id] is None:
                new.append(position)
        room = self._stages.room_in(id)
        if len(new) > room:
            error = GroupFull(id, MOST_STAGED)
            error.add_note(note_of_position(new[room], "staged"))
            raise error
        receipts: list[Receipt] = []
        for event, given in checked:
            receipt = None if given is None else known[event.id]
            if receipt is None:
                receipt = self._stages.add(event, given, False, id)
                if given is not None:
                    known[event.id] = receipt
            receipts.append(receipt)
        return receipts

    def _accept_group(self, id: str) -> tuple[list[Receipt], Entrance | None]:
        stage = self._stages.find(id)
        if stage is None:
            return [], None
        for staged in stage.receipts:
            if staged.require and not self._dispatcher.routes.match(staged.event.name):
                raise NoSubscriber(staged.event.name)
        now = self._wall_time()
        receipts, admission = self._accept_all(
            [(msgspec.structs.replace(staged.event, accepted_at=now), staged.draft) for staged in stage.receipts]
        )
        self._stages.forget(stage)
        for staged, receipt in zip(stage.receipts, receipts, strict=True):
            staged.accept(receipt)
        return receipts, admission

    def _open_block(self, id: str, ttl: float) -> Block:
        self._check_open("group")
        check_here(self._kernel.port)
        if self._outbox is not None:
            self._outbox.check_groups()
        groups = self._stages if self._outbox is None else self._outbox.groups
        if id in groups.blocks:
            raise InvalidOption("id", id, "another block of this group is open; leave it out for a group of your own")
        block = Block(self._kernel.port.current_task(), ttl)
        groups.open(id, block)
        return block

    async def _end_well(self, id: str, block: Block) -> None:
        try:
            await self._before("group")
            if block.expired:
                raise GroupClosed(id, "what was staged has waited for too long, and was dropped")
            if self._outbox is not None:
                await self._outbox.groups.release(id)
                self._outbox.groups.end(id)
                return
            receipts, admission = self._accept_group(id)
        except BaseException as error:
            await self._end_badly(id, f"it could not be released ({type(error).__name__})")
            raise
        del self._stages.blocks[id]
        await self._admitted(receipts, admission)

    async def _end_badly(self, id: str, reason: str) -> None:
        """Drop what is staged.

        Cancellation: does not stop it; a store that takes longer than 5 seconds forgets the group in its time.
        """
        if self._outbox is not None:
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + GRACE):
                await self._outbox.groups.clear(id, None, reason)
            self._outbox.groups.end(id)
            return
        del self._stages.blocks[id]
        self._stages.clear(id, reason=reason)


def _names(names: object) -> frozenset[str]:
    """The names of events to clear.

    Raises:
        InvalidName, InvalidOption: they are none.
    """
    wanted = listed("names", names, "names of events")
    for name in wanted:
        tokens_of_name(name)
    return frozenset(map(word, wanted))

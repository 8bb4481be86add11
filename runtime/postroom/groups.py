"""Groups: events that go out together, once what they tell of is done, or not at all."""

import math
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final, Protocol, Self, Unpack

import anyio
import anyio.lowlevel
import attrs
import msgspec

from .checks import check_number
from .deadlock import check_here
from .emitter import Emitter
from .errors import InvalidOption, NoSubscriber
from .event_types import Emitted
from .names import tokens_of_name
from .options import EmitOptions, check_group
from .receipt import Entrance, Receipt
from .staged import CLEARED
from .staging import TIME_TO_LIVE, Block, GroupClosed

GRACE: Final = 5.0
"""How long a group that failed waits for its store to drop what is staged, seconds."""


class Emits(Protocol):
    """What a group needs of the runtime."""

    async def emit(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt: ...
    async def clear_group(self, id: str, names: Iterable[str] | None = None) -> int: ...


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
    _emits: Emits
    _release: Callable[[str, Block], Awaitable[None]]
    _open: Callable[[str, float], Block]
    _drop: Callable[[str, str], Awaitable[None]]
    _block: Block | None = attrs.field(default=None, init=False)
    _has_ended: bool = attrs.field(default=False, init=False)

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise GroupClosed(self.id, "it was entered before")
        await anyio.lowlevel.checkpoint()
        self._block = self._open(self.id, self._ttl)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._block is not None
        self._has_ended = True
        if kind is None:
            await self._release(self.id, self._block)
        else:
            await self._drop(self.id, f"its block raised {kind.__name__}")

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
        return await self._emits.emit(name, data, **options)

    async def clear(self, names: Iterable[str] | None = None) -> int:
        """Drop what is staged, or of it the events of these names; the block goes on.

        Returns:
            How many were dropped.

        Raises:
            GroupClosed, InvalidName, InvalidOption: nothing was dropped.

        Cancellation: only before anything was dropped.
        """
        self._check_usable()
        return await self._emits.clear_group(self.id, names)

    def _check_usable(self) -> None:
        if self._block is None:
            raise GroupClosed(self.id, "its block was not entered")
        if self._has_ended:
            raise GroupClosed(self.id, "its block has ended")
        if self._block.expired:
            raise GroupClosed(self.id, "what was staged has waited for too long, and was dropped")


@attrs.define(eq=False)
class GroupEmitter(Emitter):
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
            check_group(id)
        if ttl is not None:
            check_number("ttl", ttl, "seconds", above=True, finite=False)
        ttl = math.inf if ttl is None else float(ttl)
        return Group(id or self._ids(), ttl, self, self._end_well, self._open_block, self._end_badly)

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
        check_group(id)
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
        check_group(id)
        wanted = None if names is None else _names(names)
        await self._before("clear_group")
        if self._outbox is not None:
            return await self._outbox.groups.clear(id, wanted, CLEARED)
        return self._stages.clear(id, wanted)

    async def _before(self, call: str) -> None:
        """Whether this may be called here; a checkpoint, before anything has been done."""
        self._check_open(call)
        check_here(self._kernel.port)
        if self._outbox is not None:
            self._outbox.check_groups()
        await anyio.lowlevel.checkpoint()
        self._check_open(call)

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
                self._outbox.groups.end_block(id)
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
            self._outbox.groups.end_block(id)
            return
        del self._stages.blocks[id]
        self._stages.clear(id, reason=reason)


def _names(names: object) -> frozenset[str]:
    """The names of events to clear.

    Raises:
        InvalidName, InvalidOption: they are none.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidOption("names", names, "must be a list of names of events")
    wanted = list(names)
    for name in wanted:
        tokens_of_name(name)
    return frozenset(wanted)

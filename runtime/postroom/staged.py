"""Staged events: what an emit into a group returns, until the group is released or cleared, and then."""

from typing import Any, Final

import anyio.lowlevel
import attrs

from postroom_actors import Port, Wait, Wakeable

from .deadlock import check_here
from .errors import Closed, Rejected
from .event import Event
from .outcomes import Report
from .quoting import quoted
from .receipt import Receipt

CLEARED: Final = "it was cleared"


@attrs.define
class GroupCleared(Closed):
    """Raised by the receipt of an event that was staged and then dropped. Nobody got it."""

    name: str
    id: str
    group: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name!r} {self.id} was dropped from group {self.group!r} before it was accepted: {self.reason}."


@attrs.define
class StillStaged(Rejected):
    """The receipt of a staged event was awaited by the very task whose block has to end first."""

    name: str
    group: str

    def __str__(self) -> str:
        return (
            f"waiting for {self.name!r} would never end: it is staged in group {self.group!r} until this task leaves "
            "the group's block. Await the receipt after the block."
        )


class StagedReceipt(Receipt, eq=False, kw_only=True):
    """What an emit into a group returns: the receipt of an event that is not accepted yet, and maybe never will be.

    Its `event` is the one that was staged, and from the release on the one that was accepted. Awaiting it waits for
    the release first.

    Attributes:
        stage, draft, require, accepted, cleared: The runtime's own.
    """

    stage: "Stage"
    draft: Event | None = None  # as the user gave it, where the user chose its id
    require: bool = False
    accepted: Receipt | None = None
    cleared: str | None = None

    def _state(self) -> str:
        if self.accepted is not None:
            return self.accepted._state()
        fate = "staged" if self.cleared is None else "dropped"
        return f"{fate} in group {quoted(self.stage.id)}"

    @property
    def pending(self) -> int:
        """Subscriptions that have not settled yet; 1 while it is open who they will be."""
        if self.accepted is not None:
            return self.accepted.pending
        return 1 if self.cleared is None else 0

    @property
    def staged(self) -> bool:
        """Whether it waits for its group's release."""
        return self.accepted is None and self.cleared is None

    async def wait(self) -> Report:
        """Wait for the release of its group, and then until every subscription has settled.

        Raises:
            StillStaged: this task is the one that runs the group's block.
            GroupCleared: the event was dropped; nobody got it.
            WouldDeadlock, WrongBackend: as for other receipts.

        Cancellation: nothing changes; wait again as you like.
        """
        return await (await self._released()).wait()

    async def answer(self) -> Any:
        """Wait for the release, and then for the first subscription that succeeds.

        Raises:
            As `wait`; ExceptionGroup: none succeeded.

        Cancellation: as `wait`.
        """
        return await (await self._released()).answer()

    async def _released(self) -> Receipt:
        port = self.stage.port
        if self.staged:
            check_here(port)
            if port.current_task() is self.stage.task:
                raise StillStaged(self.event.name, self.stage.id)
        while self.staged:
            await self._park(port)
        if self.accepted is None:
            await anyio.lowlevel.checkpoint()
            raise self._error()
        return self.accepted

    def report(self) -> Report:
        """The outcomes so far; none before the release.

        Raises:
            GroupCleared: the event was dropped.
        """
        if self.cleared is not None:
            raise self._error()
        return Report(self.event, ()) if self.accepted is None else self.accepted.report()

    def wake_later(self, waiter: Wakeable) -> None:
        """The runtime's own: wake `waiter` at the next step, the release or the last outcome."""
        if self.accepted is None:
            super().wake_later(waiter)
        else:
            self.accepted.wake_later(waiter)

    def stop_waking(self, waiter: Wakeable) -> None:
        """The runtime's own: `waiter` has gone."""
        super().stop_waking(waiter)
        if self.accepted is not None:
            self.accepted.stop_waking(waiter)

    def wait_for(self, kind: str) -> Wait:
        """The runtime's own: anybody may release a group, so before that nobody in particular has to move."""
        if self.accepted is None:
            return Wait(kind, f"the release of group {self.stage.id}", tuple)
        return self.accepted.wait_for(kind)

    def accept(self, receipt: Receipt) -> None:
        """The runtime's own: the event was accepted."""
        self.event, self.accepted = receipt.event, receipt
        self._wake()

    def clear(self, reason: str) -> None:
        """The runtime's own: the event was dropped."""
        self.cleared = reason
        self._wake()

    def _wake(self) -> None:
        for waiter in tuple(self.waiters or ()):
            waiter.wake()

    def _error(self) -> GroupCleared:
        return GroupCleared(self.event.name, self.event.id, self.stage.id, self.cleared or CLEARED)


@attrs.define(eq=False)
class Stage:
    """What is staged under one id, in the order emitted.

    Attributes:
        task: The one that runs the block of the group; None without a block.
    """

    id: str
    port: Port
    ttl: float
    task: object
    expires_at: float
    receipts: list[StagedReceipt] = attrs.field(factory=list)

"""Errands: what the store is asked for under a number, and those who wait for it."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import attrs

from postroom_actors import Hand, Port, Wakeable

from ..contract import StoredEvent
from ..errors import PostroomError, RuntimeClosed
from .receipts import StoredReceipt

T = TypeVar("T")


class Progress(enum.Enum):
    """Where an errand is."""

    QUEUED = "queued"
    SENT = "sent"
    LINED_UP = "lined up"
    DONE = "done"


@attrs.define(eq=False)
class Errand(ABC):
    """Something that a store is asked for, and those who wait for it.

    Attributes:
        hand: The worker whose own task waits.
    """

    port: Port
    hand: Hand[Any] | None = None
    progress: Progress = attrs.field(default=Progress.QUEUED, init=False)
    _sleepers: list[Wakeable] = attrs.field(factory=list, init=False)

    @property
    def waiting(self) -> int:
        """1 until it is done."""
        return int(self.progress is not Progress.DONE)

    def attend(self, sleeper: Wakeable) -> None:
        """Wake `sleeper`, too, when it is done."""
        self._sleepers.append(sleeper)

    def leave(self, sleeper: Wakeable) -> None:
        """Whose `sleeper` it is waits no more: what nobody waits for is not sent any more, where it was not yet."""
        self._sleepers.remove(sleeper)
        if self.hand is not None:
            self.hand.wait = None
            self.hand = None  # it does something else from now on, also where this is still on its way
        if not self._sleepers and self.progress in (Progress.QUEUED, Progress.LINED_UP):
            self.refuse(RuntimeClosed("cancelled before it was accepted"))

    def done(self) -> None:
        """Wake whoever waits."""
        self.progress = Progress.DONE
        if self.hand is not None:
            self.hand.wait = None
        for sleeper in tuple(self._sleepers):
            sleeper.wake()

    @abstractmethod
    def refuse(self, error: PostroomError) -> None:
        """It won't be done."""

    async def wait(self) -> None:
        """Wait until it is done.

        Cancellation: one that was not on its way to the store yet is never sent.
        """
        sleeper = self.port.sleeper()
        self._sleepers.append(sleeper)
        try:
            while self.waiting:
                await sleeper.park()
        finally:
            self.leave(sleeper)


@attrs.define(eq=False)
class Submission(Errand):
    """Events that are accepted together, or not at all, with their receipts, and the subscriptions that emit them.

    Attributes:
        step_out: Told when it is done, once it has been lined up.
    """

    events: Sequence[StoredEvent] = ()
    receipts: Sequence[StoredReceipt] = ()
    emitters: Sequence[str | None] = ()
    step_out: "Callable[[Submission], None]" = attrs.field(default=lambda submission: None, init=False)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return bool(self._sleepers)

    def done(self) -> None:
        self.step_out(self)
        Errand.done(self)

    def refuse(self, error: PostroomError) -> None:
        for receipt in self.receipts:
            receipt.refuse(error)
        self.events = self.receipts = self.emitters = ()  # it may be passed over much later
        self.done()


@attrs.define(eq=False)
class Call(Errand, Generic[T]):
    """Any other numbered call, and what it came to.

    Attributes:
        then, otherwise: Told of its result, or why there is none, before whoever waits.
    """

    make: Callable[[int], Awaitable[T]] = attrs.field(kw_only=True)
    what: str = attrs.field(kw_only=True)
    then: Callable[[T], None] = attrs.field(kw_only=True)
    otherwise: Callable[[PostroomError], None] = attrs.field(default=lambda error: None, kw_only=True)
    error: PostroomError | None = attrs.field(default=None, init=False)

    def refuse(self, error: PostroomError) -> None:
        self.error = error
        self.otherwise(error)
        self.done()

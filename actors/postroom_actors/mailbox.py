"""Mailboxes: the one way into an actor.

A mailbox is a first-in first-out queue with many writers. It is bounded, so that a slow actor holds back those
who write to it instead of filling memory. Who finds it full waits in line in front of it, first come first
served: the message itself stands in the line, so that whoever takes a message out lets the next one in, without
waking anybody in between, and a writer that goes away can leave its message in its place.

Units: capacity counts messages.
Source: the mail queue of Agha, *Actors* (1986), here with a bound.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import attrs

from .port import Port, Sleeper

M = TypeVar("M")

ABANDONED: Final = "its writer went away while it waited for room, and so did too many others"


def _nobody() -> None:
    """A mailbox that no actor serves yet wakes nobody."""


def _nowhere(message: object, reason: str) -> None:
    """A mailbox without an owner forgets what it drops."""


@attrs.define(eq=False)
class Admission:
    """A wait for room: of whoever has messages in the lines of one or more mailboxes.

    Attributes:
        waiting: How many of its messages still stand in a line.
        abandoned: Nobody waits any more; the messages keep their places.
    """

    _port: Port
    waiting: int = attrs.field(default=0, init=False)
    abandoned: bool = attrs.field(default=False, init=False)
    mailboxes: "list[Mailbox[Any]]" = attrs.field(factory=list, init=False, repr=False)
    _sleepers: list[Sleeper] = attrs.field(factory=list, init=False, repr=False)

    def admit(self) -> None:
        """One message has left its line."""
        self.waiting -= 1
        if not self.waiting:
            for sleeper in self._sleepers:
                sleeper.wake()

    async def wait(self) -> None:
        """Wait until none of the messages stands in a line any more.

        Cancellation: the messages keep their places in line. Those of a writer that nobody waits for are counted
        by each mailbox, and beyond its bound on them dropped.
        """
        sleeper = self._port.sleeper()
        self._sleepers.append(sleeper)
        try:
            while self.waiting:
                await sleeper.park()
        finally:
            self._sleepers.remove(sleeper)
            if self.waiting and not self._sleepers and not self.abandoned:
                self.abandoned = True
                for mailbox in self.mailboxes:
                    mailbox.abandon(self)


@attrs.define(eq=False)
class Mailbox(Generic[M]):
    """A bounded queue of messages for one actor, and the line of those that wait for room.

    Attributes:
        owner: The actor's name, for errors.
        capacity: Messages that it holds; those in line and those in hand are not counted.
        queue: The messages, oldest first. Only `take` and `clear` remove.
        line: Messages that wait for room with the admission they belong to, first come first. Not empty only
            while the queue is full.
        high_water_mark: The largest number of messages that ever stood in the queue.
        abandoned: Messages in line whose writer has gone.
        idle_hands: How many of the actor's hands sleep for lack of mail.
        ready: Called at the step from idle to mail, the one place where an actor is woken.
        dropped: Told of each message that is removed for lack of room, and why.
    """

    owner: str
    capacity: int = attrs.field()
    queue: deque[M] = attrs.field(factory=deque, init=False, repr=False)
    line: "deque[tuple[M, Admission | None]]" = attrs.field(factory=deque, init=False, repr=False)
    high_water_mark: int = attrs.field(default=0, init=False)
    abandoned: int = attrs.field(default=0, init=False)
    idle_hands: int = attrs.field(default=0, init=False)
    ready: Callable[[], None] = attrs.field(default=_nobody, init=False, repr=False)
    dropped: Callable[[M, str], None] = attrs.field(default=_nowhere, init=False, repr=False)

    @capacity.validator
    def _positive(self, _attribute: object, value: int) -> None:
        if value < 1:
            raise ValueError(f"a mailbox holds at least 1 message, not {value!r}")

    def __len__(self) -> int:
        return len(self.queue)

    def offer(self, message: M) -> bool:
        """Append `message` if there is room; whether there was."""
        length = len(self.queue)
        if length >= self.capacity:
            return False
        self.queue.append(message)
        if length >= self.high_water_mark:
            self.high_water_mark = length + 1
        if self.idle_hands:
            self.ready()
        return True

    def stand_in_line(self, message: M, admission: Admission | None = None) -> None:
        """Let `message` wait for room; `admission`, where given, is told when it gets in."""
        assert len(self.queue) >= self.capacity, "only a full mailbox has a line"
        if admission is not None:
            admission.waiting += 1
            if self not in admission.mailboxes:
                admission.mailboxes.append(self)
        self.line.append((message, admission))

    def take(self) -> M:
        """Remove the oldest message, and let the first one in line in."""
        message = self.queue.popleft()
        if self.line:
            self.admit_next()
        return message

    def admit_next(self) -> None:
        """Let the first message in line in; the caller has just made room."""
        message, admission = self.line.popleft()
        self.queue.append(message)
        if admission is not None:
            if admission.abandoned:
                self.abandoned -= 1
            admission.admit()

    def abandon(self, admission: Admission) -> None:
        """Keep the messages of a writer that goes away in line, as far as the bound on such messages allows.

        Without a bound, writers that come and are cancelled could fill memory one by one. So at most `capacity`
        abandoned messages stay; the newest of `admission` beyond that are dropped.
        """
        kept: deque[tuple[M, Admission | None]] = deque()
        removed: list[M] = []
        for entry in self.line:
            if entry[1] is admission:
                if self.abandoned >= self.capacity:
                    removed.append(entry[0])
                    admission.waiting -= 1
                    continue
                self.abandoned += 1
            kept.append(entry)
        self.line = kept
        for message in removed:
            self.dropped(message, ABANDONED)

    def clear(self) -> list[M]:
        """Remove everything, the line included; its writers go on.

        Returns:
            The messages removed, oldest first.
        """
        removed = list(self.queue)
        self.queue.clear()
        while self.line:
            message, admission = self.line.popleft()
            removed.append(message)
            if admission is not None:
                admission.admit()
        self.abandoned = 0
        return removed

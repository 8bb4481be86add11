"""Publishing: events on their way into a store, as many as wait in one commit.

One task does all that a session numbers, one thing after the other, so that a call whose reply was lost can be made
again under its number. Whoever emits waits for it, and may go away: what is on its way goes on.
"""

import enum
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, Generic, TypeVar

import anyio
import attrs

from postroom_actors import Hand, Port, Sleeper, Wait, Wakeable

from ..contract import Answer, Published, Store, StoredEvent
from ..deadlock import LateWait, check
from ..errors import PostroomError, RuntimeClosed, WouldDeadlock
from ..store_errors import BacklogFull, StoreBroken, UnknownResult
from .persistence import PATIENCE, Persistence
from .receipts import StoredReceipt

T = TypeVar("T")

MOST_TOGETHER: Final = 1000
"""Events in one commit, but for an emit that has more by itself."""


class Progress(enum.Enum):
    """Where an errand is."""

    QUEUED = "queued"
    SENT = "sent"
    DONE = "done"


@attrs.define(eq=False)
class Errand:
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
        if self.progress is Progress.QUEUED and not self._sleepers:
            self.refuse(RuntimeClosed("cancelled before it was accepted"))

    def done(self) -> None:
        """Wake whoever waits."""
        self.progress = Progress.DONE
        if self.hand is not None:
            self.hand.wait = None
        for sleeper in tuple(self._sleepers):
            sleeper.wake()

    def refuse(self, error: PostroomError) -> None:
        """It won't be done."""
        raise NotImplementedError

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
    """Events that are accepted together, or not at all, with their receipts, and the subscriptions that emit them."""

    events: Sequence[StoredEvent] = ()
    receipts: Sequence[StoredReceipt] = ()
    emitters: Sequence[str | None] = ()

    def refuse(self, error: PostroomError) -> None:
        for receipt in self.receipts:
            receipt.refuse(error)
        self.done()


@attrs.define(eq=False)
class Call(Errand, Generic[T]):
    """Any other numbered call, and what it came to."""

    make: Callable[[int], Awaitable[T]] = attrs.field(kw_only=True)
    what: str = attrs.field(kw_only=True)
    then: Callable[[T], None] = attrs.field(kw_only=True)
    error: PostroomError | None = attrs.field(default=None, init=False)

    def refuse(self, error: PostroomError) -> None:
        self.error = error
        self.done()


@attrs.define(eq=False)
class Publisher:
    """The task that asks the store.

    Attributes:
        sending: Told of events that the store is about to be asked to take.
        accepted: Told of events that were published: their receipts, what the store says, and who has emitted them.
        needs_of: Who must move before there is room in a backlog, for the wait-for graph; nobody where others may.
        answered: Told after each answer of the store was taken up, and when none is waited for any more.
        is_asking: The store was asked for something, and has not answered.
        refused: Submissions that wait for room in a backlog, first come, first served.
    """

    _store: Store
    _port: Port
    _persistence: Persistence
    sending: Callable[[Iterable[StoredEvent]], None]
    accepted: Callable[[Sequence[StoredReceipt], Sequence[Published], Sequence[str | None]], None]
    needs_of: Callable[[str], Wait]
    answered: Callable[[], None]
    queue: deque[Errand] = attrs.field(factory=deque, init=False)
    refused: deque[Submission] = attrs.field(factory=deque, init=False)
    is_asking: bool = attrs.field(default=False, init=False)
    _number: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _room: int = attrs.field(default=0, init=False)  # counts what was heard of room
    _may_be_done: bool = attrs.field(default=False, init=False)  # what is asked for, by a call whose reply was lost
    _sleeper: Sleeper = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sleeper = self._port.sleeper()

    def send(self, errand: Errand) -> None:
        """Have it done, after all that was sent before."""
        if self._closed:
            errand.refuse(RuntimeClosed("closed"))
            return
        self.queue.append(errand)
        self._sleeper.wake()

    def try_again(self) -> None:
        """There may be room in a backlog."""
        self._room += 1
        self.queue.extendleft(reversed(self.refused))
        self.refused.clear()
        self._sleeper.wake()

    def close(self) -> None:
        """Refuse whatever waits and comes."""
        self._closed = True
        while self.queue or self.refused:
            (self.queue or self.refused).popleft().refuse(RuntimeClosed("closed"))

    async def run(self) -> None:
        """Do what is sent, for ever.

        Cancellation: what is on its way was done or not.
        """
        while True:
            while not self.queue:
                await self._sleeper.park()
            errand = self.queue.popleft()
            if errand.progress is Progress.DONE:  # whoever wanted it has gone
                continue
            self.is_asking = True
            try:
                if isinstance(errand, Submission):
                    await self._publish(self._together(errand))
                else:
                    assert isinstance(errand, Call), "errands are submissions and calls"
                    await self._call(errand)
            finally:
                self.is_asking = False
                self.answered()
            del errand  # or its receipts would be kept until the next one comes

    def _together(self, first: Submission) -> list[Submission]:
        """`first`, and what was sent right behind it."""
        batch = [first]
        count = len(first.events)
        while self.queue and isinstance(following := self.queue[0], Submission):
            count += len(following.events)
            if count > MOST_TOGETHER:
                break
            self.queue.popleft()
            if following.progress is not Progress.DONE:
                batch.append(following)
        return batch

    async def _numbered(self, what: str, make: Callable[[int], Awaitable[T]]) -> T:
        self._number += 1
        number = self._number
        self._may_be_done = False

        async def ask() -> T:
            try:
                return await make(number)
            except UnknownResult:
                self._may_be_done = True
                raise

        return await self._persistence.until_done(what, ask, anyio.current_time() + PATIENCE)

    def _told(self, what: str, error: PostroomError) -> PostroomError:
        """What is told to whoever waits: that nothing was done is said by a broken store of its last call only."""
        broken = isinstance(error, StoreBroken) and self._may_be_done
        return self._persistence.unknown(what) if broken else error

    async def _publish(self, batch: list[Submission]) -> None:
        for submission in batch:
            submission.progress = Progress.SENT
            if submission.hand is not None:  # no wait for room any more: it may have been accepted before it is refused
                submission.hand.wait = None
        emits = [submission.events for submission in batch]
        heard = self._room
        self.sending(chain.from_iterable(emits))
        try:
            answers = await self._numbered("take events", lambda number: self._store.publish(number, emits))
        except PostroomError as error:
            for submission in batch:
                submission.refuse(self._told("take events", error))
            if isinstance(error, StoreBroken):
                raise
            return
        except BaseException:  # the runtime ends, and won't hear of it
            for submission in batch:
                submission.refuse(self._persistence.unknown("take events"))
            raise
        for submission, answer in zip(batch, answers, strict=True):
            self._answered(submission, answer)
        if heard != self._room:  # of room that came between the refusal and its answer
            self.try_again()

    def _answered(self, submission: Submission, answer: Answer) -> None:
        if isinstance(answer, BacklogFull):
            self._wait_for_room(submission, answer)
        elif isinstance(answer, PostroomError):
            submission.refuse(answer)
        else:
            self.accepted(submission.receipts, answer, submission.emitters)
            submission.done()

    def _wait_for_room(self, submission: Submission, full: BacklogFull) -> None:
        submission.progress = Progress.QUEUED
        if submission.hand is not None:
            wait = LateWait.of(self.needs_of(full.subscription), lambda: submission.refuse(wait.refusals[0]))
            try:
                check(submission.hand, wait)
            except WouldDeadlock as error:
                submission.refuse(error)
                return
            submission.hand.wait = wait
        self.refused.append(submission)

    async def _call(self, call: Call[Any]) -> None:
        call.progress = Progress.SENT
        try:
            result = await self._numbered(call.what, call.make)
        except PostroomError as error:
            call.refuse(self._told(call.what, error))
            if isinstance(error, StoreBroken):
                raise
            return
        except BaseException:
            call.refuse(self._persistence.unknown(call.what))
            raise
        call.then(result)
        call.done()

"""Publishing: events on their way into a store, as many as wait in one commit.

One task does all that a session numbers, one thing after the other, so that a call whose reply was lost can be made
again under its number. Whoever emits waits for it, and may go away: what is on its way goes on.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, TypeVar, cast

import anyio
import attrs

from postroom_actors import Port, Sleeper, Wait

from ..contract import Answer, Published, Store, StoredEvent
from ..deadlock import LateWait, check
from ..errors import PostroomError, RuntimeClosed, WouldDeadlock
from ..store_errors import BacklogFull, StoreBroken, UnknownResult
from .errands import Call, Errand, Progress, Submission
from .lines import Lines
from .persistence import PATIENCE, Persistence
from .receipts import StoredReceipt

T = TypeVar("T")

MOST_TOGETHER: Final = 1000
"""Events in one commit, but for an emit that has more by itself."""


@attrs.define(eq=False)
class Publisher:
    """The task that asks the store.

    Attributes:
        sending: Told of events that the store is about to be asked to take.
        accepted: Told of events that were published: their receipts, what the store says, and who has emitted them.
        needs_of: Who must move before there is room in a backlog, for the wait-for graph; nobody where others may.
        patterns_of: What a subscription subscribes to; None where that is not known here.
        answered: Told after each answer of the store was taken up, and when none is waited for any more.
        is_asking: The store was asked for something, and has not answered.
        lines: Submissions that wait for room in backlogs.
    """

    _store: Store
    _port: Port
    _persistence: Persistence
    sending: Callable[[Iterable[StoredEvent]], None]
    accepted: Callable[[Sequence[StoredReceipt], Sequence[Published], Sequence[str | None]], None]
    needs_of: Callable[[str], Wait]
    patterns_of: Callable[[str], Sequence[str] | None]
    answered: Callable[[], None]
    queue: deque[Errand] = attrs.field(factory=deque, init=False)
    lines: Lines = attrs.field(init=False)
    is_asking: bool = attrs.field(default=False, init=False)
    _number: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _may_be_room: bool = attrs.field(default=False, init=False)
    _may_be_done: bool = attrs.field(default=False, init=False)  # what is asked for, by a call whose reply was lost
    _sleeper: Sleeper = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sleeper = self._port.sleeper()
        self.lines = Lines(self.patterns_of)

    def send(self, errand: Errand) -> None:
        """Have it done, after all that was sent before."""
        if self._closed:
            errand.refuse(RuntimeClosed("closed"))
            return
        self.queue.append(errand)
        self._sleeper.wake()

    def try_again(self) -> None:
        """There may be room in a backlog."""
        self._may_be_room = True
        self._sleeper.wake()

    def close(self) -> None:
        """Refuse whatever waits and comes."""
        self._closed = True
        for errand in (*self.lines.waiting(), *self.queue):
            errand.refuse(RuntimeClosed("closed"))
        self.queue.clear()

    async def run(self) -> None:
        """Do what is sent, for ever.

        Cancellation: what is on its way was done or not.
        """
        while True:
            while not self.queue and not self._may_be_room:
                await self._sleeper.park()
            if self._may_be_room:
                self._may_be_room = False
                await self._ask_again(self.lines.turn(MOST_TOGETHER))
            if self.queue:
                await self._ask_for(self._next())

    async def _ask_again(self, turn: Sequence[Submission]) -> None:
        """Ask for those in front of the lines, and for those behind them once all in front of a line have got in."""
        await self._ask_for(turn)
        full = {name for submission in turn if (name := self.lines.where(submission)) is not None}
        self._may_be_room = self._may_be_room or not full.issuperset(self.lines.subscriptions)

    async def _ask_for(self, errands: Sequence[Errand]) -> None:
        if not errands:
            return
        self.is_asking = True
        try:
            if isinstance(errands[0], Call):
                await self._call(errands[0])
            else:
                await self._publish(cast("Sequence[Submission]", errands))
        finally:
            self.is_asking = False
            self.answered()

    def _next(self) -> Sequence[Errand]:
        """What was sent first, and submissions that were sent right behind one; but for those who have to line up."""
        batch: list[Submission] = []
        count = 0
        while self.queue and isinstance(submission := self.queue[0], Submission):
            count += len(submission.events)
            if count > MOST_TOGETHER and batch:
                break
            self.queue.popleft()
            if submission.progress is Progress.DONE:  # whoever wanted it has gone
                continue
            full = self.lines.in_front_of(submission)
            if full is None:
                batch.append(submission)
            else:
                self._line_up(submission, full)
        if batch or not self.queue:
            return batch
        call = self.queue.popleft()
        return () if call.progress is Progress.DONE else (call,)

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

    async def _publish(self, batch: Sequence[Submission]) -> None:
        for submission in batch:
            submission.progress = Progress.SENT
            if submission.hand is not None:  # no wait for room any more: it may have been accepted before it is refused
                submission.hand.wait = None
        emits = [submission.events for submission in batch]
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

    def _answered(self, submission: Submission, answer: Answer) -> None:
        if isinstance(answer, BacklogFull):
            self._line_up(submission, answer.subscription)
        elif isinstance(answer, PostroomError):
            submission.refuse(answer)
        else:
            self.accepted(submission.receipts, answer, submission.emitters)
            submission.done()

    def _line_up(self, submission: Submission, subscription: str) -> None:
        """There is no room for it: let it wait, unless its emitter has gone meanwhile."""
        if not submission.is_wanted:
            submission.refuse(RuntimeClosed("cancelled before it was accepted"))
            return
        submission.progress = Progress.LINED_UP
        submission.step_out = self._step_out
        if submission.hand is not None:
            wait = LateWait.of(self.needs_of(subscription), lambda: submission.refuse(wait.refusals[0]))
            try:
                check(submission.hand, wait)
            except WouldDeadlock as error:
                submission.refuse(error)
                return
            submission.hand.wait = wait
        self.lines.add(submission, subscription)

    def _step_out(self, submission: Submission) -> None:
        if submission.progress is Progress.LINED_UP:  # it goes away, and those behind it may be smaller
            self._may_be_room = True
            self._sleeper.wake()
        self.lines.remove(submission)

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

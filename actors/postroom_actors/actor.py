"""Actors: a mailbox, a behaviour, and the hands that serve it.

An actor is a record; that tasks of its own serve it is the business of this file and of `kernel` alone. A message
is handled from start to end in one task; two messages of one actor may be handled in different ones.

Source: Agha, *Actors* (1986); the split between what an actor does (its behaviour) and what runs it.
"""

import math
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import anyio
import attrs

from .admission import Admission
from .generators import Generators, close_after
from .guard import Verdict, interrupt_of, judge
from .mailbox import Mailbox
from .port import Port, Sleeper, cancellation_was_asked_for
from .slices import TimeSlice

if TYPE_CHECKING:  # a wait is for hands, and a hand has a wait: only the types go round
    from .waits import Wait

M = TypeVar("M")
T = TypeVar("T")
M_contra = TypeVar("M_contra", contravariant=True)


class Behaviour(Protocol[M_contra]):
    """What an actor does with a message, and with what became of it.

    All but the awaitable are plain functions: they decide and count, they never wait. An exception from one of
    them is a defect of the runtime, not of a handler, and ends the kernel. Times are on the kernel's stopwatch.
    """

    def receive(self, message: M_contra, /) -> Awaitable[object]:
        """Start to handle `message`; what is returned is awaited at once, in the actor's task."""
        ...

    def succeeded(self, message: M_contra, result: object, started: float, ended: float, /) -> None:
        """`message` was handled."""
        ...

    def failed(self, message: M_contra, error: BaseException, started: float, ended: float, /) -> Admission | None:
        """Handling `message` raised, or was cancelled by nobody who may; the actor goes on with the next.

        Returns:
            What the actor is to wait for before it does.
        """
        ...

    def cancelled(self, message: M_contra, started: float, ended: float, /) -> None:
        """The actor was stopped while it had `message` in hand."""
        ...

    def interrupted(self, message: M_contra, interrupt: BaseException, /) -> None:
        """Handling `message` raised `KeyboardInterrupt` or `SystemExit`; the actor ends."""
        ...

    def ended(self) -> None:
        """The last hand has ended; what is left in the mailbox stays there."""
        ...


@attrs.define(eq=False)
class Hand(Generic[M]):
    """One task's place at an actor.

    Attributes:
        message: What it has in hand; None while it waits for mail.
        since: When it took that, on the kernel's stopwatch.
        task: The task that runs here; compared by identity only.
        wait: What that task waits for other hands to do; None while it is idle or at work.
        generators: The async generators that began in this attempt; None while none has.
        is_over: It was ended: it takes nothing more, also where what it has in hand hides that from it.
        mark: Also in the context of the task, and of each task started there: it says for which message.
    """

    actor: "Actor[M]"
    port: Port
    turn: TimeSlice
    sleeper: Sleeper
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope, repr=False)
    message: M | None = attrs.field(default=None, init=False)
    since: float = attrs.field(default=0.0, init=False)
    task: object = attrs.field(default=None, init=False)
    wait: "Wait | None" = attrs.field(default=None, init=False)
    generators: Generators | None = attrs.field(default=None, init=False, repr=False)
    mark: object = attrs.field(default=None, init=False, repr=False)
    is_over: bool = attrs.field(default=False, init=False)

    def end(self) -> None:
        """Cancel what it has in hand, and let it take nothing more."""
        self.is_over = True
        self.scope.cancel()

    def turn_over(self) -> None:
        """Tell the tasks that are started from now on from those that were started before."""
        self.mark = object()
        _CURRENT_MARK.set(self.mark)

    def is_here(self) -> bool:
        """Whether the caller runs in this hand's own task."""
        try:
            return self.port.current_task() is self.task
        except RuntimeError:  # no task runs: a collection of garbage between two of them
            return False


_CURRENT_HAND: Final[ContextVar["Hand[Any] | None"]] = ContextVar("postroom_hand", default=None)

current_hand: Final = _CURRENT_HAND.get
"""The hand in which the caller runs, as a handler or as a task that a handler has started; None elsewhere."""

_CURRENT_MARK: Final[ContextVar[object]] = ContextVar("postroom_mark", default=None)

QUICK: Final = 2e-6
"""Seconds in which a handler is taken to have started no task that outlives it.

To be sure, each message would have to set a context variable, which was measured to make one 8 % dearer. Starting a
task takes about this long. Should a handler do nothing else, and be quicker, then the next message of the same slice
may count as in hand for that task; the one after it won't.
"""


def current_message() -> Any:
    """What is in hand while the caller runs, as its handler or as a task that its handler has started; else None.

    A task that outlives its handler is no part of what is in hand after that.
    """
    hand = current_hand()
    return hand.message if hand is not None and hand.mark is _CURRENT_MARK.get() else None


@attrs.define(eq=False)
class Actor(Generic[M]):
    """A record of one actor: its mailbox, its behaviour and its counters.

    Attributes:
        name: For errors and logs.
        closed: The hands end as soon as the mailbox is empty.
    """

    name: str
    mailbox: Mailbox[M]
    behaviour: Behaviour[M]
    concurrency: int = 1
    closed: bool = attrs.field(default=False, init=False)
    _hands: list[Hand[M]] = attrs.field(factory=list, init=False, repr=False)
    _idle: list[Hand[M]] = attrs.field(factory=list, init=False, repr=False)

    @property
    def in_hand(self) -> list[M]:
        """The messages being handled now."""
        return [hand.message for hand in self._hands if hand.message is not None]

    @property
    def hands(self) -> list[Hand[M]]:
        """The hands that have not ended."""
        return self._hands

    def hire(self, port: Port, turn: TimeSlice) -> Hand[M]:
        """Make the place for one more task that will run `work`."""
        hand: Hand[M] = Hand(self, port, turn, port.sleeper())
        self._hands.append(hand)
        self.mailbox.ready = self.ready
        return hand

    def ready(self) -> None:
        """There is something to do and a hand sleeps: wake it. The one step from idle to work."""
        hand = self._idle.pop()
        self.mailbox.idle_hands -= 1
        hand.sleeper.wake()

    def close(self) -> None:
        """End the hands once the mailbox is empty."""
        self.closed = True
        while self._idle:
            self.ready()

    def interrupt(self) -> None:
        """Cancel what is in hand and end the hands; the mailbox keeps what is in it."""
        self.closed = True
        for hand in self._hands:
            hand.end()

    async def work(self, hand: Hand[M]) -> None:
        """Serve the mailbox until the actor is closed and the mailbox empty, or until interrupted.

        Cancellation: what is in hand goes to `Behaviour.cancelled`; the mailbox keeps the rest.
        """
        _CURRENT_HAND.set(hand)  # in this task's own context, so nobody has to reset it
        hand.task = hand.port.current_task()
        try:
            with hand.scope:
                await self.serve(hand)
        finally:
            self._hands.remove(hand)
            if not self._hands:
                self.behaviour.ended()

    async def sleep_for_mail(self, hand: Hand[M]) -> None:
        """Sleep until there may be something to do, if there is nothing now. The hot loop has this written out.

        Cancellation: nothing has been taken.
        """
        self._idle.append(hand)
        self.mailbox.idle_hands += 1
        try:
            # Looked at after that: what comes between a look and lying down, as from a signal handler, wakes nobody.
            if not self.mailbox.has_mail:
                await hand.sleeper.park()
        except anyio.get_cancelled_exc_class():
            if cancellation_was_asked_for():
                raise
            await hand.port.absorb_cancellations()
        finally:
            if hand in self._idle:  # not woken by `ready`
                self._idle.remove(hand)
                self.mailbox.idle_hands -= 1

    async def serve(self, hand: Hand[M]) -> None:
        """Handle messages until the actor is closed and the mailbox empty.

        The hot loop: names are bound, calls are few, and it is one coroutine for sleep and work, since a task that
        wakes up passes through each one between its top and where it slept, and with thousands of actors each one is
        memory that the processor has to fetch.

        Cancellation: as `work`.
        """
        mailbox, queue, stopwatch, turn = self.mailbox, self.mailbox.queue, hand.port.stopwatch, hand.turn
        idle = self._idle
        receive, succeeded = self.behaviour.receive, self.behaviour.succeeded
        open_cancellations = hand.port.open_cancellations()
        message: M | None = None
        # A virtual clock stands while a handler runs, so there every handler may have started a task.
        quick = -math.inf if stopwatch is hand.port.now else QUICK
        hand.turn_over()
        started = stopwatch()
        while True:
            if queue:
                hand.message = message = queue.popleft()  # before another one enters that might be of the same key
                if mailbox.line:
                    mailbox.admit_next()
            elif mailbox.lanes is not None and (taken := mailbox.take(started)) is not None:
                message, receive = taken, self.behaviour.receive  # it may have changed for what comes through lanes
            elif self.closed and not mailbox.has_mail:
                return
            else:
                message = result = taken = None  # or an idle actor would keep its last message alive
                idle.append(hand)  # from here on as in `sleep_for_mail`, which would be one more coroutine
                mailbox.idle_hands += 1
                try:
                    if not mailbox.has_mail:
                        await hand.sleeper.park()
                except anyio.get_cancelled_exc_class():
                    if cancellation_was_asked_for():
                        raise
                    await hand.port.absorb_cancellations()
                finally:
                    if hand in idle:
                        idle.remove(hand)
                        mailbox.idle_hands -= 1
                hand.turn_over()
                started = stopwatch()
                turn.restart(started)
                continue
            hand.message = message
            hand.since = started
            try:
                result = await receive(message)
                if hand.generators is not None:
                    await self.close_generators(hand)
            except BaseException as error:
                if hand.generators is not None:
                    error = await self.close_generators_after(hand, error)
                ended = stopwatch()
                hand.message = None
                await self.sort_out(message, self.behaviour, error, started, ended)
                ended = stopwatch()  # it may have waited
            else:
                ended = stopwatch()
                hand.message = None
                succeeded(message, result, started, ended)
            if ended - started > quick:
                if hand.is_over:  # by another task, so not while a quick handler ran
                    return
                hand.turn_over()
            if open_cancellations is not None and open_cancellations():
                await self.absorb(hand.port)
            turn.left -= 1
            if ended >= turn.ends_at or turn.left <= 0:
                await self.breathe(hand)
                hand.turn_over()
                ended = stopwatch()
                turn.restart(ended)
            started = ended

    async def close_generators(self, hand: Hand[M]) -> None:
        """Close the async generators that an attempt has left.

        Cancellation: as `Generators.close`.
        """
        assert hand.generators is not None, "asked by the caller, who would pay for a call for nothing"
        await hand.generators.close()
        hand.generators = None

    async def close_generators_after(self, hand: Hand[M], error: BaseException) -> BaseException:
        """Close the async generators that an attempt has left that raised `error`; returns the error that counts.

        Cancellation: is returned.
        """
        assert hand.generators is not None, "likewise"
        error = await close_after(hand.generators, error)
        hand.generators = None
        return error

    async def breathe(self, hand: Hand[M]) -> None:
        """Let others run, between two messages.

        Cancellation: one that no scope has asked for is taken back, since there is nothing in hand to blame.
        """
        try:
            await hand.port.breathe()
        except anyio.get_cancelled_exc_class():
            if cancellation_was_asked_for():
                raise
            await hand.port.absorb_cancellations()

    async def sort_out(
        self, message: T, behaviour: Behaviour[T], error: BaseException, started: float, ended: float
    ) -> None:
        """Tell the behaviour what a handler let out; returns where the hand is to go on.

        Cancellation: while it waits for what the behaviour wants to wait for, which changes nothing.
        """
        match judge(error):
            case Verdict.FAILURE:
                room = behaviour.failed(message, error, started, ended)
                if room is not None:
                    await room.wait()
                return
            case Verdict.CANCELLED:
                behaviour.cancelled(message, started, ended)
            case _:  # interrupted
                behaviour.interrupted(message, interrupt_of(error))
                self.interrupt()
        # Not `raise`: the error may be a group in which the handler's own errors hide beside the cancellation,
        # and those would end the kernel. A scope around us is cancelled, and cancels this sleep at once.
        await anyio.sleep_forever()

    async def absorb(self, port: Port) -> None:
        """Take back cancellations that no scope asked for: the handler cancelled its own task.

        Cancellation: one that a scope asks for comes out as ever.
        """
        if not cancellation_was_asked_for():
            await port.absorb_cancellations()

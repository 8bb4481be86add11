"""Emitting from other threads: how calls come into the event loop, and how a thread waits for what they do.

A call is handed over to the loop's thread and runs there as it would in a task that emits, with the context variables
of the thread; so a plain function that handles an event is linked to what it emits.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, TypeVar

import attrs

from postroom_actors import Hand, Port

from .deadlock import OUTCOMES, ROOM, LateWait, check, own_hand
from .errors import NotFromHere, RuntimeClosed, WouldDeadlock
from .event import Event
from .outcomes import Report
from .receipt import Receipt

T = TypeVar("T")

CLOSED: Final = "closed"
ORPHANED: Final = "orphaned, since the thread of its event loop has ended before it was closed"

LOOK_EVERY: Final = 0.5
"""Seconds after which a thread that waits looks whether the event loop's thread still lives."""


@attrs.define(eq=False)
class ThreadSleeper:
    """Where a thread sleeps until it is woken, once."""

    _event: threading.Event = attrs.field(factory=threading.Event, init=False)

    def wake(self) -> None:
        self._event.set()

    def sleep(self, timeout: float) -> bool:
        """Returns whether it was woken, within `timeout` seconds."""
        return self._event.wait(timeout)


@attrs.define(eq=False)
class Inbox:
    """Calls of foreign threads, on their way into the event loop.

    Attributes:
        port: The event loop.
    """

    port: Port
    _thread: threading.Thread = attrs.field(factory=threading.current_thread, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _calls: deque[tuple[Callable[[], None], "Future[Any]"]] = attrs.field(factory=deque, init=False)

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Run `function` in the loop's thread, and block this one until it has.

        Raises:
            NotFromHere: this is the loop's thread. `what` names the call for the error.
            RuntimeClosed: it was not run, and won't be; or the loop's thread has ended, which nobody else can tell.
            Exception: what `function` raised.
        """
        if threading.current_thread() is self._thread and not self._closed:
            raise NotFromHere(what)
        result: Future[T] = Future()
        context = copy_context()

        def run() -> None:
            try:
                result.set_result(context.run(function))
            except Exception as error:
                result.set_exception(error)

        with self._lock:
            if self._closed:
                raise RuntimeClosed(CLOSED)
            self._calls.append((run, result))
        with suppress(RuntimeError):  # the loop has ended, and whoever ends it closes this
            self.port.submit(self._run_next)
        self.outlast(lambda seconds: bool(wait_for_futures([result], seconds).done))
        return result.result()

    def outlast(self, wait: Callable[[float], bool], seconds: float | None = None) -> bool:
        """Go on with `wait`, which is told how long it may take, until it returns true, or `seconds` are over.

        Returns:
            Whether it has returned true.

        Raises:
            RuntimeClosed: the loop's thread has ended without closing this: nobody would ever wake who waits. So is it
                where the program ends, which waits for its threads first.
        """
        ends_at = math.inf if seconds is None else time.monotonic() + seconds
        while not wait(max(0.0, min(LOOK_EVERY, ends_at - time.monotonic()))):
            if time.monotonic() >= ends_at:
                return False
            if not self._thread.is_alive() and not self._closed:
                raise RuntimeClosed(ORPHANED)
        return True

    def _run_next(self) -> None:
        if self._calls:  # not closed meanwhile
            self._calls.popleft()[0]()

    def close(self) -> None:
        """Refuse what waits and what comes."""
        with self._lock:
            self._closed = True
        while self._calls:
            self._calls.popleft()[1].set_exception(RuntimeClosed(CLOSED))


@attrs.frozen(eq=False)
class ThreadReceipt:
    """What `Runtime.emit_from_thread` returns: a receipt to wait for in a thread, without an event loop."""

    _receipt: Receipt
    _inbox: Inbox

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {self._receipt!r}>"

    @property
    def event(self) -> Event:
        """The event as it was accepted."""
        return self._receipt.event

    @property
    def id(self) -> str:
        """The event's id."""
        return self._receipt.event.id

    @property
    def settled(self) -> bool:
        """Whether every subscription has settled."""
        return self._receipt.settled

    def wait(self, timeout: float | None = None) -> Report:
        """Block the thread until every subscription has settled, or for `timeout` seconds.

        Raises:
            TimeoutError: not all have; the event goes on, and waiting again is fine.
            NotFromHere: this is the event loop's thread.
            WouldDeadlock: in a handler, where a subscription could only settle after this very handler.
            RuntimeClosed: the event loop's thread has ended, with the runtime open.
            GroupCleared: the event was staged, and dropped.
        """
        ends_at = None if timeout is None else time.monotonic() + timeout
        while self._wait_for_step(None if ends_at is None else ends_at - time.monotonic()):
            if self._receipt.settled:  # not yet where an event was staged and has been released
                return self._receipt.report()
        if self._receipt.settled:
            return self._receipt.report()
        raise TimeoutError(f"{self.event.name!r} {self.id} has not settled within {timeout:g} s; it goes on.")

    def _wait_for_step(self, seconds: float | None) -> bool:
        """Block until the receipt has something to tell; false after so many seconds, and where nothing will come."""
        sleeper = _NextStep(self._receipt)
        try:
            hand = self._inbox.call("wait", lambda: self._begin(sleeper))
        except RuntimeClosed:
            if self._receipt.settled:  # a runtime that closes settles everything first
                return False
            raise
        try:
            has_woken = self._inbox.outlast(sleeper.sleep, seconds)
        finally:
            _end_wait(hand)
            self._receipt.stop_waking(sleeper)
        if sleeper.refusals and not self._receipt.settled:
            raise sleeper.refusals[0]
        return has_woken

    def _begin(self, sleeper: "_NextStep") -> Hand[Any] | None:
        """In the loop's thread: have `sleeper` woken when all is settled."""
        receipt = self._receipt
        if receipt.settled:
            sleeper.wake()
            return None
        sleeper.was_staged = receipt.staged
        hand = own_hand(self._inbox.port)
        if hand is not None:
            wait = receipt.wait_for(OUTCOMES)
            check(hand, wait)
            hand.wait = wait
            if isinstance(wait, LateWait):
                sleeper.refusals = wait.refusals
        receipt.wake_later(sleeper)
        return hand


@attrs.define(eq=False)
class _NextStep(ThreadSleeper):
    """A sleep until a staged event leaves its group, until all is settled, or until that can never be.

    Others may have the receipt wake who waits at every single outcome.
    """

    receipt: Receipt
    was_staged: bool = False
    refusals: Sequence[WouldDeadlock] = ()

    def wake(self) -> None:
        if self.receipt.settled or self.receipt.staged is not self.was_staged or self.refusals:
            ThreadSleeper.wake(self)


def accept_for_thread(inbox: Inbox, accept: Callable[[], Receipt]) -> ThreadReceipt:
    """Have the loop's thread accept an event; block until every mailbox has taken it."""
    sleeper = ThreadSleeper()

    def begin() -> tuple[Receipt, Hand[Any] | None]:
        receipt = accept()
        hand: Hand[Any] | None = None
        if receipt.admission is None or not receipt.admission.waiting:
            sleeper.wake()
        else:
            receipt.admission.attend(sleeper)
            hand = own_hand(inbox.port)
            if hand is not None:
                hand.wait = receipt.wait_for(ROOM)
        return receipt, hand

    receipt, hand = inbox.call("emit_from_thread", begin)
    try:
        inbox.outlast(sleeper.sleep)
    finally:
        _end_wait(hand)
    receipt.check_accepted()
    return ThreadReceipt(receipt, inbox)


def _end_wait(hand: Hand[Any] | None) -> None:
    if hand is not None:
        hand.wait = None

"""Emitting from other threads: how calls come into the event loop, and how a thread waits for what they do.

A call is handed over to the loop's thread and runs there as it would in a task that emits, with the context variables
of the thread; so a plain function that handles an event is linked to what it emits.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, TypeVar

import attrs

from postroom_actors import Hand, Port

from .deadlock import OUTCOMES, ROOM, check, own_hand
from .errors import NotFromHere, RuntimeClosed
from .event import Event
from .outcomes import Report
from .receipt import Receipt

T = TypeVar("T")

CLOSED: Final = "closed"


@attrs.define(eq=False)
class ThreadSleeper:
    """Where a thread sleeps until it is woken, once."""

    _event: threading.Event = attrs.field(factory=threading.Event, init=False)

    def wake(self) -> None:
        self._event.set()

    def sleep(self, timeout: float | None = None) -> bool:
        """Returns whether it was woken, within `timeout` seconds if there is one."""
        return self._event.wait(timeout)


@attrs.define(eq=False)
class Inbox:
    """Calls of foreign threads, on their way into the event loop.

    Attributes:
        port: The event loop.
    """

    port: Port
    _thread: int = attrs.field(factory=threading.get_ident, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _calls: deque[tuple[Callable[[], None], "Future[Any]"]] = attrs.field(factory=deque, init=False)

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Run `function` in the loop's thread, and block this one until it has.

        Raises:
            NotFromHere: this is the loop's thread. `what` names the call for the error.
            RuntimeClosed: it was not run, and won't be.
            Exception: what `function` raised.
        """
        if threading.get_ident() == self._thread and not self._closed:
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
        return result.result()

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
            GroupCleared: the event was staged, and dropped.
        """
        ends_at = None if timeout is None else time.monotonic() + timeout
        while self._wait_for_step(None if ends_at is None else ends_at - time.monotonic()):
            if self._receipt.settled:  # not yet where an event was staged and has been released
                return self._receipt.report()
        if self._receipt.settled:  # a runtime that closes settles everything first
            return self._receipt.report()
        raise TimeoutError(f"{self.event.name!r} {self.id} has not settled within {timeout:g} s; it goes on.")

    def _wait_for_step(self, seconds: float | None) -> bool:
        """Block until the receipt has something to tell; false after so many seconds, and where nothing will come."""
        sleeper = _NextStep(self._receipt)
        try:
            hand = self._inbox.call("wait", lambda: self._begin(sleeper))
        except RuntimeClosed:
            return False
        try:
            return sleeper.sleep(seconds)
        finally:
            _end_wait(hand)
            self._receipt.stop_waking(sleeper)

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
        receipt.wake_later(sleeper)
        return hand


@attrs.define(eq=False)
class _NextStep(ThreadSleeper):
    """A sleep until a staged event leaves its group, or until all is settled.

    Others may have the receipt wake who waits at every single outcome.
    """

    receipt: Receipt
    was_staged: bool = False

    def wake(self) -> None:
        if self.receipt.settled or self.receipt.staged is not self.was_staged:
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
        sleeper.sleep()
    finally:
        _end_wait(hand)
    receipt.check_accepted()
    return ThreadReceipt(receipt, inbox)


def _end_wait(hand: Hand[Any] | None) -> None:
    if hand is not None:
        hand.wait = None

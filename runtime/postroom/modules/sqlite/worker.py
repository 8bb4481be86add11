"""The thread of a session: it owns the connection, runs what waits in one transaction, and keeps the lease.

Whoever calls while a transaction runs waits for the next one, so the more calls there are, the more of them share a
commit. The results of all go back to the event loop in one hop.

Source: group commit (DeWitt et al., 1984).
"""

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw
import attrs

from postroom.errors import ForkedProcess
from postroom.store_errors import StoreBroken, UnknownResult
from postroom_actors import Port, Sleeper

from .faults import MODULE, is_full, translated
from .lives import begin, look
from .opening import Durability, identity_of, open_database
from .times import MachineClock
from .transaction import EVERYTHING, LOST, ROUTES, Terms, Transaction
from .wakes import Wakes

Step: TypeAlias = Callable[[Transaction], Any]

MOST_TOGETHER: Final = 1000
"""Calls that share a commit."""

SHORTEST_NAP: Final = 0.0002
LONGEST_NAP: Final = 0.01
"""Seconds between two looks whether another process has let go of the file."""

RENEWALS: Final = 3
"""How often a lease is renewed before it would run out."""


@attrs.define(eq=False)
class Call:
    """A step that the event loop waits for.

    Attributes:
        withdrawn: Nobody waits for it any more; it is left out where it has not begun.
    """

    step: Step
    sleeper: Sleeper
    result: Any = attrs.field(default=None, init=False)
    error: BaseException | None = attrs.field(default=None, init=False)
    done: bool = attrs.field(default=False, init=False)
    withdrawn: bool = attrs.field(default=False, init=False)


@attrs.frozen(kw_only=True)
class Settings:
    """What a worker is given.

    Attributes:
        busy_timeout: Seconds for which it waits while others write.
    """

    path: Path
    durability: Durability
    busy_timeout: float
    clock: MachineClock
    terms: Terms


@attrs.define(eq=False)
class Worker:
    """The thread, seen from the event loop.

    Attributes:
        tell: Called in the event loop, with what a session is to look at.
        broken: Why nothing works any more.
        ended: The thread has nothing more to do.
    """

    settings: Settings
    name: str
    port: Port
    tell: Callable[[int], None]
    broken: Exception | None = attrs.field(default=None, init=False)
    ended: bool = attrs.field(default=False, init=False)
    _calls: deque[Call] = attrs.field(factory=deque, init=False)
    _running: list[Call] = attrs.field(factory=list, init=False)
    _asleep: bool = attrs.field(default=False, init=False)
    _ringing: bool = attrs.field(default=False, init=False)
    _ending: bool = attrs.field(default=False, init=False)
    _hurry: bool = attrs.field(default=False, init=False)
    _process: int = attrs.field(factory=os.getpid, init=False)
    _thread: threading.Thread = attrs.field(init=False)
    _wakes: Wakes = attrs.field(init=False)
    _tx: Transaction | None = attrs.field(default=None, init=False)
    _file: tuple[int, int] = attrs.field(default=(0, 0), init=False)
    _version: int = attrs.field(default=-1, init=False)
    _renew_at: float = attrs.field(default=0.0, init=False)
    _look_at: float = attrs.field(default=0.0, init=False)
    _until: float = attrs.field(default=0.0, init=False)

    # In the event loop

    def start(self, opened: Call) -> None:
        """Start the thread; `opened` is done when the session has begun, or can't."""
        folder = self.settings.path.with_name(f"{self.settings.path.name}-wake")
        self._wakes = Wakes(folder)
        self._thread = threading.Thread(target=self._run, args=(opened,), name=f"postroom {MODULE}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """See whether calls make sense.

        Raises:
            StoreBroken: nothing works any more.
            ForkedProcess: this is another process.
        """
        if self._process != os.getpid():
            raise ForkedProcess
        if self.broken is not None:
            raise copy(self.broken) from self.broken

    def submit(self, call: Call) -> bool:
        """Have a step run; whether the caller has to `ring` for it, since the thread sleeps and nobody else will."""
        self.check()
        self._calls.append(call)
        has_to_ring = self._asleep and not self._ringing
        self._ringing = self._ringing or has_to_ring
        return has_to_ring

    @property
    def has_company(self) -> bool:
        """Whether more than one call waits."""
        return len(self._calls) > 1

    def ring(self) -> None:
        """Wake the thread."""
        self._ringing = False
        if self._asleep:  # else it looks for calls before it sleeps
            self._wakes.ring()

    def stop(self) -> None:
        """End the thread once everything that was submitted is done; `tell` is called when it has."""
        self._ending = True
        if not self.ended:
            self._wakes.ring()

    def hurry(self) -> None:
        """Wait for no other process any more."""
        self._hurry = True

    def join(self, seconds: float) -> bool:
        """Block until the thread has ended, for so many seconds at most; whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # In the thread

    def _run(self, opened: Call) -> None:
        try:
            self._tx = self._open()
            self._hand_back([opened], EVERYTHING & ~ROUTES)
            self._work(self._tx)
            reason: BaseException = StoreBroken(MODULE, "its session has ended", "Open another one.")
        except BaseException as error:  # whatever it is, the event loop must hear of it
            reason = self._as_ours(error)
        self._close()
        broken = reason if isinstance(reason, Exception) else StoreBroken(MODULE, repr(reason), "Open it again.")

        def end() -> None:
            self.broken, self.ended = broken, True
            for call in (opened, *self._running, *self._calls):
                if not call.done:
                    call.error, call.done = copy(broken), True
                    call.sleeper.wake()
            self._calls.clear()
            self.tell(EVERYTHING)

        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            self.port.submit(end)

    def _open(self) -> Transaction:
        settings = self.settings
        db = open_database(settings.path, settings.durability)
        self._tx = tx = Transaction(db, settings.clock, settings.terms, self.name)
        self._file = identity_of(settings.path)
        db.set_busy_handler(self._nap)
        self._begin(tx)
        try:
            begin(tx)
            tx.prepare()
        except BaseException:
            tx.roll_back()
            raise
        self._commit(tx)
        self._wakes.open(tx.session)
        self._after(tx)
        self._version = changes_of_others(db)
        return tx

    def _work(self, tx: Transaction) -> None:
        """Run calls until the end."""
        while not self._ending or self._calls:
            self._running = self._take(tx)
            if self._running:
                self._serve(tx, self._running)

    def _take(self, tx: Transaction) -> list[Call]:
        """The calls that wait; where none do, sleep until one comes, or until something else is to be done."""
        if not self._calls:
            self._asleep = True
            what = 0
            if not self._calls and not self._ending:
                what = self._wakes.wait(min(self._renew_at - time.monotonic(), self._wakes.look_every))
            self._asleep = False
            self._look_around(tx, what)
        taken: list[Call] = []
        while self._calls and len(taken) < MOST_TOGETHER:
            call = self._calls.popleft()
            if not call.withdrawn:
                taken.append(call)
        return taken

    def _look_around(self, tx: Transaction, what: int) -> None:
        if self._calls and not what and time.monotonic() < min(self._look_at, self._renew_at):
            return  # rung by the own process: what it asks for comes first, and looks at the file too
        self._look_at = time.monotonic() + self._wakes.look_every
        self._check_file()
        version = changes_of_others(tx.db)
        if version != self._version:
            self._version = version
            what = what or EVERYTHING  # a wake-up got lost, or there is nobody who could send one
        now = time.monotonic()
        if now >= self._renew_at:
            self._renew_at = now + self.settings.terms.lease / RENEWALS / RENEWALS  # where it fails
            self._serve(tx, [])
        if what:
            self._hand_back([], what)

    def _check_file(self) -> None:
        """Raises StoreBroken where the file that is written is not the one at its path any more."""
        path = self.settings.path
        try:
            found = identity_of(path)
        except FileNotFoundError:
            raise StoreBroken(MODULE, f"{path} was deleted while it was open", "Open the module again.") from None
        except OSError as error:
            raise StoreBroken(
                MODULE, f"{path} can't be looked at ({error.strerror})", "Look at its folder, and open it again."
            ) from error
        if found != self._file:
            raise StoreBroken(MODULE, f"{path} was replaced while it was open", "Open the module again.")

    # Transactions

    def _serve(self, tx: Transaction, calls: list[Call]) -> None:
        """Run calls together; where that fails, one by one, so that only those fail that must."""
        try:
            self._check_file()
            self._together(tx, calls)
        except Exception as error:
            if len(calls) > 1 and not isinstance(error, StoreBroken | UnknownResult | apsw.BusyError):
                for call in calls:
                    self._serve(tx, [call])
                return
            ours = self._as_ours(error)
            for call in calls:
                call.error = copy(ours)
            self._hand_back(calls, EVERYTHING if isinstance(error, UnknownResult) else 0)
            if isinstance(ours, StoreBroken):
                raise ours from error

    def _together(self, tx: Transaction, calls: Sequence[Call]) -> None:
        self._begin(tx)
        try:
            look(tx)
            for call in calls:
                call.result = call.step(tx)
            tx.prepare()
        except BaseException:
            tx.roll_back()
            raise
        self._commit(tx)
        self._hand_back(calls, self._after(tx))

    def _begin(self, tx: Transaction) -> None:
        self._until = time.monotonic() + self.settings.busy_timeout
        tx.begin()

    def _after(self, tx: Transaction) -> int:
        """It is stored: tell others; returns what to tell the own session."""
        self._renew_at = time.monotonic() + self.settings.terms.lease / RENEWALS
        own = tx.wakes.get(tx.session, 0)
        if tx.lost:
            tx.lost = False
            self._wakes.open(tx.session)
            own |= EVERYTHING | LOST
        self._wakes.send(tx.wakes, tx.session)
        for session in tx.forgotten:
            self._wakes.forget(session)
        return own

    def _commit(self, tx: Transaction) -> None:
        try:
            commit(tx.db)
        except apsw.Error as error:
            if is_full(error, tx.db) or isinstance(error, apsw.BusyError):
                tx.roll_back()
                raise
            tx.doubt()
            raise UnknownResult(MODULE, f"the commit failed: {error}") from error

    def _nap(self, count: int) -> bool:
        """Wait a little, since another process writes; false where that was long enough."""
        if self._hurry or time.monotonic() >= self._until:
            return False
        time.sleep(random.uniform(SHORTEST_NAP, min(LONGEST_NAP, SHORTEST_NAP * (count + 1) * 2)))
        return True

    def _as_ours(self, error: BaseException) -> BaseException:
        if not isinstance(error, apsw.Error):
            return error
        return translated(error, str(self.settings.path), None if self._tx is None else self._tx.db)

    def _close(self) -> None:
        if self._tx is not None:
            with suppress(apsw.Error):  # what was committed is stored
                self._tx.db.close(True)
        self._wakes.close()

    # Back to the event loop

    def _hand_back(self, calls: Sequence[Call], what: int) -> None:
        def hand_back() -> None:
            for call in calls:
                call.done = True
                call.sleeper.wake()
            if what:
                self.tell(what)

        if calls or what:
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self.port.submit(hand_back)


def commit(db: apsw.Connection) -> None:
    """Commit a transaction."""
    db.execute("COMMIT")


def changes_of_others(db: apsw.Connection) -> int:
    """A number that is another one once another connection has changed the file."""
    # Not `db.data_version()`, which counts the own changes too.
    return int(db.pragma("data_version"))

"""Being told to end: one signal asks for a drain, a second one means now.

Handlers for the signals are there before the service's code is imported, so that no moment is without them. They only
count, wake the event loop, and tell a thread by when the process has to be gone. That thread ends the process where the
runtime does not: a handler that shields itself, a blocked loop or thread, a store that does not answer.

Units: seconds.
"""

import math
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Final, NoReturn

import attrs

from .output import complain
from .statuses import NOT_DONE

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

AT_ONCE: Final = 0.3
"""From the second signal to the end: what handlers have for their cleanup, and a store for what is handed back."""

MARGIN: Final = 0.2
"""Beyond what the runtime itself may take."""

STARTING: Final = 5.0
"""For the end of a start that was interrupted; of a service whose runtime is known it is what that says."""


class StoppedInImport(BaseException):
    """A signal came while the service's code was imported. Nothing has begun."""


@attrs.define(eq=False)
class Stopping:
    """The signals that this process gets.

    Attributes:
        count: Those that have come.
        patience: From the first signal to the end.
        status: Once the runtime has ended: what the process ends with, whatever still hangs in it.
        hung: Says whose handlers still run.
        before_end: Is called right before the process is ended by force.
    """

    count: int = attrs.field(default=0, init=False)
    patience: float = attrs.field(default=STARTING, init=False)
    status: int | None = attrs.field(default=None, init=False)
    hung: Callable[[], Iterable[str]] = attrs.field(default=tuple, init=False)
    before_end: Callable[[], None] = attrs.field(default=lambda: None, init=False)
    _wake: Callable[[], None] | None = attrs.field(default=None, init=False)
    _is_importing: bool = attrs.field(default=True, init=False)
    _pid: int = attrs.field(factory=os.getpid, init=False)
    # Putting something in is safe inside of a signal handler, whatever that has interrupted.
    _deadlines: "queue.SimpleQueue[float]" = attrs.field(factory=queue.SimpleQueue, init=False)

    def install(self) -> None:
        """From now on signals are heard here."""
        threading.Thread(target=self._watch, name="postroom stop", daemon=True).start()
        for number in SIGNALS:
            signal.signal(number, self._heard)

    def imported(self) -> None:
        """The service's code is there; signals raise nothing any more."""
        self._is_importing = False

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` at each signal, in the middle of whatever the main thread does; and now, if some have come."""
        self._wake = wake
        if self.count:
            wake()

    def deaf(self) -> None:
        """The event loop ends; nobody is to be woken any more."""
        self._wake = None

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a fork of the service's, which ends as if nothing were installed
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.count += 1
        if self.count > 2:
            self._end()
        self._deadlines.put(time.monotonic() + (self.patience if self.count == 1 else AT_ONCE))
        if self._is_importing and self.count == 1:
            raise StoppedInImport
        if self._wake is not None:
            self._wake()

    def _watch(self) -> None:
        until = math.inf
        while True:
            left = until - time.monotonic()
            try:
                until = min(until, self._deadlines.get(timeout=None if math.isinf(left) else max(0.0, left)))
            except queue.Empty:
                self._end()

    def _end(self) -> NoReturn:
        """End the process, whatever it does."""
        try:
            if self.status is None:
                names = sorted(self.hung())
                whose = f"still at work: {', '.join(names)}" if names else "it does not end by itself"
                complain(f"ended by force: {whose}")
            self.before_end()
            sys.stdout.flush()
        finally:
            os._exit(NOT_DONE if self.status is None else self.status)

"""Several processes of one service, or one that is started again when its code changes.

The parent runs none of the service's code. Its children are sessions of their own, so that Ctrl-C in a terminal reaches
the parent alone, which passes it on; and each reads from a pipe whose end tells it that the parent has died.

Units: seconds.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import attrs

from .output import complain
from .statuses import DONE, NOT_DONE

LOOK_EVERY: Final = 0.05
LOOK_AT_FILES_EVERY: Final = 0.5
TOO_SOON: Final = 2.0
"""A process that ends by itself within this time can't be started."""

RESTARTS: Final = 5
RESTARTS_WITHIN: Final = 60.0
"""More restarts of one process than that mean that the service can't go on."""

NOT_WATCHED: Final = ("__pycache__", "node_modules")


@attrs.define(eq=False)
class Place:
    """One of the processes, and those that come after it in its place.

    Attributes:
        number: From 1.
        started: When the one that runs now was started.
        restarts: When it had to be started again.
        told: How many of the parent's signals it was sent.
    """

    number: int
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    restarts: list[float] = attrs.field(factory=list)
    told: int = 0

    def tell(self, signals: Sequence[int]) -> None:
        """Send the signals that it has not been sent; counted first, since this may interrupt itself."""
        while self.process is not None and self.told < len(signals):
            number = signals[self.told]
            self.told += 1
            self.process.send_signal(number)

    def start(self, command: Sequence[str]) -> None:
        """Start a process here."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - this very command line
            [*command, "--worker", str(self.number)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def may_restart(self) -> bool:
        """Whether it has not been started again too often."""
        now = time.monotonic()
        self.restarts = [each for each in self.restarts if now - each < RESTARTS_WITHIN] + [now]
        return len(self.restarts) <= RESTARTS


@attrs.define(eq=False)
class Fleet:
    """The parent of such processes.

    Attributes:
        command: What starts one, all but its number.
        watched: The folder whose Python files are watched; None for none.
        signals: Those that have come.
    """

    command: Sequence[str]
    count: int
    watched: Path | None = None
    signals: list[int] = attrs.field(factory=list, init=False)
    _places: list[Place] = attrs.field(init=False)
    _status: int = attrs.field(default=DONE, init=False)
    _is_reloading: bool = attrs.field(default=False, init=False)

    def run(self) -> int:
        """Keep them running until a signal comes; returns the exit status."""
        self._places = [Place(number) for number in range(1, self.count + 1)]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._heard)
        try:
            for place in self._places:
                self._start(place)
            self._look_on()
        finally:
            for place in self._places:
                if place.process is not None and place.process.poll() is None:
                    place.process.kill()
                    place.process.wait()
        return self._status

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        self.signals.append(number)
        for place in self._places:
            place.tell(self.signals)

    def _start(self, place: Place) -> None:
        if not self.signals:
            place.start(self.command)
            place.tell(self.signals)  # what came before there was somebody to tell

    def _look_on(self) -> None:
        stamps = {} if self.watched is None else dict(stamps_of(self.watched))
        look_at = time.monotonic() + LOOK_AT_FILES_EVERY
        while True:
            running = [place for place in self._places if place.process is not None]
            for place in running:
                assert place.process is not None
                status = place.process.poll()
                if status is not None:
                    self._ended(place, status)
            if not any(place.process for place in self._places):
                if self.signals or self.watched is None:
                    return
                if self._is_reloading:
                    self._is_reloading = False
                    for place in self._places:
                        self._start(place)
            if self.watched is not None and time.monotonic() >= look_at and not self._is_reloading:
                look_at = time.monotonic() + LOOK_AT_FILES_EVERY
                now = dict(stamps_of(self.watched))
                if now != stamps and not self.signals:
                    stamps = now
                    complain("the code has changed: starting again")
                    self._is_reloading = True
                    for place in self._places:
                        if place.process is not None:
                            place.process.terminate()
            time.sleep(LOOK_EVERY)

    def _ended(self, place: Place, status: int) -> None:
        """A process has ended."""
        process, place.process = place.process, None
        assert process is not None, "it was started"
        assert process.stdin is not None, "with a pipe"
        process.stdin.close()
        if self.signals:
            if status != 0 and -status not in self.signals:  # by default they kill one that has not begun yet
                self._status = max(self._status, NOT_DONE if status < 0 else status)
            return
        if self._is_reloading:
            return
        if self.watched is not None:
            complain(f"it ended with status {status}: waiting for a change of the code")
            return
        what = f"signal {-status}" if status < 0 else f"status {status}"
        if (status > 0 and time.monotonic() - place.started < TOO_SOON) or not place.may_restart():
            complain(f"process {place.number} ended with {what}, and can't be kept running: ending the others")
            self._status = NOT_DONE if status < 0 else max(status, NOT_DONE)
            self._pass_on(signal.SIGTERM)
            return
        complain(f"process {place.number} ended with {what}: starting another one")
        self._start(place)


def stamps_of(folder: Path) -> Iterator[tuple[str, float]]:
    """The Python files that are watched under a folder, and when each was changed."""
    folders = [str(folder)]
    while folders:
        try:
            found = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for each in found:
            try:
                if each.is_dir(follow_symlinks=False):
                    if not each.name.startswith(".") and each.name not in NOT_WATCHED:
                        folders.append(each.path)
                elif each.name.endswith(".py"):
                    yield each.path, each.stat().st_mtime
            except OSError:
                continue


def end_with_parent() -> None:
    """In a child: a parent that has died is a signal to end."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="postroom parent", daemon=True).start()


def command_of(arguments: Sequence[str]) -> list[str]:
    """What starts this command line again."""
    return [sys.executable, "-m", "postroom", *arguments]

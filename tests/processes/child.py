"""A process that a test starts, stops with real signals, and reads: what it says goes to a file, a line at a time.

Units: seconds on the machine's monotonic clock, which all of its processes share.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs

ROOT: Final = Path(__file__).parents[2]

PATIENCE: Final = 60.0
"""Seconds that a process has for whatever is waited for."""


@attrs.frozen
class Said:
    """One line of a process.

    Attributes:
        time: When it was said.
        process: Who said it.
    """

    word: str
    what: str
    time: float
    more: tuple[str, ...] = ()
    process: str = ""


def say(word: str, what: object = "-", *more: object) -> None:
    """Say something, in one write, which a `kill -9` right after it does not take back."""
    text = " ".join(str(each) for each in (word, what, repr(time.monotonic()), *more))
    os.write(1, f"{text}\n".encode())


@attrs.define(eq=False)
class Child:
    """A process that runs a module of the tests with some arguments; its name is the first of them.

    Attributes:
        folder: Where what it says is kept.
    """

    module: str
    folder: Path
    name: str
    arguments: tuple[Any, ...] = ()
    out: Path = attrs.field(init=False)
    process: "subprocess.Popen[bytes]" = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.out = self.folder / f"{self.name}.out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, self.name, *(str(each) for each in self.arguments)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": "runtime:actors:."},
                stdout=out,
            )

    def said(self) -> list[Said]:
        """What it has said; whole lines only, since the last one may have been cut."""
        return list(self._lines())

    def _lines(self) -> Iterator[Said]:
        for line in self.out.read_text(encoding="utf-8").rpartition("\n")[0].splitlines():
            word, what, when, *more = line.split()
            yield Said(word, what, float(when), tuple(more), self.name)

    def wait_for(self, word: str, count: int = 1) -> None:
        """Wait until it has said something so often.

        Raises:
            TimeoutError: it has ended, or takes too long.
        """
        until = time.monotonic() + PATIENCE
        mark = f"{word} "
        while sum(line.startswith(mark) for line in self.out.read_text(encoding="utf-8").splitlines()) < count:
            if time.monotonic() > until or self.process.poll() is not None:
                raise TimeoutError(
                    f"{self.name} has not said {word!r} {count} times; its status is {self.process.poll()}"
                )
            time.sleep(0.005)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def status(self) -> int:
        """Wait for its end; returns its exit status."""
        return self.process.wait(PATIENCE)


def end_all(children: "list[Child]") -> None:
    """Kill whoever still runs."""
    for child in children:
        if child.process.poll() is None:
            child.kill()

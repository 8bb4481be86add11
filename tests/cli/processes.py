"""The command line as a process of its own, in a folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).parents[2]

PATIENCE: Final = 120.0
"""Seconds for whatever is waited for."""

LEAVE_WITHIN: Final = 15.0
"""Seconds that a process has at the end of a test before it is killed."""

AT_WORK: Final = "is at work"


def environment(**more: str) -> dict[str, str]:
    """That of a process, in which all of the code is found from any folder."""
    paths = os.pathsep.join(str(ROOT / name) for name in ("runtime", "actors", "."))
    own = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "POSTROOM_MODULE")}
    # Frameworks that are installed beside postroom are imported by its container, and warn of each other.
    return own | {"PYTHONPATH": paths, "COLUMNS": "120", "PYTHONWARNINGS": "ignore"} | more


def postroom(folder: Path, *arguments: object, env: Mapping[str, str] = {}) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "postroom", *map(str, arguments)],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@attrs.define(eq=False)
class Service:
    """A command that runs until it is told to end; what it says goes to files."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def said(self) -> str:
        """Its standard output so far."""
        return (self.folder / "out").read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """Its standard error so far."""
        return (self.folder / "err").read_text(encoding="utf-8")

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until it has said something so often, on either way."""
        until = time.monotonic() + PATIENCE
        while (self.said + self.errors).count(text) < count:
            if time.monotonic() > until or self.process.poll() is not None:
                raise TimeoutError(f"it has not said {text!r}; status {self.process.poll()}: {self.said}{self.errors}")
            time.sleep(0.005)

    def signal(self, number: int = signal.SIGTERM) -> float:
        """Send a signal; returns when."""
        self.process.send_signal(number)
        return time.monotonic()

    def status(self) -> int:
        """Wait for its end; returns its exit status."""
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, *arguments: object, env: Mapping[str, str] = {}) -> Iterator[Service]:
    """A block in which a command runs; at the end it is told to end, and killed where it doesn't."""
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "postroom", *map(str, arguments)],
            cwd=folder,
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    try:
        yield Service(folder, process)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process: kindly, since one that is killed can't say which lines it took; else by force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(LEAVE_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

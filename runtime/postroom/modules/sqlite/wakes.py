"""Waking other processes: one socket for each session, in a folder beside the file, which only its owner may enter.

A wake-up is one datagram of one byte, which says what to look at. It may get lost, where a session has many of them
unread; so whoever reads several at once looks at everything, and once in a while everybody looks whether the file has
changed.

Where the system has no such sockets, looking at the file is all there is, and done more often.
"""

import os
import selectors
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs

from .transaction import EVERYTHING

LOOK_EVERY: Final = 1.0
"""Seconds between looks at the file, where others wake this process."""

LOOK_OFTEN: Final = 0.02
"""Where they can't."""

HAS_SOCKETS = hasattr(socket, "AF_UNIX")

LONGEST_ADDRESS: Final = 100
"""Bytes that the path of a socket may have on all systems."""


@attrs.define(eq=False)
class Wakes:
    """The socket of a session, and a bell for the own process.

    Attributes:
        folder: Where the sockets of all sessions are.
        look_every: Seconds between looks at the file.
    """

    folder: Path
    look_every: float = attrs.field(default=LOOK_OFTEN, init=False)
    _bell: tuple[socket.socket, socket.socket] = attrs.field(factory=socket.socketpair, init=False)
    _selector: selectors.BaseSelector = attrs.field(factory=selectors.DefaultSelector, init=False)
    _socket: "socket.socket | None" = attrs.field(default=None, init=False)
    _own: Path | None = attrs.field(default=None, init=False)
    _out: "socket.socket | None" = attrs.field(default=None, init=False)
    _base: str = attrs.field(default="", init=False)
    _folder_fd: int = attrs.field(default=-1, init=False)

    def __attrs_post_init__(self) -> None:
        for end in self._bell:
            end.setblocking(False)
        self._selector.register(self._bell[0], selectors.EVENT_READ)

    def open(self, session: int) -> None:
        """Make the socket of a session; without one where the system has none."""
        self._close_socket()
        if not HAS_SOCKETS:
            return
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._base = self._reachable()
            own = self.folder / str(session)
            own.unlink(missing_ok=True)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.bind(f"{self._base}/{session}")
            self._own = own
            self._selector.register(self._socket, selectors.EVENT_READ)
            self._out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._out.setblocking(False)
        except OSError:  # a file system without sockets
            self._close_socket()
            return
        self.look_every = LOOK_EVERY

    def _reachable(self) -> str:
        """The folder, by a name that is short enough for an address."""
        if len(os.fsencode(self.folder)) <= LONGEST_ADDRESS - 20:
            return str(self.folder)
        if self._folder_fd < 0:
            self._folder_fd = os.open(self.folder, os.O_RDONLY)
        return f"/proc/self/fd/{self._folder_fd}"

    def ring(self) -> None:
        """Wake the own process's thread; from any thread."""
        with suppress(BlockingIOError, OSError):  # it has been rung already, or is closed
            self._bell[1].send(b"!")

    def wait(self, seconds: float) -> int:
        """Wait until somebody wakes this thread, or for so many seconds; what to look at."""
        ready = [key.fileobj for key, _ in self._selector.select(max(0.0, seconds))]
        if self._bell[0] in ready:
            with suppress(BlockingIOError):
                self._bell[0].recv(4096)
        return self.heard() if self._socket in ready else 0

    def heard(self) -> int:
        """What others have said since the last time."""
        if self._socket is None:
            return 0
        what = count = 0
        with suppress(BlockingIOError):
            while True:
                what |= self._socket.recv(16)[0]
                count += 1
        return EVERYTHING if count > 1 else what

    def send(self, wakes: Mapping[int, int], own: int) -> None:
        """Wake other sessions."""
        if self._out is None:
            return
        for session, what in wakes.items():
            if session != own:
                # Gone, or not reading: it looks by itself, or is taken over.
                with suppress(OSError):
                    self._out.sendto(bytes((what & EVERYTHING,)), f"{self._base}/{session}")

    def forget(self, session: int) -> None:
        """Clean up after a session that is gone."""
        with suppress(OSError):
            (self.folder / str(session)).unlink(missing_ok=True)

    def close(self) -> None:
        """Take the socket away, and the folder with the last one."""
        self._close_socket()
        self._selector.close()
        for end in self._bell:
            end.close()
        if self._folder_fd >= 0:
            os.close(self._folder_fd)
            self._folder_fd = -1
        with suppress(OSError):
            self.folder.rmdir()

    def _close_socket(self) -> None:
        if self._socket is not None and self._own is not None:
            self._selector.unregister(self._socket)
        for each in (self._socket, self._out):
            if each is not None:
                each.close()
        self._socket = self._out = None
        if self._own is not None:
            with suppress(OSError):
                self._own.unlink(missing_ok=True)
            self._own = None
        self.look_every = LOOK_OFTEN

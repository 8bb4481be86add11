"""Bytes from a file, a pipe, a FIFO or a device. Waiting for them never holds up the event loop, so Ctrl-C works."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio
import anyio.lowlevel
import attrs

CHUNK: Final = 16 * 1024
"""Bytes that are read at once, at the most."""


@attrs.define(eq=False)
class Source:
    """An open file.

    Attributes:
        size: Its bytes; None where nobody can know.
        bytes_read: How many of them were read.
    """

    file: io.FileIO
    size: int | None
    bytes_read: int = 0
    _always_ready: bool = False

    async def read(self) -> bytes:
        """The next bytes; none at the end.

        Raises:
            OSError: they can't be read.

        Cancellation: nothing was read.
        """
        while True:
            await self._until_ready()
            chunk: bytes | None = self.file.read(CHUNK)
            if chunk is not None:  # None: the loop was woken for nothing
                self.bytes_read += len(chunk)
                return chunk

    async def _until_ready(self) -> None:
        if not self._always_ready:
            try:
                await anyio.wait_readable(self.file)
                return
            except PermissionError:  # how Linux says that a file or a device like /dev/zero never makes anybody wait
                self._always_ready = True
        await anyio.lowlevel.checkpoint()


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file for as long as the block.

    Raises:
        OSError: it can't be opened, or is a directory.
    """
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        about = os.fstat(file.fileno())
        regular = stat.S_ISREG(about.st_mode)
        yield Source(file, about.st_size if regular else None, always_ready=regular)


def _open_at_once(path: str, flags: int) -> int:
    # Without this flag, opening a FIFO waits until somebody writes to it, and nothing interrupts that.
    return os.open(path, flags | os.O_NONBLOCK)

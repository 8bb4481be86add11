"""Waking an event loop at every signal.

Python runs a signal's handler in the main thread, once that runs bytecode again. A signal that comes right before
that thread waits for input, or that the system gives to another one, interrupts no wait: its handler runs whenever
something else wakes the loop, in a quiet service perhaps never. trio and uvloop have a socket written to then;
asyncio has one only for handlers that were given to the loop itself, which would not run while the loop is blocked.
"""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def woken_by_signals() -> Iterator[None]:
    """A block in which each signal wakes the event loop that runs in this thread, the main one."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # on trio, which does that by itself
        yield
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        if before != -1:  # uvloop's, which does that by itself
            signal.set_wakeup_fd(before)
            yield
            return

        def drain() -> None:
            with suppress(BlockingIOError):
                while reader.recv(4096):
                    pass

        loop.add_reader(reader, drain)
        try:
            yield
        finally:
            loop.remove_reader(reader)
            signal.set_wakeup_fd(-1)

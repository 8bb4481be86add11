"""What Python tells a whole process: that it is a forked child, and that it ends.

A forked child's copies of runtimes have no event loop, no threads and no tasks of their own. And a process may end with
a runtime open, in a daemon thread or in an event loop that nobody runs any more: nothing of it can be closed by then.

The registry is the one piece of module state here: Python calls such hooks for the whole process, for ever.
"""

import atexit
import os
from typing import Final, Protocol
from weakref import WeakSet


class Inhabitant(Protocol):
    """What is told."""

    def forked(self) -> None:
        """In the child: this is a copy."""
        ...

    def outlived(self) -> None:
        """The process ends."""
        ...


_ALL: Final[WeakSet[Inhabitant]] = WeakSet()


def tell(runtime: Inhabitant) -> None:
    """Tell `runtime` of forks and of the end of the process, as long as it exists."""
    _ALL.add(runtime)


def _tell_in_child() -> None:
    for runtime in tuple(_ALL):
        runtime.forked()


def _tell_at_exit() -> None:
    for runtime in tuple(_ALL):
        runtime.outlived()


if hasattr(os, "register_at_fork"):  # not on Windows, which doesn't fork
    os.register_at_fork(after_in_child=_tell_in_child)
atexit.register(_tell_at_exit)

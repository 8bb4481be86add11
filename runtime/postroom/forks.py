"""What a forked child must know: its copies of runtimes have no event loop, no threads and no tasks of their own.

The registry is the one piece of module state here: Python calls hooks for forks for the whole process, for ever.
"""

import os
from typing import Final, Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What is told in the child."""

    def forked(self) -> None: ...


_OPEN: Final[WeakSet[Forkable]] = WeakSet()


def tell_in_children(runtime: Forkable) -> None:
    """Have `runtime.forked` called in every process that is forked from this one as long as it exists."""
    _OPEN.add(runtime)


def _tell() -> None:
    for runtime in tuple(_OPEN):
        runtime.forked()


if hasattr(os, "register_at_fork"):  # not on Windows, which doesn't fork
    os.register_at_fork(after_in_child=_tell)

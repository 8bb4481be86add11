"""Seeded schedules: which task runs next is drawn from the seed, time is virtual, and each step is told to a watcher.

Units: seconds of virtual time; a step is what one task does between two of its yields.
"""

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias

from postroom_actors import running_library

from . import on_asyncio, on_trio
from .watcher import Watcher

Backend: TypeAlias = Literal["trio", "asyncio"]
BACKENDS: Final[tuple[Backend, ...]] = ("trio", "asyncio")


def run(backend: Backend, seed: str, tick: float, main: Callable[[], Awaitable[Any]], watcher: Watcher) -> None:
    """Run `main` under the schedule of `seed`.

    Args:
        tick: Seconds that pass whenever somebody looks at the clock; with 0 time stands while tasks run, so that no
            time slice ever ends.

    Raises:
        BaseException: what `main` raises.
    """
    schedule = on_trio.run if backend == "trio" else on_asyncio.run
    schedule(seed, tick, main, watcher)


def left() -> tuple[int, int]:
    """How many tasks there are beside the loop's own, the caller's included, and how many timers."""
    return on_trio.left() if running_library() == "trio" else on_asyncio.left()


@contextmanager
def no_garbage() -> Iterator[None]:
    """A block in which nothing is collected but by `collect`: a finalizer at any other moment would change a run."""
    was_enabled = gc.isenabled()
    gc.disable()
    gc.collect()
    gc.freeze()  # what is there already is not looked at again for each run
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def collect() -> None:
    """Collect what a run has left, before the next one."""
    gc.collect()

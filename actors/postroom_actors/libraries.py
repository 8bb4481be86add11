"""Which library runs the caller, also where one loop runs inside another one's task."""

import asyncio
import inspect
import sys
from typing import Any, Literal


def running_library() -> Literal["trio", "asyncio"]:
    """Which library runs the caller's task, taking asyncio for granted where it isn't trio.

    anyio's own answer is a variable of the context, which is carried into a loop that runs inside another one.
    """
    # The kernel needs no trio: where nobody has imported it, nobody runs it.
    trio = sys.modules.get("trio")
    if trio is None or not trio.lowlevel.in_trio_run():
        return "asyncio"
    asyncio_task = _asyncio_task()
    if asyncio_task is None or not trio.lowlevel.in_trio_task():
        return "trio"
    return _innermost(trio.lowlevel.current_task().coro, asyncio_task.get_coro())


def _asyncio_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop of asyncio's runs in this thread
        return None


def _innermost(trio_coroutine: Any, asyncio_coroutine: Any) -> Literal["trio", "asyncio"]:
    """Both are running, one inside the other: whose outermost frame is nearer to here."""
    frame = inspect.currentframe()
    while frame is not None and frame is not asyncio_coroutine.cr_frame:
        if frame is trio_coroutine.cr_frame:
            return "trio"
        frame = frame.f_back
    return "asyncio"

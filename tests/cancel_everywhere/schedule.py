"""What a run has left of tasks and timers; the schedules themselves are the simulator's."""

import asyncio
from typing import Any

import trio
import trio._core._run as trio_run


def tasks_alive() -> int:
    """How many tasks there are in the run of the caller."""
    return len(asyncio.all_tasks()) if _on_asyncio() else trio.lowlevel.current_statistics().tasks_living


def deadlines_set() -> int:
    """How many moments there are at which the loop of the caller would wake up."""
    if _on_asyncio():
        scheduled: Any = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # its heap of timers
        return sum(not handle.cancelled() for handle in scheduled)
    return trio_run.GLOBAL_RUN_CONTEXT.runner.deadlines._active


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

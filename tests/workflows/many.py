"""R25: very many workflows side by side on Local, in bounded memory.

All of them are in hand at once, half-way through their steps, when memory is looked at; and again when all are over.
"""

import gc
import time
import tracemalloc
from typing import Literal

import anyio

from postroom import Flow, Runtime, Workflows, step, workflow
from tests.soak.goal import Goal

MOST_EACH = 24.0
"""Kilobytes of one in hand."""

MOST_LEFT = 1.0
"""Kilobytes of one that is over."""


def many(count: int, backend: Literal["trio", "asyncio"]) -> Goal:
    """Run so many workflows of five steps."""
    gate: list[anyio.Event] = []

    @step
    async def count_up(number: int) -> int:
        return number + 1

    @step
    async def wait(number: int) -> int:
        await gate[0].wait()
        return number + 1

    @workflow
    async def five(flow: Flow, number: int) -> int:
        for each in (count_up, count_up, wait, count_up, count_up):
            number = await flow.run(each, number)
        return number

    async def main() -> tuple[float, float, int]:
        gate.append(anyio.Event())
        async with Runtime() as runtime, Workflows(runtime, [five], capacity=count) as workflows:
            gate[0].set()
            await workflows.run(five, 0)  # what is imported late, and made once, is no run's
            gate[0] = anyio.Event()
            await anyio.wait_all_tasks_blocked()
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            handles = [await workflows.start(five, number) for number in range(count)]
            await anyio.wait_all_tasks_blocked()
            in_hand = tracemalloc.get_traced_memory()[0] - before
            gate[0].set()
            right = 0
            for number, handle in enumerate(handles):
                right += await handle.result() == number + 5
            handles.clear()
            await anyio.wait_all_tasks_blocked()
            gc.collect()
            left = tracemalloc.get_traced_memory()[0] - before
        return in_hand / 1024 / count, left / 1024 / count, right

    start = time.monotonic()
    tracemalloc.start()
    try:
        each, left, right = anyio.run(main, backend=backend)
    finally:
        tracemalloc.stop()
    broken = [] if right == count else [f"{count - right} have a wrong result"]
    broken += [f"{left:.2f} KB of each are left"] if left > MOST_LEFT else []
    details = {"left": round(left, 2), "workflows": count, "seconds": round(time.monotonic() - start, 1)}
    return Goal(
        name=f"R25 {backend}", figure=each, most=MOST_EACH, broken=tuple(broken), details={**details, "seed": 0}
    )

"""Moments that only a random schedule finds: each of these was found by `tests.simulation`, and is told here by hand."""

import anyio
import pytest

from postroom import Actor, Event, MailboxFull, Rate, Receipt, Runtime, UnknownSubscription, on
from postroom.testing import VirtualTimeLoop

pytestmark = pytest.mark.anyio


async def spin_until(time: float) -> None:
    """Keep the loop's clock from jumping: on a virtual clock time passes only while nobody runs."""
    await anyio.sleep_until(time)


async def test_a_rate_that_is_used_at_the_very_moment_it_opens_opens_again() -> None:
    handled: list[float] = []

    async def work(event: Event) -> None:
        handled.append(anyio.current_time() - start)

    async with Runtime() as runtime:
        await runtime.spawn(work, "n", rate=Rate(1, per=1.0))
        start = anyio.current_time()
        await runtime.emit("n")
        gate = runtime.subscriptions["n" if "n" in runtime.subscriptions else "work"]._behaviour.rate
        assert gate is not None
        await anyio.sleep(0.5)
        await runtime.idle()
    assert handled


async def test_what_coalesces_does_not_overtake_its_own_key_in_line() -> None:
    seen: list[object] = []
    gate = anyio.Event()

    async def work(event: Event) -> None:
        await gate.wait()
        seen.append(event.data)

    async with Runtime() as runtime, anyio.create_task_group() as tasks:
        await runtime.spawn(work, "n", capacity=1, overflow="coalesce")
        for data, key in ((0, "in hand"), (1, "in the mailbox"), (2, "k"), (3, "k"), (4, "other"), (5, "k")):
            tasks.start_soon(emit_kept, runtime, data, key)
            await anyio.wait_all_tasks_blocked()
        gate.set()
    assert seen == [0, 1, 5, 4]


async def emit_kept(runtime: Runtime, data: int, key: str) -> None:
    await runtime.emit("n", data, key=key)

"""Virtual time: it jumps when every task waits, and real time does not pass."""

import asyncio
import time
from unittest.mock import patch

import anyio
import anyio.to_thread
import pytest

from postroom.testing import VirtualTimeLoop, virtual_backend, virtual_time
from tests.promises.quick import LIBRARIES, Library, run


async def test_a_long_sleep_takes_no_real_time() -> None:
    start, real = anyio.current_time(), time.perf_counter()
    await anyio.sleep(86_400)
    assert anyio.current_time() - start == pytest.approx(86_400)
    assert time.perf_counter() - real < 5


async def test_time_stands_while_a_task_runs() -> None:
    start = anyio.current_time()
    for _ in range(100):
        await anyio.lowlevel.checkpoint()
    assert anyio.current_time() == start


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as tasks:
        for seconds in (3, 0.5, 2, 1e-9, 1):
            tasks.start_soon(sleeper, seconds)
    assert woken == [1e-9, 0.5, 1, 2, 3]


async def test_a_deadline_comes_before_a_later_event() -> None:
    start = anyio.current_time()
    with anyio.move_on_after(5) as patience:
        await anyio.sleep_forever()
    assert patience.cancelled_caught
    assert anyio.current_time() - start == pytest.approx(5)


async def test_a_thread_reports_where_no_timer_is_set() -> None:
    assert await anyio.to_thread.run_sync(lambda: 42) == 42


def test_a_deadlock_on_asyncio_is_an_error_not_a_hang() -> None:
    async def wait_for_nobody() -> None:
        # Not `anyio.sleep_forever`: on asyncio it sets a timer, at infinity, to which time jumps for ever.
        await anyio.Event().wait()

    with patch.object(virtual_time, "PATIENCE", 0.01), pytest.raises(virtual_time.Deadlock, match="every task waits"):
        run("asyncio", wait_for_nobody)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_backend_is_made_anew_for_each_run(library: Library) -> None:
    async def sleep_and_tell() -> float:
        start = anyio.current_time()
        await anyio.sleep(10)
        return anyio.current_time() - start

    assert virtual_backend(library)[0] == library
    assert [run(library, sleep_and_tell) for _ in range(2)] == pytest.approx([10, 10])


def test_the_loop_still_jumps_after_ten_years() -> None:
    loop = VirtualTimeLoop()
    fired: list[float] = []
    try:
        loop._jumping.now = 3.2e8
        loop.call_later(5, lambda: fired.append(loop.time()))
        turns = 0
        while not fired and turns < 100:  # turn by turn, since the loop would never end by itself
            loop._run_once()  # type: ignore[attr-defined]
            turns += 1
    finally:
        loop.close()
    assert fired


def test_the_loop_is_asyncios_own_but_for_its_time() -> None:
    loop = VirtualTimeLoop()
    try:
        assert isinstance(loop, asyncio.SelectorEventLoop)
        assert loop.time() == 0.0
    finally:
        loop.close()

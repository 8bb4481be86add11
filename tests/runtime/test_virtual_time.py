"""Virtual time: it jumps when every task waits, and real time does not pass."""

import asyncio
import time
from unittest.mock import patch

import anyio
import anyio.to_thread
import pytest

from postroom import Runtime
from postroom.testing import Deadlock, VirtualTimeLoop, blocked_until, virtual_backend, virtual_time
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


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_run_in_which_every_task_waits_for_ever_is_an_error_and_leaves_every_block(library: Library) -> None:
    left: list[str] = []

    async def wait_for_nobody() -> None:
        try:
            await anyio.Event().wait()
        finally:
            left.append("block")

    with patch.object(virtual_time, "PATIENCE", 0.01), pytest.raises(Deadlock, match="every task waits"):
        run(library, wait_for_nobody)
    assert left == ["block"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_runtime_whose_handlers_and_emitters_wait_for_ever_is_such_a_run(library: Library) -> None:
    async def program() -> None:
        stuck = blocked_until(anyio.Event(), "n", name="stuck", capacity=1)
        async with Runtime(subscribers=[stuck]) as runtime, anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(runtime.emit_and_wait, "n")

    with patch.object(virtual_time, "PATIENCE", 0.01), pytest.raises((Deadlock, ExceptionGroup)) as caught:
        run(library, program)
    assert caught.value.__class__ is Deadlock or caught.group_contains(Deadlock)


@pytest.mark.slow  # threads are outside of virtual time
@pytest.mark.parametrize("library", LIBRARIES)
def test_threads_that_report_late_are_waited_for_each_as_long(library: Library) -> None:
    done = anyio.Event()

    async def work() -> None:
        for _ in range(8):
            await anyio.to_thread.run_sync(time.sleep, 0.1)
        done.set()

    async def program() -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await done.wait()  # where it could be told of a deadlock
        return "done"

    with patch.object(virtual_time, "PATIENCE", 0.4):
        assert run(library, program) == "done"


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

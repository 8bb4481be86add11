"""The end of a program that has left a runtime open: it is told, and nothing hangs (reliability scenario 81)."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
IN_TIME: Final = 20  # seconds; all of them end within two on a machine that is at rest

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("backend", ["trio", "asyncio"])]

HEAD: Final = """
    import sys, threading, time
    import anyio, anyio.lowlevel
    from postroom import Event, Runtime, RuntimeClosed

    backend = sys.argv[1]

    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()
"""

IN_A_DAEMON_THREAD: Final = """
    open = threading.Event()
    at_work = threading.Event()

    def in_thread(event: Event) -> None:
        at_work.set()
        time.sleep(0.2)

    async def main():
        async with Runtime() as runtime:
            await runtime.spawn(hangs, "a")
            await runtime.spawn(in_thread, "b")
            await runtime.emit("a")
            await runtime.emit("a", delay=1000)
            await runtime.emit("b")
            open.set()
            await anyio.sleep_forever()

    threading.Thread(target=anyio.run, args=(main,), kwargs={"backend": backend}, daemon=True).start()
    open.wait()
    at_work.wait()
    print("the last line")
"""

IN_A_LOOP_THAT_NOBODY_RUNS: Final = """
    async def begin():
        runtime = Runtime()
        await runtime.__aenter__()
        await runtime.spawn(hangs, "a")
        return runtime, await runtime.emit("a")

    if backend == "asyncio":
        import asyncio
        loop = asyncio.new_event_loop()
        runtime, receipt = loop.run_until_complete(begin())
    else:
        import queue, trio
        calls, begun = queue.SimpleQueue(), []

        async def main():
            begun.append(await begin())
            await trio.sleep_forever()

        trio.lowlevel.start_guest_run(main, run_sync_soon_threadsafe=calls.put, done_callback=print)
        while not begun:
            calls.get()()
        [(runtime, receipt)] = begun
"""

WITH_A_THREAD_THAT_WAITS: Final = """
    def wait():
        try:
            runtime.emit_from_thread("a").wait()
        except RuntimeClosed as error:
            print(error)

    threading.Thread(target=wait).start()
"""


def end_of(program: str, backend: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, with every warning shown."""
    paths = os.pathsep.join(str(ROOT / name) for name in ("runtime", "actors"))
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", dedent(program), backend],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=IN_TIME,
        check=True,
    )


def test_81_a_program_that_ends_with_a_runtime_open_in_a_daemon_thread_says_so_and_ends(backend: str) -> None:
    ended = end_of(HEAD + IN_A_DAEMON_THREAD, backend)
    assert ended.stdout == "the last line\n"
    assert (
        "ResourceWarning: the program ends with a postroom runtime open and 3 of its deliveries not settled"
        in ended.stderr
    )


def test_81_so_does_one_that_has_left_its_event_loop_with_a_runtime_open(backend: str) -> None:
    ended = end_of(HEAD + IN_A_LOOP_THAT_NOBODY_RUNS, backend)
    assert (
        "ResourceWarning: the program ends with a postroom runtime open and 1 of its deliveries not settled"
        in ended.stderr
    )


def test_81_a_thread_that_waits_for_a_loop_that_nobody_runs_does_not_hold_up_the_end(backend: str) -> None:
    ended = end_of(HEAD + IN_A_LOOP_THAT_NOBODY_RUNS + WITH_A_THREAD_THAT_WAITS, backend)
    assert "orphaned" in ended.stdout
    assert "ResourceWarning" in ended.stderr


def test_81_a_program_whose_runtimes_are_closed_ends_without_a_word(backend: str) -> None:
    program = (
        HEAD
        + """
    async def main():
        async with Runtime(drain_within=0) as runtime:
            await runtime.spawn(hangs, "a")
            await runtime.emit("a")
        async with Runtime() as other:
            pass
        return runtime, other

    runtimes = anyio.run(main, backend=backend)
    """
    )
    ended = end_of(program, backend)
    assert (ended.stdout, ended.stderr) == ("", "")

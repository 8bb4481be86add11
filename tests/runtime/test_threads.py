"""The edge of the loop: emitting from other threads (promise 10; reliability scenarios 32 and 33)."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import anyio
import anyio.to_thread
import pytest
import trio

from postroom import (
    Context,
    EmitInterrupted,
    Event,
    Failed,
    ForkedProcess,
    InvalidName,
    NoSubscriber,
    NotFromHere,
    Report,
    Runtime,
    RuntimeClosed,
    ThreadReceipt,
    WouldDeadlock,
    WrongBackend,
    WrongThread,
    subscriber,
)

# Real time: a thread is outside of any virtual clock. Nothing sleeps; who waits is woken.
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["trio", "asyncio"])]


@subscriber("double")
async def double(event: Event) -> int:
    return int(event.data) * 2


async def test_an_emit_from_a_thread_is_handled_and_its_receipt_waits(anyio_backend: str) -> None:
    async with Runtime(subscribers=[double]) as runtime:
        receipt = await anyio.to_thread.run_sync(lambda: runtime.emit_from_thread("double", 21))
        report = await anyio.to_thread.run_sync(receipt.wait)

    assert isinstance(receipt, ThreadReceipt)
    assert report.of("double").value == 42  # type: ignore[union-attr]
    assert receipt.wait() == report


async def test_many_threads_emit_and_each_gets_its_own_answer(anyio_backend: str) -> None:
    def ask(number: int) -> Report:
        return runtime.emit_from_thread("double", number).wait(10)

    async with Runtime(subscribers=[double]) as runtime:
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(ask, number) for number in range(200)]
            await anyio.to_thread.run_sync(lambda: [future.result(10) for future in futures])

    answers = [future.result().of("double").value for future in futures]  # type: ignore[union-attr]
    assert answers == [2 * number for number in range(200)]


async def test_an_emit_from_a_thread_blocks_while_the_mailbox_is_full(anyio_backend: str) -> None:
    go_on = anyio.Event()
    accepted = threading.Event()

    @subscriber("n", capacity=1)
    async def slow(event: Event) -> None:
        await go_on.wait()

    def emit() -> None:
        runtime.emit_from_thread("n", 3)
        accepted.set()

    async with Runtime(subscribers=[slow]) as runtime, anyio.create_task_group() as tasks:
        await runtime.emit("n", 1)
        await anyio.wait_all_tasks_blocked()
        await runtime.emit("n", 2)
        tasks.start_soon(anyio.to_thread.run_sync, emit)
        while not runtime.subscriptions["slow"].stats.in_line:
            await anyio.sleep(0.001)
        before = accepted.is_set()
        go_on.set()

    assert not before
    assert accepted.is_set()


async def test_errors_of_an_emit_come_out_in_the_thread(anyio_backend: str) -> None:
    def emit() -> None:
        with pytest.raises(InvalidName):
            runtime.emit_from_thread("no name")
        with pytest.raises(NoSubscriber):
            runtime.emit_from_thread("nobody.there", require=True)

    async with Runtime() as runtime:
        await anyio.to_thread.run_sync(emit)
        assert runtime.stats.accepted == 0


async def test_a_wait_in_a_thread_that_takes_too_long_raises_and_the_event_goes_on(anyio_backend: str) -> None:
    go_on = anyio.Event()

    @subscriber("n")
    async def slow(event: Event) -> str:
        await go_on.wait()
        return "done"

    def too_soon() -> None:
        with pytest.raises(TimeoutError, match="has not settled within"):
            receipt.wait(0.001)

    async with Runtime(subscribers=[slow]) as runtime:
        receipt = await anyio.to_thread.run_sync(lambda: runtime.emit_from_thread("n"))
        await anyio.to_thread.run_sync(too_soon)
        go_on.set()
        assert (await anyio.to_thread.run_sync(receipt.wait)).succeeded


async def test_a_thread_that_waits_gets_its_report_when_the_runtime_closes(anyio_backend: str) -> None:
    @subscriber("n")
    async def hang(event: Event) -> None:
        await anyio.sleep_forever()

    reports: list[Report] = []
    receipt: ThreadReceipt | None = None

    def wait() -> None:
        assert receipt is not None
        reports.append(receipt.wait(10))

    async with Runtime(subscribers=[hang], drain_within=0) as runtime:
        receipt = await anyio.to_thread.run_sync(lambda: runtime.emit_from_thread("n"))
        thread = threading.Thread(target=wait)
        thread.start()
    await anyio.to_thread.run_sync(thread.join)

    assert [type(outcome).__name__ for report in reports for outcome in report.outcomes] == ["Cancelled"]


async def test_32_an_emit_in_a_foreign_thread_is_refused_and_names_the_right_call(anyio_backend: str) -> None:
    def emit() -> None:
        with pytest.raises(WrongThread, match="emit_from_thread"):
            runtime.emit_nowait("double", 1)

    async with Runtime(subscribers=[double]) as runtime:
        await anyio.to_thread.run_sync(emit)
        assert runtime.stats.accepted == 0


async def test_emit_from_thread_and_wait_are_refused_in_the_thread_of_the_loop(anyio_backend: str) -> None:
    async with Runtime(subscribers=[double]) as runtime:
        with pytest.raises(NotFromHere, match="await"):
            runtime.emit_from_thread("double", 1)
        receipt = await anyio.to_thread.run_sync(lambda: runtime.emit_from_thread("double", 1))
        with pytest.raises(NotFromHere):
            receipt.wait()


async def test_emit_from_thread_is_refused_before_and_after_the_block(anyio_backend: str) -> None:
    runtime = Runtime(subscribers=[double])

    def emit() -> None:
        with pytest.raises(RuntimeClosed):
            runtime.emit_from_thread("double", 1)

    await anyio.to_thread.run_sync(emit)
    async with runtime:
        pass
    await anyio.to_thread.run_sync(emit)
    emit()


async def test_a_plain_function_that_handles_an_event_causes_what_it_emits(anyio_backend: str) -> None:
    seen: list[Event] = []

    @subscriber("ask")
    def ask(event: Event) -> None:
        runtime.emit_from_thread("answer").wait(10)

    @subscriber("answer")
    async def answer(event: Event) -> None:
        seen.append(event)

    async with Runtime(subscribers=[ask, answer]) as runtime:
        receipt = await runtime.emit("ask")
        assert (await receipt).succeeded

    assert seen[0].cause == receipt.id


async def test_a_plain_function_that_would_wait_for_itself_is_told_so(anyio_backend: str) -> None:
    @subscriber("again", capacity=1)
    def again(event: Event) -> None:
        if event.data == "wait":
            runtime.emit_from_thread("again").wait(10)
        if event.data == "fill":
            runtime.emit_from_thread("again")
            runtime.emit_from_thread("again")

    async with Runtime(subscribers=[again]) as runtime:
        outcomes = [(await runtime.emit_and_wait("again", how)).of("again") for how in ("wait", "fill")]

    assert [type(outcome.exception) for outcome in outcomes if isinstance(outcome, Failed)] == [WouldDeadlock] * 2


async def test_33_an_emit_in_the_middle_of_another_one_is_refused_and_breaks_nothing(anyio_backend: str) -> None:
    errors: list[Exception] = []

    def interrupt(frame: FrameType, kind: str, _argument: object) -> None:
        if kind == "call" and frame.f_code.co_name == "offer":  # where a signal may arrive as well as anywhere
            sys.setprofile(None)
            try:
                runtime.emit_nowait("double", 2)
            except EmitInterrupted as error:
                errors.append(error)

    async with Runtime(subscribers=[double]) as runtime:
        sys.setprofile(interrupt)
        receipt = await runtime.emit("double", 1)
        report = await receipt
        assert runtime.stats.deliveries == 1

    assert report.succeeded
    assert "anyio.open_signal_receiver" in str(errors[0])


async def test_33_an_emit_where_no_loop_runs_is_refused(anyio_backend: str) -> None:
    runtime = Runtime(subscribers=[double])
    with pytest.raises(RuntimeClosed):
        runtime.emit_nowait("double", 1)
    async with runtime:
        pass
    with pytest.raises(RuntimeClosed):
        runtime.emit_nowait("double", 1)


def _in_a_child(check: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            check()
        except BaseException:  # the child must end here, whatever comes: it is a copy of the whole test run
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
async def test_77_after_a_fork_the_child_is_refused_and_the_parent_goes_on(anyio_backend: str) -> None:
    def check() -> None:
        with pytest.raises(ForkedProcess, match="start it with `spawn` instead of `fork`"):
            runtime.emit_nowait("double", 1)
        with pytest.raises(ForkedProcess):
            runtime.emit_from_thread("double", 1)

    async with Runtime(subscribers=[double]) as runtime:
        assert _in_a_child(check) == 0
        assert (await runtime.emit_and_wait("double", 1)).succeeded


async def test_80_a_runtime_is_refused_by_name_in_another_loop(anyio_backend: str) -> None:
    other, run = {"trio": ("asyncio", asyncio.run), "asyncio": ("trio", trio.run)}[anyio_backend]

    async def use() -> None:
        with pytest.raises(WrongBackend, match=f"entered on {anyio_backend}, and this is {other}"):
            await receipt
        with pytest.raises(WrongBackend):
            await runtime.subscriptions["double"].stop()
        for _ in range(10_000):  # refused where it yields, at the latest when a slice is over
            await runtime.emit("double", 1)

    async def refused() -> None:
        with pytest.raises(WrongBackend):
            await use()

    async with Runtime(subscribers=[double]) as runtime:
        receipt = runtime.emit_nowait("double", 1)
        run(refused) if other == "trio" else run(refused())  # type: ignore[operator]


async def test_78_runtimes_live_side_by_side_and_inside_each_other(anyio_backend: str) -> None:
    @subscriber("outer")
    async def outer(event: Event, context: Context) -> int:
        async with Runtime(subscribers=[double]) as inner:
            report = await inner.emit_and_wait("double", event.data)
        return report.of("double").value  # type: ignore[union-attr, no-any-return]

    async with Runtime(subscribers=[outer]) as one, Runtime(subscribers=[double]) as two:
        assert (await one.request("outer", 2), await two.request("double", 3)) == (4, 6)

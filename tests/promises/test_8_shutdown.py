"""Promise 8: leaving drains, then cancels, then settles what is left, and leaves nothing behind."""

import asyncio
import gc
import threading

import anyio
import pytest
import trio

from postroom import Cancelled, Context, Event, Retry, Runtime, RuntimeClosed, Succeeded, constant, subscriber


def count_of_tasks(library: str) -> int:
    """How many tasks the loop has."""
    if library == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


@subscriber("slow", name="slow")
async def slow(event: Event) -> None:
    await anyio.sleep(1)


@subscriber("hangs", name="hangs", concurrency=3)
async def hangs(event: Event) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
async def test_no_task_and_no_thread_is_left(anyio_backend_name: str, error: type[Exception] | None) -> None:
    @subscriber("n", retry=Retry(attempts=2, backoff=constant(100)), timeout=50)
    async def fails(event: Event) -> None:
        raise ValueError

    tasks, threads = count_of_tasks(anyio_backend_name), threading.active_count()
    try:
        async with Runtime(subscribers=[slow, hangs, fails], drain_within=2) as runtime:
            for name in ("slow", "hangs", "hangs", "n"):
                await runtime.emit(name)
            delayed = await runtime.emit("slow", delay=1000)
            await anyio.sleep(0.5)
            assert count_of_tasks(anyio_backend_name) > tasks
            if error is not None:
                raise error
    except ZeroDivisionError:
        assert error is not None
    await anyio.wait_all_tasks_blocked()
    assert count_of_tasks(anyio_backend_name) == tasks
    assert threading.active_count() == threads
    assert runtime.stats.pending == 0
    assert isinstance(delayed.report().outcomes[0], Cancelled)


async def test_leaving_drains_in_time_and_cancels_the_rest_at_the_deadline() -> None:
    async with Runtime(subscribers=[slow, hangs], drain_within=5) as runtime:
        quick_ones = [await runtime.emit("slow") for _ in range(4)]
        late_ones = [await runtime.emit("slow") for _ in range(4)]
        hanging = await runtime.emit("hangs")
        start = anyio.current_time()
    assert anyio.current_time() - start == pytest.approx(5)
    assert all(isinstance(each.report().outcomes[0], Succeeded) for each in quick_ones)
    assert isinstance(late_ones[-1].report().outcomes[0], Cancelled)
    assert isinstance(hanging.report().outcomes[0], Cancelled)


async def test_leaving_ends_as_soon_as_all_is_settled() -> None:
    async with Runtime(subscribers=[slow], drain_within=1000) as runtime:
        await runtime.emit("slow")
        delayed = await runtime.emit("slow", delay=7)
        start = anyio.current_time()
    assert anyio.current_time() - start == pytest.approx(8)
    assert isinstance(delayed.report().outcomes[0], Succeeded)


async def test_what_handlers_emit_while_it_drains_is_drained_too() -> None:
    seen: list[int] = []

    @subscriber("chain")
    async def chain(event: Event, context: Context) -> None:
        await anyio.sleep(1)
        seen.append(event.data)
        if event.data < 3:
            await context.emit("chain", event.data + 1)

    async with Runtime(subscribers=[chain]) as runtime:
        await runtime.emit("chain", 0)
    assert seen == [0, 1, 2, 3]
    with pytest.raises(RuntimeClosed):
        await runtime.spawn(slow)


async def test_a_cancellation_from_outside_cancels_at_once_and_settles_everything() -> None:
    with anyio.move_on_after(3) as patience:
        async with Runtime(subscribers=[hangs, slow], drain_within=1000) as runtime:
            start = anyio.current_time()
            receipts = [await runtime.emit("hangs") for _ in range(10)]
            await anyio.sleep_forever()
    assert patience.cancelled_caught
    assert anyio.current_time() - start == pytest.approx(3)
    assert {type(each.report().outcomes[0]) for each in receipts} == {Cancelled}


async def test_a_cancellation_ends_the_drain() -> None:
    with anyio.move_on_after(3):
        async with Runtime(subscribers=[hangs], drain_within=1000) as runtime:
            start = anyio.current_time()
            receipt = await runtime.emit("hangs")
    assert anyio.current_time() - start == pytest.approx(3)
    assert isinstance(receipt.report().outcomes[0], Cancelled)


async def test_an_emitter_that_waits_for_room_goes_on_when_the_runtime_ends() -> None:
    went_on: list[float] = []
    ended: list[object] = []

    @subscriber("n", capacity=1)
    async def full(event: Event) -> None:
        await anyio.sleep_forever()

    async def emits(runtime: Runtime) -> None:
        ended.append(await (await runtime.emit("n", 2)))
        went_on.append(anyio.current_time() - start)

    async with anyio.create_task_group() as tasks:
        async with Runtime(subscribers=[full], drain_within=5) as runtime:
            for number in range(2):
                await runtime.emit("n", number)
                await anyio.sleep(1)
            tasks.start_soon(emits, runtime)
            await anyio.sleep(1)
            start = anyio.current_time()
        await anyio.sleep(1)
    assert went_on == pytest.approx([5])
    assert len(ended) == 1


async def test_a_runtime_that_was_left_holds_on_to_nothing_that_warns() -> None:
    async with Runtime(subscribers=[slow]) as runtime:
        await runtime.emit("slow", delay=100)
    del runtime
    gc.collect()  # warnings are errors here

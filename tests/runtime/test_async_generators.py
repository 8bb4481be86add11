"""Async generators that handlers leave: closed in the handler's own task, whatever they hold open."""

import gc
import sys
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from postroom import (
    Actor,
    Batch,
    Context,
    Event,
    Failed,
    InvalidHandler,
    Runtime,
    Succeeded,
    on,
    subscriber,
)
from tests.promises.quick import LIBRARIES, Library, run

pytestmark = pytest.mark.anyio


class Feed:
    """An endless stream that holds a task group and a scope open, and tells whether its own task has closed it."""

    def __init__(self, error: Exception | None = None, told: list[str] | None = None, name: str = "") -> None:
        self.error, self.told, self.name = error, [] if told is None else told, name
        self.closed: list[bool] = []

    async def items(self) -> AsyncGenerator[int, None]:
        begun = anyio.get_current_task().id
        number = 0
        try:
            with anyio.CancelScope():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(anyio.sleep_forever)
                    while True:
                        number += 1
                        yield number
        finally:
            self.closed.append(anyio.get_current_task().id == begun)
            self.told.append(self.name)
            if self.error is not None:
                raise self.error


def test_14_a_handler_that_is_an_async_generator_is_refused() -> None:
    async def stream(event: Event) -> AsyncGenerator[int, None]:
        yield 1

    with pytest.raises(InvalidHandler, match="generator"):
        subscriber("n")(stream)


@pytest.mark.parametrize("limit", [None, 30.0])
@pytest.mark.parametrize("batch", [None, Batch(size=1, within=0)])
@pytest.mark.parametrize("fails", [False, True])
async def test_14_a_generator_that_a_handler_leaves_is_closed_in_its_task_and_harms_nobody(
    limit: float | None, batch: Batch | None, fails: bool
) -> None:
    feed = Feed()

    @subscriber("n", timeout=limit, batch=batch)
    async def leaves(event: Any) -> None:
        items = feed.items()  # kept by the frame, and so by the traceback of what is raised
        async for _ in items:
            if fails:
                raise LookupError
            break

    @subscriber("n")
    async def other(event: Event) -> str:
        await anyio.sleep(1)
        return "done"

    async with Runtime(subscribers=[leaves, other]) as runtime:
        reports = [await runtime.emit_and_wait("n") for _ in range(2)]
    assert [type(report.of("leaves")) for report in reports] == [Failed if fails else Succeeded] * 2
    assert [type(report.of("other")) for report in reports] == [Succeeded] * 2
    assert feed.closed == [True, True]


async def test_14_a_generator_around_which_an_interceptor_has_a_scope_is_closed_inside_of_it() -> None:
    feed = Feed()

    async def within(context: Context, call_next: Any) -> object:
        with anyio.fail_after(5):
            return await call_next()

    @subscriber("n")
    async def leaves(event: Event) -> int:
        async for number in feed.items():
            return number
        raise AssertionError("it has no end")

    async with Runtime(subscribers=[leaves], interceptors=[within]) as runtime:
        assert await runtime.request("n") == 1
    assert feed.closed == [True]


async def test_14_an_actor_may_leave_generators_wherever_it_runs_and_keep_one_from_event_to_event() -> None:
    feed = Feed()

    class Clerk(Actor):
        async def started(self) -> None:
            self.numbers = self.count()
            await self.leave()

        async def stopped(self) -> None:
            await self.numbers.aclose()
            await self.leave()

        async def count(self) -> AsyncGenerator[int, None]:
            number = 0
            while True:
                number += 1
                yield number

        async def leave(self) -> None:
            async for _ in feed.items():
                break

        @on("n")
        async def handle(self, event: Event) -> int:
            await self.leave()
            return await anext(self.numbers)

    async with Runtime(subscribers=[Clerk]) as runtime:
        assert [await runtime.request("n") for _ in range(3)] == [1, 2, 3]
    assert feed.closed == [True] * 5


async def test_14_several_are_closed_the_newest_first_also_where_closing_one_fails() -> None:
    told: list[str] = []
    feeds = [Feed(told=told, name="a"), Feed(KeyError("closing"), told, "b"), Feed(told=told, name="c")]

    @subscriber("n")
    async def leaves(event: Event) -> None:
        held = [feed.items() for feed in feeds]
        for each in held:
            await anext(each)

    async with Runtime(subscribers=[leaves]) as runtime:
        outcome = (await runtime.emit_and_wait("n")).outcomes[0]
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, KeyError)
    assert [feed.closed for feed in feeds] == [[True]] * 3
    assert told == ["c", "b", "a"]


async def test_14_a_failure_comes_before_what_closing_raises() -> None:
    feed = Feed(KeyError("closing"))

    @subscriber("n")
    async def leaves(event: Event) -> None:
        async for _ in feed.items():
            raise LookupError("first")

    async with Runtime(subscribers=[leaves]) as runtime:
        outcome = (await runtime.emit_and_wait("n")).outcomes[0]
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, LookupError)
    assert outcome.exception.__notes__ == ["closing an async generator that it had left raised KeyError"]


async def test_14_a_handler_that_is_cancelled_closes_its_generators_and_the_stop_goes_on() -> None:
    feed = Feed()

    @subscriber("n")
    async def waits(event: Event) -> None:
        items = feed.items()
        async for _ in items:
            await anyio.sleep_forever()

    async with Runtime(subscribers=[waits]) as runtime:
        receipt = await runtime.emit("n")
        await anyio.sleep(1)
        await runtime.subscriptions["waits"].stop(drain=False)
        assert type((await receipt).outcomes[0]).__name__ == "Cancelled"
    assert feed.closed == [True]


@pytest.mark.filterwarnings("ignore:Async generator")  # trio tells of them
async def test_14_generators_of_others_are_left_to_the_loop() -> None:
    closed_in: list[int] = []

    async def count() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            closed_in.append(anyio.get_current_task().id)

    async with Runtime():
        async for _ in count():  # in no handler
            break
        gc.collect()
        await anyio.sleep(1)
    assert len(closed_in) == 1
    assert closed_in[0] != anyio.get_current_task().id


@pytest.mark.parametrize("library", LIBRARIES)
def test_14_the_hooks_of_the_loop_are_there_again_after_the_last_of_overlapping_runtimes(library: Library) -> None:
    async def program() -> None:
        before = sys.get_asyncgen_hooks()
        first, second = Runtime(), Runtime()
        await first.__aenter__()
        hooks = sys.get_asyncgen_hooks()
        await second.__aenter__()
        assert sys.get_asyncgen_hooks() == hooks
        assert hooks != before
        await second.__aexit__(None, None, None)
        assert sys.get_asyncgen_hooks() == hooks
        await first.__aexit__(None, None, None)
        assert sys.get_asyncgen_hooks() == before

    run(library, program)


async def test_an_interrupt_in_a_generator_that_a_failed_handler_leaves_ends_the_runtime() -> None:
    async def stream() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            raise SystemExit(3)

    async def leaves(event: Event) -> None:
        async for _ in stream():
            raise LookupError

    with pytest.raises(SystemExit):
        async with Runtime() as runtime:
            await runtime.spawn(leaves, "n")
            await runtime.emit("n")
            await anyio.sleep(10)


@pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")  # trio's own
@pytest.mark.parametrize("anyio_backend", ["trio", "asyncio"])  # real time: a virtual clock knows of no thread
async def test_a_generator_that_a_worker_thread_lets_go_of_is_closed_by_the_loop(anyio_backend: str) -> None:
    closed = anyio.Event()
    held: list[AsyncGenerator[int, None]] = []

    async def stream() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            closed.set()

    async def lends(event: Event) -> None:
        held.append(stream())
        await held[0].__anext__()
        await anyio.to_thread.run_sync(held.clear)

    async with Runtime() as runtime:
        await runtime.spawn(lends, "n")
        assert (await runtime.emit_and_wait("n")).succeeded
        with anyio.fail_after(10):
            await closed.wait()

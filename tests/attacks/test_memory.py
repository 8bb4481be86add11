"""What has failed is let go: nothing of a delivery outlives its dead letter and its receipt."""

import asyncio
import gc
import weakref
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest
import trio

from postroom import Batch, BatchFailure, Context, Event, Retry, Runtime, constant
from postroom.testing import virtual_backend

pytestmark = pytest.mark.anyio


class Data:
    """A payload that can be watched."""


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("limit", [None, 5.0])
async def test_nothing_is_left_of_a_delivery_that_failed(attempts: int, limit: float | None) -> None:
    async def work(event: Event, context: Context) -> None:
        await anyio.sleep(0.1)
        raise ValueError

    alive: weakref.WeakSet[Data] = weakref.WeakSet()
    async with Runtime(dead_letter_limit=1) as runtime:
        retry = Retry(attempts=attempts, backoff=constant(0))
        await runtime.spawn(work, "n", retry=retry, timeout=limit, quiet=True)
        for _ in range(20):
            data = Data()
            alive.add(data)
            await runtime.emit_and_wait("n", data)
        del data
        gc.collect()
        assert len(alive) <= 2, "the newest is a dead letter"


async def test_nothing_is_left_of_a_batch_that_failed() -> None:
    async def work(events: list[Event], context: Context) -> None:
        raise ValueError

    alive: weakref.WeakSet[Data] = weakref.WeakSet()
    async with Runtime(dead_letter_limit=1) as runtime:
        await runtime.spawn(work, "n", batch=Batch(size=2), quiet=True)
        for _ in range(20):
            data = Data()
            alive.add(data)
            await runtime.emit_and_wait("n", data)
        del data
        gc.collect()
        assert len(alive) <= 2


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("batch", [None, Batch(size=2)])
async def test_nothing_is_left_of_a_runtime_whose_dead_letters_remember_its_tasks(
    batch: Batch | None, portable: bool
) -> None:
    async def work(events: Any, context: Context) -> None:
        event = events[-1] if batch else events
        if event.data == "fails":
            raise BatchFailure({event.id: ValueError()}) if batch else ValueError

    async def run() -> "weakref.ref[Runtime]":
        async with Runtime(portable=portable) as runtime:
            await runtime.spawn(work, "n", batch=batch, quiet=True)
            await runtime.emit_many([Event("n", "succeeds"), Event("n", "fails")])
            await runtime.emit("n", "the last one succeeds")
        assert runtime.dead_letters.total == 1
        return weakref.ref(runtime)

    gone = await run()
    await anyio.lowlevel.checkpoint()
    gc.collect()
    assert gone() is None


class Observer(trio.abc.Instrument):
    """Knows a runtime, and is known to the event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """As asyncio's handlers of errors."""


@pytest.mark.parametrize("library", ["trio", "asyncio"])
def test_nothing_is_left_of_a_runtime_that_the_event_loop_knew_and_that_was_opened_beside_another_one(
    library: Literal["trio", "asyncio"],
) -> None:
    async def run() -> "list[weakref.ref[Runtime]]":
        first, second = Runtime(), Runtime()
        observer = Observer(second)
        if library == "trio":
            trio.lowlevel.add_instrument(observer)
        else:
            asyncio.get_running_loop().set_exception_handler(observer)
        async with first, second:
            return [weakref.ref(first), weakref.ref(second)]

    backend, options = virtual_backend(library)
    alive = anyio.run(run, backend=backend, backend_options=options)
    gc.collect()
    assert [each() for each in alive] == [None, None]

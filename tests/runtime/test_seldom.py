"""Small promises of the core that no scenario comes by."""

import time
from collections.abc import Callable

import anyio
import pytest
import svcs

from postroom import Actor, Context, Event, Runtime, ServicesClosed, Supervision, on, subscriber
from postroom.capabilities import Unsupported
from postroom.observe.cloudevents import from_http, to_http
from postroom.solo import SoloStore

pytestmark = pytest.mark.anyio


async def test_a_runtime_that_was_not_open_when_its_process_forked_can_be_opened_in_the_child() -> None:
    async def work(event: Event) -> str:
        return "done"

    runtime = Runtime()
    runtime.forked()
    async with runtime:
        await runtime.spawn(work, "n")
        assert (await runtime.emit_and_wait("n")).succeeded


async def test_a_store_for_one_process_refuses_to_stage_where_it_has_no_groups() -> None:
    store = SoloStore("notebook")
    with pytest.raises(Unsupported, match="`group`"):
        await store.stage("g", [], None)
    with pytest.raises(Unsupported, match="`group`"):
        await store.release(1, "g")
    with pytest.raises(Unsupported, match="`group`"):
        await store.clear("g", None, "no reason")
    with pytest.raises(Unsupported, match="`group`"):
        await store.groups(10)


def test_an_event_without_data_is_a_message_without_a_body() -> None:
    headers, body = to_http(Event("order.placed", None, id="1", time=0.0), source="/shop", mode="binary")
    assert body == b""
    assert "content-type" not in headers
    assert from_http(headers, body).data is None


async def test_a_service_that_waits_to_be_made_is_refused_once_its_attempt_has_ended() -> None:
    told: list[object] = []

    class Stock: ...

    async def make() -> Stock:
        await anyio.sleep(5)
        return Stock()

    async def get(context: Context) -> None:
        try:
            told.append(type(await context.get(Stock)))
        except ServicesClosed as error:
            told.append(type(error))

    registry = svcs.Registry()
    registry.register_factory(Stock, make)
    async with anyio.create_task_group() as others:

        async def work(event: Event, context: Context) -> None:
            others.start_soon(get, context)
            others.start_soon(get, context)
            await anyio.sleep(1)

        async with Runtime(services=registry) as runtime:
            await runtime.spawn(work, "n")
            await runtime.emit_and_wait("n")
            await anyio.sleep(10)
    assert told == [Stock, ServicesClosed]


async def test_a_task_that_outlives_its_attempt_gets_no_service() -> None:
    told: list[ServicesClosed] = []

    async def later(context: Context) -> None:
        await anyio.sleep(10)
        with pytest.raises(ServicesClosed) as caught:
            await context.get(Runtime)
        told.append(caught.value)

    async with anyio.create_task_group() as others:

        async def work(event: Event, context: Context) -> None:
            await context.get(Runtime)
            others.start_soon(later, context)

        async with Runtime() as runtime:
            await runtime.spawn(work, "n")
            await runtime.emit_and_wait("n")
            await anyio.sleep(20)
    assert len(told) == 1


async def test_a_function_of_an_actor_waits_until_an_instance_has_started_however_many_have_not() -> None:
    starts: list[int] = []
    handled: list[int] = []

    class Till(Actor):
        async def started(self) -> None:
            starts.append(len(starts))
            if 1 <= len(starts) - 1 <= 2:
                await anyio.sleep(1)
                raise ConnectionError("not yet")
            await self.spawn(count, "coin", name="count")

        @on("jam")
        async def jam(self, event: Event) -> None:
            raise ConnectionError("jammed")

    async def count(event: Event) -> None:
        handled.append(event.data)

    till = subscriber(supervision=Supervision(default="restart"))(Till)
    async with Runtime(subscribers=[till]) as runtime:
        await anyio.sleep(1)
        await runtime.emit_and_wait("coin", 1)
        await runtime.emit_and_wait("jam")
        receipt = await runtime.emit("coin", 2)
        with anyio.fail_after(60):
            assert (await receipt).succeeded
    assert starts == [0, 1, 2, 3]
    assert handled == [1, 2]


async def until(condition: Callable[[], object]) -> None:
    """Wait for a thread, which virtual time does not wait for."""
    ends_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.001)  # noqa: ASYNC251 - or virtual time would go by far too fast
        await anyio.sleep(0.001)


async def test_a_plain_function_waits_for_an_event_that_somebody_else_releases() -> None:
    reports: list[bool] = []
    waits: list[None] = []

    def wait(event: Event) -> None:
        receipt = runtime.emit_from_thread("staged", group="g")
        waits.append(None)
        reports.append(receipt.wait(20).succeeded)

    async def work(event: Event) -> None:
        await anyio.sleep(0.1)

    async with Runtime() as runtime:
        await runtime.spawn(wait, "n")
        await runtime.spawn(work, "staged")
        receipt = await runtime.emit("n")
        await until(lambda: waits)
        soon = time.monotonic() + 0.2
        await until(lambda: time.monotonic() > soon)  # so that it waits by now
        await runtime.release_group("g")
        await until(lambda: receipt.settled)
    assert reports == [True]

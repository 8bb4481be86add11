"""Handlers that wait for each other, and could not be told when they began: another process might have helped them.

When that process leaves or dies, nobody else looks; so the waits that have begun are looked at again.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from postroom import Context, Event, Retry, Runtime, Subscriber, Succeeded, WouldDeadlock, constant, subscriber
from postroom.codec import encode_outcome
from postroom.contract import Settlement, Step
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.reference import ReferenceModule, ReferenceStore


@asynccontextmanager
async def somebody_else(store: ReferenceStore, *served: str) -> AsyncIterator[ReferenceModule]:
    """A process that serves, and never takes up anything; it is there until it leaves or is killed."""
    module = ReferenceModule(store)
    async with module.open("somebody-else") as session:
        await session.bind([store.bindings[name] for name in served], serve=True)
        yield module


def waits_for_its_own(told: list[object]) -> Subscriber[..., Any]:
    @subscriber("n", name="work")
    async def work(event: Event, context: Context) -> None:
        if event.data != "outer":
            return
        receipt = await context.emit("n", "inner")
        try:
            told.append(await receipt)
        except WouldDeadlock as error:
            told.append(error)

    return work


@pytest.mark.parametrize("how", ["leaves", "dies"])
async def test_a_handler_that_waits_for_its_own_subscription_is_told_when_the_other_process_is_gone(how: str) -> None:
    told: list[object] = []
    work = waits_for_its_own(told)
    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        async with somebody_else(store, "work") as other:
            await anyio.sleep(1)
            await runtime.emit("n", "outer")
            await anyio.sleep(60)
            assert not told, "the other process may handle it"
            if how == "dies":
                other.kill()
        with anyio.fail_after(2 * store.lease):
            await runtime.idle()
    (error,) = told
    assert isinstance(error, WouldDeadlock)
    assert "work" in error.path


async def test_what_waits_for_those_in_a_circle_is_not_refused_itself() -> None:
    told: list[str] = []
    reports: list[bool] = []

    @subscriber("n")
    async def work(event: Event, context: Context) -> None:
        if event.data == "outer":
            try:
                await (await context.emit("n", "inner"))
            except WouldDeadlock:
                told.append("work")

    @subscriber("m")
    async def outside(event: Event, context: Context) -> None:
        reports.append((await (await context.emit("n", "plain"))).succeeded)

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[outside, work]) as runtime:
        async with somebody_else(store, "work", "outside"):
            await anyio.sleep(1)
            await runtime.emit("n", "outer")
            await runtime.emit("m")
            await anyio.sleep(5)
        with anyio.fail_after(30):
            await runtime.idle()
    assert (told, reports) == (["work"], [True])


async def until(condition: Callable[[], object]) -> None:
    """Wait for a thread, which virtual time does not wait for."""
    ends_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends_at
        await anyio.sleep(0.01)


async def test_a_plain_function_that_waits_in_its_thread_is_told_as_well() -> None:
    told: list[str] = []

    @subscriber("n")
    def work(event: Event, context: Context) -> None:
        if event.data == "outer":
            receipt = runtime.emit_from_thread("n", "inner")
            began.append(True)
            try:
                receipt.wait(timeout=20)
            except WouldDeadlock as error:
                told.append(error.path)

    began: list[bool] = []
    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        async with somebody_else(store, "work"):
            await anyio.sleep(1)
            await runtime.emit("n", "outer")
            await until(lambda: began)
            await anyio.sleep(0.1)
        await until(lambda: told and not runtime.stats.pending)
    assert len(told) == 1


async def test_a_handler_that_waits_for_room_in_its_own_backlog_is_told_when_the_other_process_is_gone() -> None:
    told: list[str] = []

    @subscriber("n", backlog=1)
    async def work(event: Event, context: Context) -> None:
        if event.data != "outer":
            return
        await context.emit("n", "first")
        try:
            await context.emit("n", "second")
        except WouldDeadlock as error:
            told.append(error.wait)

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        async with somebody_else(store, "work"):
            await anyio.sleep(1)
            await runtime.emit("n", "outer")
            await anyio.sleep(5)
            assert not told
        with anyio.fail_after(30):
            await runtime.idle()
    assert told == ["room in the backlog of work"]


@pytest.mark.parametrize("waits_for", ["room", "the outcome"])
async def test_an_idle_worker_that_gets_nothing_more_helps_nobody(waits_for: str) -> None:
    """All that the subscription may hold waits behind the key of the one that waits."""
    told: list[str] = []

    @subscriber("n", capacity=2, concurrency=2, backlog=1 if waits_for == "room" else None)
    async def work(event: Event, context: Context) -> None:
        if event.data != "outer":
            return
        try:
            for number in range(3 if waits_for == "room" else 1):
                receipt = await context.emit("n", number)
            if waits_for != "room":
                await receipt
        except WouldDeadlock as error:
            told.append(error.wait)

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        await runtime.emit_many([Event("n", "outer", key="k"), Event("n", "behind", key="k")])
        with anyio.fail_after(30):
            await runtime.idle()
    assert len(told) == 1


@pytest.mark.parametrize("waits_for", ["room", "the outcome"])
async def test_a_handler_is_told_that_only_what_waits_behind_its_key_was_fetched_since_it_began_to_wait(
    waits_for: str,
) -> None:
    told: list[str] = []
    is_behind = anyio.Event()

    @subscriber("n", capacity=2, concurrency=2, backlog=2 if waits_for == "room" else None)
    async def work(event: Event, context: Context) -> None:
        if event.data == "quick":
            await anyio.sleep(1)  # the other worker takes nothing that is behind a key, and nothing more is fetched
        if event.data != "outer":
            return
        await is_behind.wait()
        try:
            for number in range(3 if waits_for == "room" else 1):
                receipt = await context.emit("n", number)
            if waits_for != "room":
                await receipt
        except WouldDeadlock as error:
            told.append(error.wait)

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        outer, quick, behind = Event("n", "outer", key="k"), Event("n", "quick"), Event("n", "behind", key="k")
        await runtime.emit_many([outer, quick])
        await runtime.emit_many([behind])
        is_behind.set()
        with anyio.fail_after(60):
            await runtime.idle()
    assert len(told) == 1


async def test_a_handler_that_waits_in_a_later_attempt_is_told_that_nothing_more_is_fetched() -> None:
    told: list[str] = []

    @subscriber("n", capacity=2, concurrency=2, retry=Retry(attempts=2, backoff=constant(1)))
    async def work(event: Event, context: Context) -> None:
        if event.data != "outer":
            return
        if context.attempt == 1:
            raise ValueError("not yet")
        try:
            await (await context.emit("n", "inner"))
        except WouldDeadlock as error:
            told.append(error.wait)

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        await runtime.emit_many([Event("n", "outer", key="k"), *(Event("n", "behind", key="k") for _ in range(4))])
        with anyio.fail_after(60):
            await runtime.idle()
    assert len(told) == 1


@pytest.mark.parametrize("delay", [None, 10.0], ids=["begins to wait then", "waits already"])
async def test_a_handler_is_told_that_it_waits_for_its_own_subscription_which_is_being_drained(
    delay: float | None,
) -> None:
    told: list[str] = []
    go = anyio.Event()

    @subscriber("n", concurrency=2)
    async def work(event: Event, context: Context) -> None:
        if event.data != "outer":
            return
        if delay is None:
            await go.wait()
        receipt = await context.emit("n", "inner", delay=delay)
        try:
            await receipt
        except WouldDeadlock as error:
            told.append(error.wait)

    async def drain() -> None:
        await runtime.subscriptions["work"].stop()

    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        await runtime.emit("n", "outer")
        await anyio.sleep(1)
        assert not told
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(drain)
                await anyio.sleep(1)
                go.set()
    assert len(told) == 1


async def test_a_handler_may_wait_for_the_next_attempt_of_its_own_subscription_which_is_being_drained() -> None:
    reports: list[bool] = []

    @subscriber("n", concurrency=2, retry=Retry(attempts=2, backoff=constant(5)))
    async def work(event: Event, context: Context) -> None:
        if event.data == "outer":
            reports.append((await (await context.emit("n", "inner"))).succeeded)
        elif context.attempt == 1:
            raise ValueError

    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        await runtime.emit("n", "outer")
        await anyio.sleep(1)
        with anyio.fail_after(60):
            await runtime.subscriptions["work"].stop()
    assert reports == [True]


async def test_an_emit_that_waited_for_room_and_is_on_its_way_again_is_not_refused() -> None:
    handled: list[object] = []

    @subscriber("n", backlog=1)
    async def work(event: Event, context: Context) -> None:
        if event.data == "outer":
            await context.emit("n", "first")
            await context.emit("n", "second")
        handled.append(event.data)

    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store), slowness=2.0)
    async with Runtime(module=module, subscribers=[work]) as runtime:
        async with ReferenceModule(store).open("somebody-else") as session:
            await session.bind([store.bindings["work"]], serve=True)
            await anyio.sleep(1)
            await runtime.emit("n", "outer")
            await anyio.sleep(5)
            module.plan = lambda number, call: Fault.SLOW if call == "publish" else None
            (first,) = (await session.fetch({"work": 1})).loans
            outcome = encode_outcome(Succeeded("work", None, 1, 0.0))
            await session.settle(1, [Settlement(first.token, Step.SETTLED, outcome)])
            await anyio.sleep(3)  # the second one was accepted, and the answer is on its way
        with anyio.fail_after(60):
            await runtime.idle()
    assert handled == ["outer", "second"]


async def test_a_handler_is_told_though_the_outcome_of_another_subscription_was_on_its_way_then() -> None:
    told: list[str] = []
    go = anyio.Event()

    @subscriber("n", concurrency=2)
    async def work(event: Event, context: Context) -> None:
        if event.data != "outer":
            return
        await go.wait()
        receipt = await context.emit("n", "inner")
        module.plan = lambda number, call: Fault.SLOW if call == "settle" else None
        await context.emit("m")
        await anyio.sleep(1)  # its outcome is on its way into the store
        try:
            await receipt
        except WouldDeadlock as error:
            told.append(error.wait)

    @subscriber("m")
    async def other(event: Event) -> None: ...

    module = FaultyModule(ReferenceModule(), slowness=2.0)
    async with Runtime(module=module, subscribers=[work, other]) as runtime:
        await runtime.emit("n", "outer")
        await anyio.sleep(1)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(runtime.subscriptions["work"].stop)
                await anyio.sleep(1)
                go.set()
    assert len(told) == 1


async def test_the_wait_of_a_worker_outlives_an_emit_that_it_has_given_up() -> None:
    errors: list[str] = []
    free = anyio.Event()

    @subscriber("c", backlog=1)
    async def c(event: Event) -> None:
        if event.data == "first":
            await free.wait()

    @subscriber("a", capacity=1)
    async def a(event: Event, context: Context) -> None:
        if event.data != "first":
            return
        await anyio.sleep(5)
        with anyio.move_on_after(1):
            await context.emit("c", "more")  # cancelled on its way; then there is no room
        module.plan = lambda number, call: None
        try:
            await (await context.emit("b", "first"))
        except WouldDeadlock:
            errors.append("a")

    @subscriber("b", capacity=1)
    async def b(event: Event, context: Context) -> None:
        receipt = await context.emit("a", "second")
        free.set()  # there is room, and that event is on its way again
        await anyio.sleep(5)
        try:
            await receipt
        except WouldDeadlock:
            errors.append("b")

    module = FaultyModule(ReferenceModule(), slowness=2.0)
    async with Runtime(module=module, subscribers=[a, b, c]) as runtime:
        await runtime.emit("c", "first")
        await anyio.sleep(1)
        await runtime.emit("c", "second")
        await runtime.stored_subscriptions()
        await anyio.sleep(1)
        module.plan = lambda number, call: Fault.SLOW if call == "publish" else None
        await runtime.emit("a", "first")
        with anyio.fail_after(1000):
            await runtime.idle()
    assert errors

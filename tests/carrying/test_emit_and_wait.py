"""`emit_and_wait` on a store: outside of handlers one wait, from the emit until all have settled."""

import anyio
import pytest

from postroom import (
    ConflictingEvent,
    Event,
    NoSubscriber,
    Report,
    Runtime,
    RuntimeClosed,
    Succeeded,
    WouldDeadlock,
    subscriber,
)
from postroom.testing.reference import ReferenceModule


def values_of(report: Report) -> list[object]:
    return [each.value for each in report.outcomes if isinstance(each, Succeeded)]


async def test_two_who_emit_the_same_event_have_the_same_report() -> None:
    reports: list[Report] = []

    @subscriber("n")
    async def clerk(event: Event) -> int:
        await anyio.sleep(10)
        return 7

    async def emit() -> None:
        reports.append(await runtime.emit_and_wait("n", id="nightly"))

    async with Runtime(module=ReferenceModule(), subscribers=[clerk]) as runtime:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(emit)
                tasks.start_soon(emit)
                await anyio.sleep(5)
                tasks.start_soon(emit)
            await emit()
    assert [values_of(each) for each in reports] == [[7]] * 4


async def test_an_event_that_nobody_subscribes_to_is_over_at_once() -> None:
    async with Runtime(module=ReferenceModule()) as runtime:
        with anyio.fail_after(10):
            assert (await runtime.emit_and_wait("n")).outcomes == ()


async def test_what_the_store_refuses_is_raised() -> None:
    async with Runtime(module=ReferenceModule()) as runtime:
        with anyio.fail_after(10):
            with pytest.raises(NoSubscriber):
                await runtime.emit_and_wait("n", require=True)
            await runtime.emit_and_wait("n", 1, id="one")
            with pytest.raises(ConflictingEvent):
                await runtime.emit_and_wait("n", 2, id="one")


async def test_one_that_waits_for_room_is_withdrawn_where_it_is_cancelled_and_one_that_got_in_is_not() -> None:
    handled: list[object] = []

    @subscriber("n", backlog=1)
    async def clerk(event: Event) -> None:
        await anyio.sleep(100)
        handled.append(event.data)

    async with Runtime(module=ReferenceModule(), subscribers=[clerk]) as runtime:
        await runtime.subscriptions["clerk"].pause()
        with anyio.move_on_after(1):
            await runtime.emit_and_wait("n", "got in")
        with anyio.move_on_after(1):
            await runtime.emit_and_wait("n", "waited")
        await runtime.subscriptions["clerk"].resume()
        await anyio.sleep(1000)
    assert handled == ["got in"]


async def test_one_that_is_on_its_way_as_the_runtime_ends_is_told() -> None:
    @subscriber("n", backlog=1)
    async def clerk(event: Event) -> None: ...

    raised: list[RuntimeClosed] = []

    async def emit(runtime: Runtime) -> None:
        try:
            await runtime.emit_and_wait("n")
        except RuntimeClosed as error:
            raised.append(error)

    async with (
        anyio.create_task_group() as tasks,
        Runtime(module=ReferenceModule(), subscribers=[clerk], drain_within=1) as runtime,
    ):
        await runtime.subscriptions["clerk"].pause()
        for _ in range(3):
            tasks.start_soon(emit, runtime)
        await anyio.sleep(1)
    assert [type(each) for each in raised] == [RuntimeClosed] * 3


async def test_a_handler_waits_for_others_and_not_for_itself() -> None:
    @subscriber("other")
    async def other(event: Event) -> int:
        return 7

    @subscriber("n")
    async def clerk(event: Event) -> list[object]:
        if event.data == "its own":
            return []
        with pytest.raises(WouldDeadlock):
            await runtime.emit_and_wait("n", "its own")
        return values_of(await runtime.emit_and_wait("other"))

    async with Runtime(module=ReferenceModule(), subscribers=[clerk, other]) as runtime:
        with anyio.fail_after(60):
            assert values_of(await runtime.emit_and_wait("n")) == [[7]]

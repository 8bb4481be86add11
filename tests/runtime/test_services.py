"""Services: what a handler asks its context for, made once for each delivery, and closed after it."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import anyio
import pytest
import svcs

from postroom import (
    Actor,
    Batch,
    Context,
    Event,
    EventModule,
    Events,
    InvalidOption,
    Local,
    Runtime,
    ServicesClosed,
    UnknownService,
    on,
    subscriber,
)


class Till:
    pass


class Drawer:
    pass


def registry_of(log: list[str]) -> svcs.Registry:
    async def open_till() -> AsyncIterator[Till]:
        await anyio.sleep(1)
        log.append("opened")
        yield Till()
        await anyio.sleep(1)
        log.append("closed")

    registry = svcs.Registry()
    registry.register_factory(Till, open_till)
    return registry


async def test_a_service_is_made_once_for_a_delivery_and_closed_after_it() -> None:
    log: list[str] = []
    seen: list[Till] = []

    @subscriber("sold")
    async def book(event: Event, context: Context) -> None:
        seen.extend([await context.get(Till), await context.get(Till)])
        log.append("handled")

    async with Runtime(subscribers=[book], services=registry_of(log)) as runtime:
        await runtime.emit_and_wait("sold")
        await runtime.emit_and_wait("sold")
    assert log == ["opened", "handled", "closed"] * 2
    assert seen[0] is seen[1]
    assert seen[1] is not seen[2]


async def test_a_service_is_made_once_for_tasks_that_ask_side_by_side() -> None:
    log: list[str] = []

    @subscriber("sold")
    async def book(event: Event, context: Context) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.get, Till)
            tasks.start_soon(context.get, Till)

    async with Runtime(subscribers=[book], services=registry_of(log)) as runtime:
        (await runtime.emit_and_wait("sold")).raise_for_failures()
    assert log == ["opened", "closed"]


async def test_an_interceptor_and_the_handler_share_a_scope() -> None:
    log: list[str] = []
    seen: list[Till] = []

    async def watch(context: Context, call_next: Callable[[], Awaitable[object]]) -> object:
        seen.append(await context.get(Till))
        return await call_next()

    @subscriber("sold")
    async def book(event: Event, context: Context) -> None:
        seen.append(await context.get(Till))

    async with Runtime(subscribers=[book], services=registry_of(log), interceptors=[watch]) as runtime:
        (await runtime.emit_and_wait("sold")).raise_for_failures()
    assert seen[0] is seen[1]
    assert log == ["opened", "closed"]


async def test_methods_of_actors_and_handlers_of_batches_have_scopes_too() -> None:
    log: list[str] = []

    class Clerk(Actor):
        @on("sold")
        async def book(self, event: Event, context: Context) -> None:
            await context.get(Till)

    @subscriber("sold", batch=Batch(size=2, within=1))
    async def count(events: list[Event], context: Context) -> None:
        await context.get(Till)

    async with Runtime(subscribers=[Clerk, count], services=registry_of(log)) as runtime:
        (await runtime.emit_and_wait("sold")).raise_for_failures()
    assert sorted(log) == ["closed", "closed", "opened", "opened"]


async def test_a_cancelled_attempt_closes_what_it_was_given() -> None:
    log: list[str] = []

    @subscriber("sold", timeout=2)
    async def book(event: Event, context: Context) -> None:
        await context.get(Till)
        await anyio.sleep_forever()

    async with Runtime(subscribers=[book], services=registry_of(log)) as runtime:
        await runtime.emit_and_wait("sold")
    assert log == ["opened", "closed"]


async def test_an_error_in_closing_is_logged_and_changes_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[Drawer]:
        yield Drawer()
        raise ValueError("stuck")

    registry = svcs.Registry()
    registry.register_factory(Drawer, broken)

    @subscriber("sold")
    async def book(event: Event, context: Context) -> str:
        await context.get(Drawer)
        return "booked"

    async with Runtime(subscribers=[book], services=registry) as runtime:
        assert await runtime.request("sold") == "booked"
    assert "clean up failed" in caplog.text


async def test_closing_that_hangs_is_given_up_after_the_time_to_clean_up(caplog: pytest.LogCaptureFixture) -> None:
    async def hanging() -> AsyncIterator[Drawer]:
        yield Drawer()
        await anyio.sleep_forever()

    registry = svcs.Registry()
    registry.register_factory(Drawer, hanging)

    @subscriber("sold")
    async def book(event: Event, context: Context) -> str:
        await context.get(Drawer)
        return "booked"

    with caplog.at_level(logging.WARNING):
        async with Runtime(subscribers=[book], services=registry, cleanup_within=3) as runtime:
            assert await runtime.request("sold") == "booked"
    assert "could not be closed within 3 s" in caplog.text


async def test_the_runtime_its_module_and_its_events_are_registered() -> None:
    found: list[object] = []

    @subscriber("order.placed")
    async def ship(event: Event, context: Context) -> None:
        found.extend([await context.get(Runtime), await context.get(EventModule)])
        events = await context.get(Events)
        receipt = await events.emit(name="custom.event", data={"id": "123"})
        found.append(receipt.event.cause == event.id)

    @subscriber("custom.event")
    async def hear(event: Event) -> None:
        found.append(event.data)

    module = Local()
    async with Runtime(subscribers=[ship, hear], module=module) as runtime:
        (await runtime.emit_and_wait("order.placed")).raise_for_failures()
        await runtime.idle()
    assert found == [runtime, module, True, {"id": "123"}]


async def test_what_its_user_registers_wins_over_what_the_runtime_does() -> None:
    fake = object()
    registry = svcs.Registry()
    registry.register_value(Events, fake)

    @subscriber("sold")
    async def book(event: Event, context: Context) -> bool:
        found: object = await context.get(Events)
        return found is fake

    async with Runtime(subscribers=[book], services=registry) as runtime:
        assert await runtime.request("sold") is True


async def test_a_service_that_is_not_registered_is_refused_by_its_name() -> None:
    @subscriber("sold")
    async def book(event: Event, context: Context) -> None:
        await context.get(Till)

    async with Runtime(subscribers=[book]) as runtime:
        report = await runtime.emit_and_wait("sold")
    with pytest.RaisesGroup(UnknownService) as caught:
        report.raise_for_failures()
    assert "Till" in str(caught.value.exceptions[0])


async def test_a_context_that_outlives_its_delivery_gives_no_services() -> None:
    kept: list[Context] = []

    @subscriber("sold")
    async def book(event: Event, context: Context) -> None:
        kept.append(context)

    async with Runtime(subscribers=[book]) as runtime:
        await runtime.emit_and_wait("sold")
        with pytest.raises(ServicesClosed, match="Till"):
            await kept[0].get(Till)


def test_what_is_no_registry_is_refused() -> None:
    with pytest.raises(InvalidOption, match="must be a registry"):
        Runtime(services={})  # type: ignore[arg-type]  # on purpose


async def test_a_service_that_fails_to_close_is_told_of_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def open_till() -> Iterator[Till]:
        yield Till()
        raise GeneratorExit

    registry = svcs.Registry()
    registry.register_factory(Till, open_till)

    @subscriber("sold")
    async def book(event: Event, context: Context) -> str:
        await context.get(Till)
        return "handled"

    async with Runtime(subscribers=[book], services=registry) as runtime:
        assert await runtime.request("sold") == "handled"
    assert [record for record in caplog.records if "GeneratorExit" in record.getMessage()]


async def test_what_is_asked_for_after_the_delivery_is_over_is_refused_also_where_the_asking_began_before() -> None:
    refused: list[str] = []
    contexts: list[Context] = []

    @subscriber("sold")
    async def book(event: Event, context: Context) -> None:
        contexts.append(context)
        others.start_soon(ask, Drawer)
        await anyio.sleep(0.1)  # which has the lock now
        others.start_soon(ask, Till)
        await anyio.sleep(0.5)

    async def ask(service: type) -> None:
        try:
            await contexts[0].get(service)
        except ServicesClosed as error:
            refused.append(str(error))

    async def open_drawer() -> Drawer:
        await anyio.sleep(1)
        return Drawer()

    registry = registry_of([])
    registry.register_factory(Drawer, open_drawer)
    async with anyio.create_task_group() as others, Runtime(subscribers=[book], services=registry) as runtime:
        await runtime.emit_and_wait("sold")
        await ask(Till)
        await anyio.sleep(5)
    assert len(refused) == 2
    assert all("Till" in each for each in refused)

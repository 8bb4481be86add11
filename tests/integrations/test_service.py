"""A runtime as a part of a service, without a server."""

from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from postroom import Context, Event, InvalidOption, Runtime, RuntimeClosed, Supervision, subscriber
from postroom.integrations.asgi import Carrier, Lifespan
from postroom.integrations.service import Service
from postroom.observe.opentelemetry import telemetry


async def nothing() -> Any:
    raise AssertionError("nobody reads")


async def ignore(message: Any) -> None:
    pass


@subscriber("order.placed")
async def confirm(event: Event, context: Context) -> None:
    await context.emit("mail.sent")


@subscriber("mail.sent")
async def archive(event: Event) -> None:
    pass


async def test_what_a_request_leads_to_carries_its_headers_and_what_that_causes_too() -> None:
    service = Service(Runtime(subscribers=[confirm, archive]))
    async with service.running() as runtime:

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await runtime.emit("order.placed", headers={"x-request-id": "mine"})

        given = [(b"traceparent", b"00-1-1-01"), (b"x-request-id", b"theirs"), (b"authorization", b"secret")]
        with runtime.recording() as recording:
            await Carrier(app, service)({"type": "http", "headers": given}, nothing, ignore)
            await runtime.emit("audit.done")
            await runtime.idle()
    assert {each.event.name: dict(each.event.headers) for each in recording} == {
        "order.placed": {"traceparent": "00-1-1-01", "x-request-id": "mine"},
        "mail.sent": {"traceparent": "00-1-1-01", "x-request-id": "mine"},
        "audit.done": {},
    }


@pytest.mark.parametrize("value", ["x" * 513, "a\x1b[2J", "é"])
async def test_a_header_that_is_long_or_does_not_print_stays_behind(value: str) -> None:
    service = Service(Runtime())
    async with service.running() as runtime:
        with service.carrying.request([("traceparent", value)]):
            receipt = await runtime.emit("order.placed")
    assert dict(receipt.event.headers) == {}


async def test_which_headers_are_carried_may_be_chosen() -> None:
    service = Service(Runtime(), carry=["X-Tenant"])
    async with service.running() as runtime:
        with service.carrying.request([("x-tenant", "north"), ("traceparent", "1")]):
            receipt = await runtime.emit("order.placed")
    assert dict(receipt.event.headers) == {"x-tenant": "north"}


async def test_it_is_ready_while_everybody_who_was_declared_is_at_work() -> None:
    @subscriber("order.failed", supervision=Supervision(default="stop"))
    async def fragile(event: Event) -> None:
        raise ConnectionError

    service = Service(Runtime(subscribers=[confirm, fragile]))
    assert (service.ready().status, service.live().status) == (503, 200)
    async with service.running() as runtime:
        assert service.ready().status == 200
        await runtime.emit_and_wait("order.failed")
        await anyio.sleep(1)
        assert (service.ready().status, service.ready().content["stopped"]) == (503, ["fragile"])
    assert service.ready().content == {"status": "closed"}


async def test_a_runtime_is_there_while_the_service_runs() -> None:
    service = Service(Runtime())
    with pytest.raises(RuntimeClosed):
        _ = service.runtime
    async with service.running() as runtime:
        assert service.runtime is runtime


async def test_a_function_makes_a_runtime_for_each_start() -> None:
    service = Service(lambda: Runtime(subscribers=[archive]))
    for _ in range(2):
        async with service.running() as runtime:
            assert (await runtime.emit_and_wait("mail.sent")).succeeded
    service = Service(Runtime())
    async with service.running():
        pass
    with pytest.raises(InvalidOption):
        async with service.running():
            pass


def test_what_is_neither_a_runtime_nor_makes_one_is_refused() -> None:
    with pytest.raises(InvalidOption):
        Service(3)  # type: ignore[arg-type]  # that is the point


async def test_the_lifespan_is_told_as_complete_only_once_the_runtime_has_drained() -> None:
    told: list[str] = []
    service = Service(Runtime(subscribers=[slow(told)]))
    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, str]:
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        told.append(message["type"])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await service.runtime.emit("order.placed")
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    await Lifespan(app, service)({"type": "lifespan"}, receive, send)
    assert told == ["lifespan.startup.complete", "handled", "lifespan.shutdown.complete"]


def slow(told: list[str]) -> Any:
    @subscriber("order.placed")
    async def handle(event: Event) -> None:
        await anyio.sleep(3)
        told.append("handled")

    return handle


async def test_a_runtime_that_cannot_open_fails_the_start_and_says_why() -> None:
    def broken() -> Runtime:
        raise OSError("no disk")

    told: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        told.append(message)

    await Lifespan(receive, Service(broken))({"type": "lifespan"}, receive, send)  # type: ignore[arg-type]  # not called
    assert told == [{"type": "lifespan.startup.failed", "message": "OSError: no disk"}]


async def test_with_telemetry_the_trace_of_a_request_goes_on_in_the_spans() -> None:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    service = Service(Runtime(subscribers=[archive], interceptors=telemetry(tracer_provider=tracers)))
    async with service.running() as runtime:
        with service.carrying.request([("traceparent", f"00-{'1' * 32}-{'2' * 16}-01")]):
            receipt = await runtime.emit("mail.sent")
        await receipt
    sent, processed = exporter.get_finished_spans()
    assert sent.parent is not None
    assert sent.context is not None
    assert processed.parent is not None
    assert (sent.parent.trace_id, sent.parent.span_id) == (int("1" * 32, 16), int("2" * 16, 16))
    assert processed.parent.span_id == sent.context.span_id
    assert f"{sent.context.span_id:016x}" in receipt.event.headers["traceparent"]

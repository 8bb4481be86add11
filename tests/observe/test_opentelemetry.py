"""What OpenTelemetry is told of a runtime."""

import subprocess
import sys
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from postroom import Batch, Context, Event, Retry, Runtime, Subscriber, constant, subscriber
from postroom.observe import opentelemetry as ours
from postroom.observe.opentelemetry import count_changes, telemetry


class World:
    """Providers of a test's own, read back from memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    def runtime(self, *subscribers: Subscriber[Any, Any], **options: Any) -> Runtime:
        interceptors = telemetry(tracer_provider=self.tracers, meter_provider=self.meters)
        return Runtime(subscribers=subscribers, interceptors=interceptors, **options)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def points(self, metric: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        ]


@pytest.fixture
def world() -> World:
    return World()


def ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent(span: ReadableSpan) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


def links(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(each.context.trace_id, each.context.span_id) for each in span.links]


@subscriber("order.*")
async def ledger(event: Event) -> None:
    pass


@subscriber("order.*")
async def confirm(event: Event, context: Context) -> None:
    await (await context.emit("mail.sent"))


@subscriber("mail.sent")
async def archive(event: Event) -> None:
    pass


async def test_a_fan_out_and_what_it_causes_is_one_trace(world: World) -> None:
    async with world.runtime(ledger, confirm, archive) as runtime:
        await runtime.emit_and_wait("order.placed")
    (sent,) = world.spans("send order.placed")
    processed = world.spans("process order.placed")
    (mail,) = world.spans("send mail.sent")
    (archived,) = world.spans("process mail.sent")
    assert sent.parent is None
    assert [parent(span) for span in processed] == [ids(sent)] * 2
    assert [links(span) for span in processed] == [[ids(sent)]] * 2
    by_name = {(span.attributes or {})["messaging.destination.subscription.name"]: span for span in processed}
    assert parent(mail) == ids(by_name["confirm"])
    assert parent(archived) == ids(mail)
    assert len({ids(span)[0] for span in world.exporter.get_finished_spans()}) == 1


async def test_spans_say_what_the_conventions_ask_for(world: World) -> None:
    async with world.runtime(ledger) as runtime:
        receipt = await runtime.emit("order.placed", {"card": "secret"}, headers={"token": "secret"}, key="secret")
        await receipt
    (sent,) = world.spans("send order.placed")
    (processed,) = world.spans("process order.placed")
    assert (sent.kind, processed.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert dict(sent.attributes or {}) == {
        "messaging.system": "postroom",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "order.placed",
        "messaging.message.id": receipt.id,
    }
    assert dict(processed.attributes or {}) == {
        "messaging.system": "postroom",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "order.placed",
        "messaging.destination.subscription.name": "ledger",
        "messaging.message.id": receipt.id,
        "postroom.attempt": 1,
        "postroom.losses": 0,
    }


async def test_an_emit_continues_the_span_around_it_and_its_traceparent_takes_the_place_of_an_old_one(
    world: World,
) -> None:
    async with world.runtime(ledger) as runtime:
        with world.tracers.get_tracer("shop").start_as_current_span("request") as request:
            receipt = await runtime.emit("order.placed", headers={"traceparent": "old", "shop": "north"})
    (sent,) = world.spans("send order.placed")
    assert sent.parent == request.get_span_context()
    trace, span = ids(sent)
    assert receipt.event.headers["shop"] == "north"
    assert receipt.event.headers["traceparent"].startswith(f"00-{trace:032x}-{span:016x}-")


async def test_an_emit_outside_of_any_span_continues_the_trace_in_its_headers(world: World) -> None:
    header = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    async with world.runtime(ledger) as runtime:
        await runtime.emit_and_wait("order.placed", headers={"traceparent": header})
    (sent,) = world.spans("send order.placed")
    assert parent(sent) == (0x0123456789ABCDEF0123456789ABCDEF, 0x0123456789ABCDEF)


async def test_a_runtime_that_is_entered_in_a_span_does_not_put_what_it_handles_there(world: World) -> None:
    interceptors = telemetry(tracer_provider=world.tracers, meter_provider=world.meters)
    with world.tracers.get_tracer("shop").start_as_current_span("the whole life"):
        async with Runtime(subscribers=[ledger], interceptors=interceptors[1:]) as runtime:
            await runtime.emit_and_wait("order.placed")
    (processed,) = world.spans("process order.placed")
    assert processed.parent is None


async def test_each_attempt_has_a_span_and_a_failure_tells_its_class_but_not_its_text(world: World) -> None:
    @subscriber("order.placed", retry=Retry(attempts=2, backoff=constant(1)))
    async def fails_once(event: Event, context: Context) -> None:
        if context.attempt == 1:
            raise ConnectionError("password=secret")

    async with world.runtime(fails_once) as runtime:
        (await runtime.emit_and_wait("order.placed")).raise_for_failures()
    first, second = world.spans("process order.placed")
    assert first.status.status_code is StatusCode.ERROR
    assert (first.attributes or {})["error.type"] == "ConnectionError"
    assert "secret" not in first.to_json()
    assert second.status.status_code is StatusCode.UNSET
    assert (second.attributes or {})["postroom.attempt"] == 2
    assert parent(first) == parent(second)


async def test_a_batch_is_one_span_with_a_link_for_each_event(world: World) -> None:
    @subscriber("order.placed", batch=Batch(size=3, within=1))
    async def insert(events: list[Event]) -> None:
        pass

    async with world.runtime(insert) as runtime:
        for number in range(3):
            await runtime.emit("order.placed", number)
    sent = world.spans("send order.placed")
    (processed,) = world.spans("process order.placed")
    assert processed.parent is None
    assert links(processed) == [ids(span) for span in sent]
    assert (processed.attributes or {})["messaging.batch.message_count"] == 3


async def test_a_plain_function_emits_into_its_own_process_span(world: World) -> None:
    async with world.runtime(archive) as runtime:

        def write(event: Event) -> None:
            runtime.emit_from_thread("mail.sent")

        await runtime.spawn(write, "order.placed", name="write")
        await runtime.emit_and_wait("order.placed")
    (processed,) = world.spans("process order.placed")
    (mail,) = world.spans("send mail.sent")
    assert parent(mail) == ids(processed)


async def test_messages_are_counted_and_attempts_timed(world: World) -> None:
    async with world.runtime(ledger, confirm) as runtime:
        await runtime.emit_and_wait("order.placed")
    sent = {point.attributes["messaging.destination.name"]: point.value for point in world.points(
        "messaging.client.sent.messages")}  # fmt: skip
    assert sent == {"order.placed": 1, "mail.sent": 1}
    consumed = world.points("messaging.client.consumed.messages")
    assert {point.attributes["messaging.destination.subscription.name"] for point in consumed} == {"ledger", "confirm"}
    assert [point.count for point in world.points("messaging.process.duration")] == [1, 1]


async def test_metrics_tell_only_so_many_names_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "MOST_NAMES", 2)
    async with world.runtime() as runtime:
        for number in range(5):
            await runtime.emit(f"order.{number}")
    points = world.points("messaging.client.sent.messages")
    assert {point.attributes["messaging.destination.name"]: point.value for point in points} == {
        "order.0": 1,
        "order.1": 1,
        "_OTHER": 3,
    }


async def test_changes_are_counted_by_kind(world: World) -> None:
    @subscriber("order.placed")
    async def fails(event: Event) -> None:
        raise ConnectionError

    runtime = world.runtime(fails)
    async with anyio.create_task_group() as tasks, runtime.watch() as changes:
        tasks.start_soon(lambda: count_changes(changes, meter_provider=world.meters))
        async with runtime:
            await runtime.emit_and_wait("order.placed")
        await anyio.wait_all_tasks_blocked()
    points = world.points("postroom.changes")
    assert {(p.attributes["postroom.change"], p.value) for p in points} >= {("dead_letter", 1), ("closed", 1)}


async def test_headers_that_have_no_room_for_the_trace_go_without_it(world: World) -> None:
    async with world.runtime(ledger) as runtime:
        receipt = await runtime.emit("order.placed", headers={"large": "x" * 8180})
        assert (await receipt).succeeded
    assert "traceparent" not in receipt.event.headers


def test_nothing_of_it_is_imported_or_needed_by_postroom() -> None:
    # The container that postroom uses imports the frameworks that it finds, so here it finds none.
    program = (
        "import sys\n"
        "for name in ('opentelemetry', 'prometheus_client', 'starlette', 'litestar', 'quart'):\n"
        "    sys.modules[name] = None\n"
        "import postroom, postroom.observe, postroom.integrations, postroom.testing\n"
        "print([name for name in sys.modules if name.startswith(('postroom.observe.', 'postroom.integrations.'))])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"

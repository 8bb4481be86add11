"""One of two processes that share a SQLite file, and keep their spans in memory until they end.

Run: python -m tests.observe.traced NAME FILE BACKEND SPANS
NAME is `shop`, which emits one event and handles it, too, or `office`, which handles it and what that causes.
Says: `ready`; at its end its spans are in the file SPANS, a JSON object a line.
"""

import sys
from pathlib import Path
from typing import Any

import anyio
import msgspec
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from postroom import Context, Event, Runtime, Subscriber, subscriber
from postroom.modules.sqlite import SqliteModule
from postroom.observe.opentelemetry import telemetry
from tests.processes.child import say


@subscriber("order.placed")
async def confirm(event: Event, context: Context) -> None:
    await context.emit("mail.sent")


@subscriber("order.placed")
async def ledger(event: Event) -> None:
    pass


@subscriber("mail.sent")
async def archive(event: Event) -> None:
    pass


SUBSCRIBERS: dict[str, tuple[Subscriber[..., Any], ...]] = {"shop": (confirm,), "office": (ledger, archive)}


async def main(name: str, path: Path, exporter: InMemorySpanExporter) -> None:
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    interceptors = telemetry(tracer_provider=tracers)
    subscribers = SUBSCRIBERS[name]
    async with Runtime(module=SqliteModule(path), subscribers=subscribers, interceptors=interceptors) as runtime:
        say("ready")
        if name == "shop":
            (await runtime.emit_and_wait("order.placed")).raise_for_failures()
        else:
            while runtime.stats.succeeded < len(subscribers):
                await anyio.sleep(0.01)


if __name__ == "__main__":
    _, name, path, backend, spans = sys.argv
    exporter = InMemorySpanExporter()
    anyio.run(main, name, Path(path), exporter, backend=backend)
    lines = [
        {
            "process": name,
            "name": span.name,
            "subscription": (span.attributes or {}).get("messaging.destination.subscription.name", ""),
            "trace": span.context.trace_id,
            "span": span.context.span_id,
            "parent": None if span.parent is None else span.parent.span_id,
            "links": [each.context.span_id for each in span.links],
        }
        for span in exporter.get_finished_spans()
        if span.context is not None
    ]
    Path(spans).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

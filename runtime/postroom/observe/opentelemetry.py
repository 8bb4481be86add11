"""Traces and metrics for OpenTelemetry, by its semantic conventions for messaging. Extra: `otel`.

An emit is a `send` span, an attempt to handle a `process` span. The W3C `traceparent` of the send span goes with the
event, in its headers, so all that an event causes is one trace, in whichever process it is handled. A process span is a
child of its event's send span, and linked to it; one of a batch has a link for each event, and no parent.

Spans and metrics tell names and ids, never an event's data, its other headers or an error's text.

Units: seconds.
Source: OpenTelemetry, "Semantic conventions for messaging systems"; W3C, "Trace Context".
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import attrs
import msgspec
from opentelemetry import propagate
from opentelemetry.context import Context as TraceContext
from opentelemetry.metrics import Counter, Histogram, MeterProvider, get_meter
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, Tracer, TracerProvider, get_current_span, get_tracer

from postroom_actors import current_hand

from ..changes import Change, Watch
from ..context import Context
from ..delivery import deliveries_in
from ..event import Event
from ..interceptors import Interceptor

SCOPE: Final = "postroom"
"""The instrumentation scope of all spans and metrics."""

MOST_NAMES: Final = 200
"""Names of events, and of subscriptions, that metrics tell apart; all further ones count under `_OTHER`."""

OTHER: Final = "_OTHER"

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The bounds of the histogram, as the conventions advise."""


@attrs.define(eq=False)
class _Names:
    """Names as the values of a metric's attribute, of which there may be only so many."""

    _known: set[str] = attrs.field(factory=set, init=False)

    def bounded(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) >= MOST_NAMES:
                return OTHER
            self._known.add(name)
        return name


@attrs.define(eq=False)
class _Telemetry:
    """The two interceptors, and what they count."""

    tracer: Tracer
    propagator: TextMapPropagator
    sent: Counter
    consumed: Counter
    duration: Histogram
    _events: _Names = attrs.field(factory=_Names, init=False)
    _subscriptions: _Names = attrs.field(factory=_Names, init=False)

    def send(self, event: Event) -> Event:
        """Around emits: a span that begins and ends here, since an emit interceptor must not wait."""
        attributes = {
            "messaging.system": "postroom",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": event.name,
            "messaging.message.id": event.id,
        }
        # Where there is no span, the event may have come with a trace: that of a request, say.
        around = None if get_current_span().get_span_context().is_valid else self.propagator.extract(event.headers)
        with self.tracer.start_as_current_span(
            f"send {event.name}", context=around, kind=SpanKind.PRODUCER, attributes=attributes
        ):
            carried: dict[str, str] = {}
            self.propagator.inject(carried)  # pyright: ignore[reportArgumentType] - its own default, of an unbound type
        self.sent.add(1, _counted("send", self._events.bounded(event.name)))
        left = {name: value for name, value in event.headers.items() if name not in self.propagator.fields}
        return msgspec.structs.replace(event, headers={**left, **carried})

    async def process(self, context: Context, call_next: Callable[[], Awaitable[Any]]) -> Any:
        """Around attempts."""
        hand = current_hand()
        events = [each.event for each in deliveries_in(None if hand is None else hand.message)] or [context.event]
        is_batch = isinstance(None if hand is None else hand.message, list)
        span_context, links = self._causes(events)
        counted = _counted("process", self._events.bounded(context.event.name))
        counted["messaging.destination.subscription.name"] = self._subscriptions.bounded(context.subscription)
        began = time.perf_counter()
        with self.tracer.start_as_current_span(
            f"process {context.event.name}",
            # A root, where it is a batch or the event carries nothing: the actor's task may have begun in any span.
            context=TraceContext() if is_batch or not links else span_context,
            kind=SpanKind.CONSUMER,
            attributes=_of_attempt(context, len(events) if is_batch else None),
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return await call_next()
            except BaseException as error:
                counted["error.type"] = kind = _kind_of(error)
                span.set_attribute("error.type", kind)
                span.set_status(Status(StatusCode.ERROR))
                raise
            finally:
                self.consumed.add(len(events), counted)
                self.duration.record(time.perf_counter() - began, counted)

    def _causes(self, events: Iterable[Event]) -> tuple[TraceContext, list[Link]]:
        found, links = TraceContext(), []
        for event in events:
            found = self.propagator.extract(event.headers, context=TraceContext())
            sent = get_current_span(found).get_span_context()
            if sent.is_valid:
                links.append(Link(sent, {"messaging.message.id": event.id}))
        return found, links


def _counted(operation: str, destination: str) -> dict[str, str]:
    return {
        "messaging.system": "postroom",
        "messaging.operation.name": operation,
        "messaging.destination.name": destination,
    }


def _of_attempt(context: Context, count: int | None) -> Mapping[str, str | int]:
    attributes: dict[str, str | int] = {
        "messaging.system": "postroom",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": context.event.name,
        "messaging.destination.subscription.name": context.subscription,
        "postroom.attempt": context.attempt,
        "postroom.losses": context.losses,
    }
    if count is None:
        attributes["messaging.message.id"] = context.event.id
    else:
        attributes["messaging.batch.message_count"] = count
    return attributes


def _kind_of(error: BaseException) -> str:
    """The class of an error; of a cancellation by one name, whatever the event loop calls it."""
    name = type(error).__name__
    return "Cancelled" if isinstance(error, asyncio.CancelledError) else name


def telemetry(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    propagator: TextMapPropagator | None = None,
) -> tuple[Interceptor, Interceptor]:
    """Interceptors that trace and count all emits and attempts: `Runtime(interceptors=[*telemetry(), …])`.

    An emit continues the span that is current where it is made, else the trace in its headers; what a handler emits
    continues its process span.
    An error of theirs is logged, the first time, and changes nothing.

    Args:
        tracer_provider, meter_provider: Where spans and metrics go; the global ones unless given.
        propagator: Writes and reads the headers; the global one, which carries W3C trace context and baggage, unless
            given.
    """
    meter = get_meter(SCOPE, meter_provider=meter_provider)
    both = _Telemetry(
        tracer=get_tracer(SCOPE, tracer_provider=tracer_provider),
        propagator=propagate.get_global_textmap() if propagator is None else propagator,
        sent=meter.create_counter("messaging.client.sent.messages", "{message}", "Events emitted."),
        consumed=meter.create_counter(
            "messaging.client.consumed.messages", "{message}", "Events handed to handlers, once for each attempt."
        ),
        duration=meter.create_histogram(
            "messaging.process.duration",
            "s",
            "How long attempts took.",
            explicit_bucket_boundaries_advisory=SECONDS,
        ),
    )
    return Interceptor(both.send, on_error="ignore"), Interceptor(both.process, on_error="ignore")


async def count_changes(changes: "Watch[Change]", *, meter_provider: MeterProvider | None = None) -> None:
    """Count what `runtime.watch()` tells, such as restarts and dead letters, as `postroom.changes`, until it ends.

    Args:
        changes: `async with runtime.watch() as changes`; let this run in a task of yours.

    Cancellation: what was told is counted.
    """
    counter = get_meter(SCOPE, meter_provider=meter_provider).create_counter(
        "postroom.changes", "{change}", "Changes in the life of subscriptions and of the runtime, by kind."
    )
    subscriptions = _Names()
    async for change in changes:
        attributes: dict[str, str] = {"postroom.change": change.kind}
        if change.subscription is not None:
            attributes["messaging.destination.subscription.name"] = subscriptions.bounded(change.subscription)
        counter.add(1, attributes)

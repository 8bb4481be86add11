"""The floor: the bus that a user would write by hand, with which postroom is compared.

One memory stream and one task for each subscriber; emitting sends to each subscriber of that name in turn. It isolates
as postroom does: a handler that raises is logged, and a slow one fills its own stream only. It knows no patterns,
receipts, retries, timeouts or counters, and an event is whatever the caller passes.

Units: `CAPACITY` counts events.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import anyio.abc
import attrs
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

Handler = Callable[[Any], Awaitable[None]]

CAPACITY: Final = 1024

_log: Final = logging.getLogger(__name__)


@attrs.define(eq=False)
class Bus:
    """Subscribers by name, each with a stream and a task."""

    _tasks: anyio.abc.TaskGroup
    _streams: dict[str, list[MemoryObjectSendStream[Any]]] = attrs.field(factory=dict, init=False)

    def subscribe(self, name: str, handler: Handler) -> None:
        """Let `handler` have the events of that name."""
        inlet, outlet = anyio.create_memory_object_stream[Any](CAPACITY)
        self._streams.setdefault(name, []).append(inlet)
        self._tasks.start_soon(self._serve, outlet, handler)

    async def emit(self, name: str, event: object) -> None:
        """Send `event` to every subscriber of `name`, waiting where a stream is full."""
        for stream in self._streams.get(name, ()):
            await stream.send(event)

    def emit_nowait(self, name: str, event: object) -> None:
        """Send `event` to every subscriber of `name`, or raise `anyio.WouldBlock` at the first full stream."""
        for stream in self._streams.get(name, ()):
            stream.send_nowait(event)

    def close(self) -> None:
        """Take in nothing more; the tasks end when their streams are empty."""
        for streams in self._streams.values():
            for stream in streams:
                stream.close()

    async def _serve(self, outlet: MemoryObjectReceiveStream[Any], handler: Handler) -> None:
        with outlet:
            async for event in outlet:
                try:
                    await handler(event)
                except Exception:
                    _log.exception("a handler failed")


@attrs.define(eq=False)
class Acknowledgement:
    """How many subscribers still have the event, and what to set when none has."""

    pending: int
    done: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    def settle(self) -> None:
        self.pending -= 1
        if not self.pending:
            self.done.set()


@attrs.define(eq=False)
class AcknowledgingBus(Bus):
    """The same bus, whose emitter waits until every subscriber has handled the event."""

    async def emit(self, name: str, event: object) -> None:
        streams = self._streams.get(name, ())
        if not streams:
            return
        acknowledgement = Acknowledgement(len(streams))
        for stream in streams:
            await stream.send((event, acknowledgement))
        await acknowledgement.done.wait()

    async def _serve(self, outlet: MemoryObjectReceiveStream[Any], handler: Handler) -> None:
        with outlet:
            async for event, acknowledgement in outlet:
                try:
                    await handler(event)
                except Exception:
                    _log.exception("a handler failed")
                finally:
                    acknowledgement.settle()


@asynccontextmanager
async def open_bus(kind: type[Bus] = Bus) -> AsyncIterator[Bus]:
    """A block in which a bus is open; leaving it lets the handlers finish what was sent."""
    async with anyio.create_task_group() as tasks:
        bus = kind(tasks)
        yield bus
        bus.close()

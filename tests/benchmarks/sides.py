"""The sides of a comparison: one way each of emitting a workload, on the hand-written bus or on postroom.

A side makes a function that sets everything up, runs under the watch only what is to be measured, and takes everything
down again. Only what postroom has had from its first version is used here: `--against` runs this with older ones.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Final

from postroom import Runtime, Subscriber

from .floor import AcknowledgingBus, Bus, open_bus
from .workload import DATA, Handled, Size, Watch, Workload, until_parked

Side = Callable[[Watch, Size], Awaitable[None]]
Work = Callable[[Size], Workload]

BURST: Final = 256
"""Events emitted without waiting before what was emitted is waited for: what a mailbox holds by default."""

NOTHING: Final[Mapping[str, Any]] = {}

Meanwhile = Callable[[Runtime], AbstractAsyncContextManager[None]]
"""Something that goes on in a runtime while a block is open."""


def nothing(_runtime: Runtime) -> AbstractAsyncContextManager[None]:
    """Nothing else goes on."""
    return nullcontext()


@asynccontextmanager
async def _bus_for(workload: Workload, handled: Handled, kind: type[Bus] = Bus) -> AsyncIterator[Bus]:
    async with open_bus(kind) as bus:
        for name in workload.patterns:
            bus.subscribe(name, handled.handle)
        await until_parked()
        yield bus


@asynccontextmanager
async def runtime_for(
    workload: Workload, handled: Handled, options: Mapping[str, Any] = NOTHING
) -> AsyncIterator[Runtime]:
    """A runtime with the subscribers of a workload, waiting for mail."""
    subscribers = [
        Subscriber(handler=handled.handle, patterns=(pattern,), name=f"subscriber-{number}", **options)
        for number, pattern in enumerate(workload.patterns)
    ]
    async with Runtime(subscribers=subscribers) as runtime:
        await until_parked()
        yield runtime


def floor_stream(work: Work) -> Side:
    """Emit everything with awaited sends, then wait until all is handled."""

    async def side(watch: Watch, size: Size) -> None:
        workload, handled = work(size), Handled()
        async with _bus_for(workload, handled) as bus:
            handled.expect(workload.deliveries)
            with watch:
                for name in workload.names:
                    await bus.emit(name, DATA)
                await handled.done.wait()

    return side


def postroom_stream(
    work: Work,
    *,
    subscriber: Mapping[str, Any] = NOTHING,
    emit: Mapping[str, Any] = NOTHING,
    meanwhile: Meanwhile = nothing,
) -> Side:
    """Emit everything with awaited emits, then wait until all is handled.

    Arguments:
        subscriber: Options of every subscriber.
        emit: Options of every emit.
        meanwhile: What else goes on in the runtime.
    """

    async def side(watch: Watch, size: Size) -> None:
        workload, handled = work(size), Handled()
        async with runtime_for(workload, handled, subscriber) as runtime, meanwhile(runtime):
            # As users call it: with `**emit` even no options at all were measured to make an emit 8 % dearer.
            call: Callable[..., Awaitable[object]] = runtime.emit
            call = partial(call, **emit) if emit else call
            handled.expect(workload.deliveries)
            with watch:
                for name in workload.names:
                    await call(name, DATA)
                await handled.done.wait()

    return side


def floor_singly(work: Work) -> Side:
    """Emit one event at a time with awaited sends, each once the one before is handled everywhere."""

    async def side(watch: Watch, size: Size) -> None:
        workload, handled = work(size), Handled()
        each = workload.deliveries // len(workload.names)
        async with _bus_for(workload, handled) as bus:
            with watch:
                for name in workload.names:
                    handled.expect(each)
                    await bus.emit(name, DATA)
                    await handled.done.wait()

    return side


def postroom_singly(work: Work) -> Side:
    """Emit one event at a time with awaited emits, each once the one before is handled everywhere."""

    async def side(watch: Watch, size: Size) -> None:
        workload, handled = work(size), Handled()
        each = workload.deliveries // len(workload.names)
        async with runtime_for(workload, handled) as runtime:
            with watch:
                for name in workload.names:
                    handled.expect(each)
                    await runtime.emit(name, DATA)
                    await handled.done.wait()

    return side


def floor_bursts(work: Work) -> Side:
    """Emit bursts with `send_nowait`, waiting after each until it is handled."""

    async def side(watch: Watch, size: Size) -> None:
        workload, handled = work(size), Handled()
        bursts = _bursts(workload)
        async with _bus_for(workload, handled) as bus:
            with watch:
                for burst in bursts:
                    handled.expect(len(burst))
                    for name in burst:
                        bus.emit_nowait(name, DATA)
                    await handled.done.wait()

    return side


def postroom_bursts(work: Work) -> Side:
    """Emit bursts with `emit_nowait`, waiting after each until it is handled."""

    async def side(watch: Watch, size: Size) -> None:
        workload, handled = work(size), Handled()
        bursts = _bursts(workload)
        async with runtime_for(workload, handled) as runtime:
            with watch:
                for burst in bursts:
                    handled.expect(len(burst))
                    for name in burst:
                        runtime.emit_nowait(name, DATA)
                    await handled.done.wait()

    return side


def _bursts(workload: Workload) -> list[list[str]]:
    names = workload.names
    assert workload.deliveries == len(names), "bursts are for one subscriber an event"
    return [names[start : start + BURST] for start in range(0, len(names), BURST)]


def floor_acknowledged(work: Work) -> Side:
    """Emit one event at a time, each once the one before is handled everywhere."""

    async def side(watch: Watch, size: Size) -> None:
        workload, handled = work(size), Handled()
        async with _bus_for(workload, handled, AcknowledgingBus) as bus:
            handled.expect(workload.deliveries)
            with watch:
                for name in workload.names:
                    await bus.emit(name, DATA)

    return side


def postroom_acknowledged(work: Work) -> Side:
    """Emit one event at a time, each once the report of the one before has come."""

    async def side(watch: Watch, size: Size) -> None:
        workload, handled = work(size), Handled()
        async with runtime_for(workload, handled) as runtime:
            handled.expect(workload.deliveries)
            with watch:
                for name in workload.names:
                    await runtime.emit_and_wait(name, DATA)

    return side


def with_few(side: Side, subscribers: int) -> Side:
    """The same side with that many subscribers only."""

    async def fewer(watch: Watch, size: Size) -> None:
        await side(watch, Size(size.events, min(size.subscribers, subscribers)))

    return fewer

"""Memory: what a subscriber costs that waits for mail, and what an event costs that waits in a mailbox.

Python's own count of what it has allocated (tracemalloc), over many, garbage collected before each reading.

Units: bytes for each.
"""

import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import attrs

from postroom import Runtime, Subscriber

from .floor import open_bus
from .workload import until_parked

Measurement = Callable[[int], Awaitable[float]]


def _allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def _handle(event: object) -> None:
    pass


async def bare_tasks(count: int) -> float:
    """A task that waits for one event and does nothing else."""
    released = anyio.Event()
    async with anyio.create_task_group() as tasks:
        before = _allocated()
        for _ in range(count):
            tasks.start_soon(released.wait)
        await until_parked()
        taken = _allocated() - before
        released.set()
    return taken / count


async def subscribers_of_the_bus(count: int) -> float:
    """A subscriber of the hand-written bus, with a name of its own, waiting for events."""
    async with open_bus() as bus:
        before = _allocated()
        for number in range(count):
            bus.subscribe(f"shop.{number}.order", _handle)
        await until_parked()
        return (_allocated() - before) / count


async def subscribers_of_postroom(count: int) -> float:
    """A subscriber, its declaration included, with a name of its own, waiting for events."""
    async with Runtime() as runtime:
        before = _allocated()
        for number in range(count):
            name = f"shop.{number}.order"
            await runtime.spawn(Subscriber(handler=_handle, patterns=(name,), name=name))
        await until_parked()
        return (_allocated() - before) / count


async def events_of_the_bus(count: int) -> float:
    """A reference in the stream of a subscriber of the hand-written bus."""
    inlet, outlet = anyio.create_memory_object_stream[object](count)
    data = [{"id": number} for number in range(count)]
    with inlet, outlet:
        before = _allocated()
        for each in data:
            inlet.send_nowait(each)
        return (_allocated() - before) / count


async def events_of_postroom(count: int) -> float:
    """An event in a mailbox, with its receipt and delivery, beside its data; nobody keeps the receipt."""
    released = anyio.Event()

    async def wait(event: object) -> None:
        await released.wait()

    waiting = Subscriber(handler=wait, patterns=("order.placed",), name="waiting", capacity=count)
    data = [{"id": number} for number in range(count)]
    async with Runtime(subscribers=[waiting]) as runtime:
        await runtime.emit("order.placed")
        await until_parked()  # the handler has that one in hand
        before = _allocated()
        for each in data:
            runtime.emit_nowait("order.placed", each)
        taken = _allocated() - before
        released.set()
    return taken / count


@attrs.frozen(kw_only=True)
class MemoryScenario:
    """One thing of which many are made.

    Attributes:
        name: For `--only`.
        title: For people.
        bare: What is taken off on both sides, as it would be there in any case.
        goal: The most bytes for each that are good enough.
    """

    name: str
    title: str
    floor: Measurement
    postroom: Measurement
    count: int
    goal: int
    bare: Measurement | None = None


MEMORY: Final = (
    MemoryScenario(
        name="idle-memory",
        title="an idle subscriber, beyond a bare parked task",
        bare=bare_tasks,
        floor=subscribers_of_the_bus,
        postroom=subscribers_of_postroom,
        count=2_000,
        goal=6 * 1024,
    ),
    MemoryScenario(
        name="queued-memory",
        title="a queued event, beside its data",
        floor=events_of_the_bus,
        postroom=events_of_postroom,
        count=10_000,
        goal=400,
    ),
)

"""A small shop, as a service that the tests of the command line run."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import attrs

from postroom import Context, Event, Runtime, RuntimeClosed, event_type, subscriber
from postroom.modules.sqlite import SqliteModule
from tests.processes.child import say


@event_type("order.placed")
@attrs.frozen
class OrderPlaced:
    """An order was placed."""

    id: str


@subscriber("order.placed")
async def ledger(event: Event, context: Context) -> str:
    await context.emit("order.booked", event.data)
    return "booked"


@subscriber("order.*")
async def mailer(event: Event) -> None:
    if event.name == "order.placed":
        raise ValueError("no mail server at smtp://shop:hush@mail.example")


@subscriber("job.*", concurrency=4)
async def worker(event: Event) -> None:
    """Takes as long as the event says, and says what it does."""
    say("begun", event.id)
    await anyio.sleep(event.data)
    say("ended", event.id)


@subscriber("shielded")
async def stubborn(event: Event) -> None:
    """Can't be cancelled."""
    say("begun", event.id)
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()


SUBSCRIBERS: Any = [ledger, mailer, worker]

runtime = Runtime(subscribers=SUBSCRIBERS, drain_within=0.5, cleanup_within=0.2)
"""In memory."""


def durable() -> Runtime:
    """In a file in this folder."""
    return Runtime(module=SqliteModule(Path("shop.db")), subscribers=SUBSCRIBERS, drain_within=0.5, cleanup_within=0.2)


def busy() -> Runtime:
    """In memory, with one handler at work: `one`, for as long as BUSY_FOR says."""
    return _given(Runtime(subscribers=SUBSCRIBERS, drain_within=0.5, cleanup_within=0.2), "job.one", ["one"])


def busy_durable() -> Runtime:
    """In a file, with more to do than there are workers."""
    return _given(durable(), "job.one", list("abcdef"))


def with_shield() -> Runtime:
    """With somebody at work who can't be stopped."""
    return _given(Runtime(subscribers=[stubborn], drain_within=0.3, cleanup_within=0.2), "shielded", ["one"])


def _given(runtime: Runtime, name: str, ids: list[str]) -> Runtime:
    """A runtime that gets events from a thread, as soon as it is open."""

    def give() -> None:
        left = list(ids)
        while left:
            try:
                runtime.emit_from_thread(name, float(os.environ.get("BUSY_FOR", "300")), id=left[0])
            except RuntimeClosed:  # not open yet
                time.sleep(0.001)
            else:
                left.pop(0)
        say("given")

    threading.Thread(target=give, daemon=True).start()
    return runtime


async def slow_start() -> Runtime:
    """Takes its time."""
    say("making", os.getpid())
    await anyio.sleep(30)
    return Runtime()


def not_a_runtime() -> str:
    """Something else."""
    return "nothing"


async def audit(runtime: Runtime) -> None:
    """Emits what nobody hears."""
    await runtime.emit("audit.done")

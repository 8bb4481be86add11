"""A service whose code emits in every way from which its wiring is read, and in some that it isn't read from."""

from functools import partial
from typing import Any

import attrs

from postroom import Actor, Context, Event, Runtime, event_type, on, subscriber
from tests.cli import service


@event_type("bill.sent")
@attrs.frozen
class BillSent:
    """A bill was sent."""

    id: str


def bill() -> BillSent:
    """One of them."""
    return BillSent("1")


class Clerk(Actor):
    """Emits an instance, and a name."""

    @on("order.placed")
    async def file(self, event: Event) -> None:
        await self.emit(BillSent("1"))
        await self.emit("order.filed", event.data)


async def audit(note: str, event: Event, context: Context) -> None:
    """Emits events that are made in place."""
    await context.emit(Event("audit.done", note))
    await context.emit(Event(name="audit.noted", data=note))


async def several(runtime: Runtime) -> None:
    """Emits several at a time, outside of all subscriptions."""
    await runtime.emit_many([BillSent("1"), Event("several.done"), BillSent("2")])


@subscriber("several.*")
async def unseen(event: Event, context: Context) -> None:
    """Emits what is known only when it runs."""
    name: Any = event.data
    events: Any = Event
    await context.emit(name)
    await context.emit(bill())
    await context.emit(service.OrderPlaced("1"))
    await context.emit(events())
    await context.emit(Event(**name))
    await context.emit("not..a name")


runtime = Runtime(subscribers=[Clerk, subscriber("bill.sent", name="audit")(partial(audit, "seen")), unseen])

"""What a subscription keeps alive while it is idle: nothing of the events that it has handled."""

import gc
import weakref

import pytest

from postroom import Batch, Event, Runtime


class Payload:
    """Data that can be referred to weakly."""


@pytest.mark.parametrize("batch", [None, Batch(size=1, within=0)])
async def test_an_idle_subscription_keeps_nothing_of_its_last_event(batch: Batch | None) -> None:
    async def handle(events: Event | list[Event]) -> object:
        return events

    async with Runtime() as runtime:
        await runtime.spawn(handle, "order.placed", name="ledger", batch=batch)
        payload = Payload()
        kept = weakref.ref(payload)
        await runtime.emit_and_wait("order.placed", payload)
        del payload
        await runtime.idle()
        gc.collect()
        assert kept() is None

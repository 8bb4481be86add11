"""Pausing a subscription by its name, from a process that does not serve it."""

import pytest

from postroom import Event, Runtime, UnknownSubscription, Unsupported
from postroom.testing.reference import ReferenceModule

pytestmark = pytest.mark.anyio


async def test_an_operator_pauses_a_subscription_that_others_serve_and_resumes_it() -> None:
    module = ReferenceModule()
    handled: list[object] = []

    async def ledger(event: Event) -> None:
        handled.append(event.data)

    async with Runtime(module=module) as service, Runtime(module=module) as operator:
        await service.spawn(ledger, "order.*")
        await operator.pause_subscription("ledger")
        receipt = await operator.emit("order.placed", 1)
        assert (await operator.stored_subscriptions())[0].paused
        assert handled == []
        await operator.resume_subscription("ledger")
        assert (await receipt).succeeded
    assert handled == [1]


async def test_pausing_a_subscription_that_is_not_registered_is_refused() -> None:
    async with Runtime(module=ReferenceModule()) as operator:
        with pytest.raises(UnknownSubscription, match="registered in the store"):
            await operator.pause_subscription("nobody")


async def test_in_memory_there_is_no_stored_subscription_to_pause() -> None:
    async with Runtime() as runtime:
        with pytest.raises(Unsupported):
            await runtime.resume_subscription("ledger")

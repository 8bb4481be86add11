"""What `idle` waits for where a store keeps the events."""

import anyio

from postroom import Event, Runtime, subscriber
from postroom.testing.reference import ReferenceModule, ReferenceStore


@subscriber("n", name="slow")
async def slow(event: Event) -> None:
    await anyio.sleep(5)


async def test_it_waits_for_what_another_process_has_in_hand_of_a_subscription_served_here() -> None:
    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[slow]) as other:
        receipt = await other.emit("n")
        await anyio.sleep(1)
        async with Runtime(module=ReferenceModule(store), subscribers=[slow]) as runtime:
            await runtime.idle()
            assert receipt.settled


async def test_a_runtime_that_serves_nothing_does_not_wait() -> None:
    store = ReferenceStore()
    async with (
        Runtime(module=ReferenceModule(store), subscribers=[slow]),
        Runtime(module=ReferenceModule(store), role="emit", subscribers=[slow]) as emitter,
    ):
        receipt = await emitter.emit("n")
        before = anyio.current_time()
        await emitter.idle()
        assert anyio.current_time() == before
        assert not receipt.settled

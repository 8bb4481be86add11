"""A process that was taken for dead, and goes on."""

import anyio
import anyio.lowlevel

from postroom import Event, Runtime, subscriber
from postroom.testing.reference import ReferenceModule, ReferenceStore


async def test_a_session_that_was_taken_for_dead_serves_its_subscriptions_again() -> None:
    @subscriber("n")
    async def work(event: Event) -> None:
        await anyio.lowlevel.checkpoint()

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        (session,) = store.sessions
        store.sessions[session].lease_until = 0.0
        await anyio.sleep(60)
        (found,) = await runtime.stored_subscriptions()
        assert found.served_by == (session,)
        await runtime.emit_and_wait("n")

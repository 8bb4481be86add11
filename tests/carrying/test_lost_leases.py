"""A process that was taken for dead, and goes on."""

import anyio
import anyio.lowlevel

from postroom import Context, Event, Retry, Runtime, constant, subscriber
from postroom.testing.faults import Fault, FaultyModule
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


async def test_a_session_that_was_told_in_vain_that_it_was_lost_serves_its_subscriptions_again() -> None:
    @subscriber("n")
    async def work(event: Event) -> None:
        await anyio.lowlevel.checkpoint()

    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store))
    async with Runtime(module=module, subscribers=[work]) as runtime:
        (session,) = store.sessions
        module.plan = lambda number, call: Fault.LOST_REPLY if call == "news" else None
        await runtime.emit_and_wait("n")  # the news that it waits for are asked for before
        store.sessions[session].lease_until = 0.0
        await anyio.sleep(20)
        module.plan = lambda number, call: None
        await anyio.sleep(5)
        assert store.sessions[session].serves == {"work"}
        await runtime.emit_and_wait("n")


async def test_what_fails_after_it_was_lost_has_no_further_attempt_here_and_leaves_no_letter() -> None:
    runs: list[int] = []

    @subscriber("n", timeout=2, retry=Retry(attempts=2, backoff=constant(30)))
    async def work(event: Event, context: Context) -> None:
        runs.append(context.attempt)
        if len(runs) == 1:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(8)

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        (session,) = store.sessions
        receipt = await runtime.emit("n")
        await anyio.sleep(1)
        store.sessions[session].lease_until = 0.0
        assert (await receipt).succeeded
        await anyio.sleep(100)
        assert runs == [1, 1]
        assert runtime.stats.pending == 0
        assert not await runtime.dead_letters.list()

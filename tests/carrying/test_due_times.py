"""On a store, a delayed event is handled when it is due, and its time to expire runs from its acceptance."""

import anyio

from postroom import Event, Expired, Runtime, Succeeded, subscriber
from postroom.testing.reference import ReferenceModule


async def test_a_delayed_event_is_handled_when_it_is_due() -> None:
    at: list[float] = []

    @subscriber("n")
    async def work(event: Event) -> None:
        at.append(anyio.current_time() - start)

    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        start = anyio.current_time()
        await runtime.emit("n", delay=3)
        await runtime.idle()
    assert at == [3.0]


async def test_the_time_in_which_a_delayed_event_expires_runs_from_its_acceptance() -> None:
    handled: list[object] = []

    @subscriber("n")
    async def work(event: Event) -> None:
        handled.append(event.data)
        if event.data == "slow":
            await anyio.sleep(8.5)

    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        await runtime.emit("n", "slow")
        late = await runtime.emit("n", "late", delay=5, expires_after=6)
        in_time = await runtime.emit("n", "in time", delay=5, expires_after=9)
        assert isinstance((await late).of("work"), Expired)
        assert isinstance((await in_time).of("work"), Succeeded)
    assert handled == ["slow", "in time"]

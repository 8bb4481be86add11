"""Promise 6: waits that would never end are refused, also where no key and no full mailbox says so."""

import anyio
import pytest

from postroom import Actor, Breaker, Event, Retry, Runtime, WouldDeadlock, constant, on

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_the_probe_of_a_breaker_may_not_wait_for_what_comes_after_it(concurrency: int) -> None:
    refused: list[WouldDeadlock] = []
    probing = False

    async def work(event: Event) -> None:
        if event.data == "down":
            raise ConnectionError
        if event.data == "probe":
            with pytest.raises(WouldDeadlock) as caught:
                await runtime.emit_and_wait("n", "behind it")
            refused.append(caught.value)

    async with Runtime(drain_within=1000) as runtime:
        await runtime.spawn(
            work,
            "n",
            concurrency=concurrency,
            breaker=Breaker(failures=1, on=ConnectionError, probe_after=5),
        )
        await runtime.emit_and_wait("n", "down")
        with anyio.fail_after(100):
            probing = (await runtime.emit_and_wait("n", "probe")).succeeded
        assert len(refused) == 1
        assert runtime.subscriptions["work"].stats.breaker == "closed"
    assert probing
    assert runtime.stats.pending == 0


async def test_the_probe_of_a_breaker_may_wait_for_another_subscription() -> None:
    async def work(event: Event) -> None:
        if event.data == "down":
            raise ConnectionError
        if event.data == "probe":
            await runtime.emit_and_wait("other")

    async def other(event: Event) -> None:
        await anyio.sleep(1)

    async with Runtime(drain_within=1000) as runtime:
        await runtime.spawn(work, "n", breaker=Breaker(failures=1, on=ConnectionError, probe_after=5))
        await runtime.spawn(other, "other")
        await runtime.emit_and_wait("n", "down")
        assert (await runtime.emit_and_wait("n", "probe")).succeeded


@pytest.mark.parametrize("how", ["outcome", "room"])
async def test_an_instance_that_starts_may_not_wait_for_its_own_events(how: str) -> None:
    refused: list[str] = []

    class Impatient(Actor):
        async def started(self) -> None:
            with pytest.raises(WouldDeadlock) as caught:
                receipt = await self.emit("n")
                if how == "outcome":
                    await receipt
                await self.emit("n")
            refused.append(str(caught.value))

        @on("n")
        async def work(self, event: Event) -> None:
            pass

    async with Runtime() as runtime:
        await runtime.spawn(Impatient, capacity=1)
        await anyio.sleep(1)
    assert len(refused) == 1
    assert runtime.stats.succeeded == 1


async def test_an_instance_that_starts_may_wait_for_others() -> None:
    answers: list[object] = []

    class Asks(Actor):
        async def started(self) -> None:
            answers.append(await runtime.request("what"))

        @on("n")
        async def work(self, event: Event) -> None:
            pass

    async def tells(event: Event) -> int:
        await anyio.sleep(1)
        return 42

    async with Runtime() as runtime:
        await runtime.spawn(tells, "what")
        await runtime.spawn(Asks)
        assert (await runtime.emit_and_wait("n")).succeeded
    assert answers == [42]


async def test_a_handler_may_not_wait_to_delay_an_event_behind_delayed_ones_that_wait_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("postroom.dispatcher.MOST_DELAYED", 2)
    refused: list[str] = []

    async def work(event: Event) -> None:
        if event.data == "first":
            await anyio.sleep(5)
            with pytest.raises(WouldDeadlock) as caught, anyio.fail_after(100):
                await runtime.emit("n", "later", delay=1)
            refused.append(str(caught.value))

    async with Runtime(drain_within=100) as runtime:
        await runtime.spawn(work, "n", capacity=1)
        await runtime.emit("n", "first")
        await anyio.sleep(0.1)
        for _ in range(3):
            await runtime.emit("n", delay=1)  # one finds room in the mailbox when due, and two stand in line
            await anyio.sleep(1.5)
        await anyio.sleep(10)
        assert (await runtime.emit_and_wait("n", "after", delay=1)).succeeded
    assert len(refused) == 1


async def test_a_retry_that_waits_for_its_time_is_no_reason_to_refuse_a_wait() -> None:
    async def fails_once(event: Event) -> None:
        if not seen:
            seen.append(event)
            raise ValueError

    async def waits(event: Event) -> None:
        await runtime.emit_and_wait("flaky", key="k")

    seen: list[Event] = []
    async with Runtime(drain_within=100) as runtime:
        await runtime.spawn(fails_once, "flaky", capacity=1, retry=Retry(attempts=2, backoff=constant(5)))
        await runtime.spawn(waits, "n")
        assert (await runtime.emit_and_wait("n")).succeeded


async def test_what_a_handler_waits_for_comes_back_although_the_mailbox_is_full_of_what_waits_for_that_handler() -> (
    None
):
    seen: list[object] = []

    async def work(event: Event) -> None:
        seen.append(event.data)
        if event.data == "asks":
            await runtime.emit_and_wait("n", "fails once")
        elif seen.count("fails once") == 1:
            raise ValueError

    async with Runtime(drain_within=100) as runtime:
        await runtime.spawn(work, "n", capacity=1, concurrency=2, retry=Retry(attempts=2, backoff=constant(1)))
        receipt = await runtime.emit("n", "asks", key="k")
        await anyio.sleep(0.5)
        await runtime.emit("n", "behind it", key="k")
        with anyio.fail_after(50):
            assert (await receipt).succeeded
    assert seen == ["asks", "fails once", "fails once", "behind it"]

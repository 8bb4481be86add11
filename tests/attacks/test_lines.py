"""Promises 2 and 3: memory is bounded by the caps, and one subscription does not stop another."""

import gc
import weakref

import anyio
import pytest

from postroom import Event, MailboxFull, Retry, Runtime, constant

pytestmark = pytest.mark.anyio


async def test_what_a_mailbox_drops_is_let_go_also_while_its_handler_hangs() -> None:
    class Data:
        pass

    alive: weakref.WeakSet[Data] = weakref.WeakSet()

    async def work(event: Event) -> None:
        await anyio.sleep(1000)

    async with Runtime(drain_within=0, watchdog=None) as runtime:
        await runtime.spawn(work, "n", capacity=10, overflow="drop_oldest")
        for _ in range(3000):
            data = Data()
            alive.add(data)
            await runtime.emit("n", data, priority="low")
        del data
        gc.collect()
        assert len(alive) <= 20


async def test_emit_nowait_with_a_delay_is_refused_where_no_more_may_be_delayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("postroom.dispatcher.MOST_DELAYED", 10)

    async def work(event: Event) -> None:
        pass

    async with Runtime(drain_within=0) as runtime:
        await runtime.spawn(work, "n")
        with pytest.raises(MailboxFull):
            for _ in range(100):
                runtime.emit_nowait("n", delay=100)


async def test_delays_of_one_subscription_do_not_stop_another_whose_attempts_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("postroom.dispatcher.MOST_DELAYED", 10)
    seen: list[int] = []

    async def later(event: Event) -> None:
        pass

    async def fails(event: Event) -> None:
        seen.append(event.data)
        if event.data == 0:
            raise ValueError

    async with Runtime(drain_within=0) as runtime:
        await runtime.spawn(later, "later")
        await runtime.spawn(fails, "n", retry=Retry(attempts=2, backoff=constant(0.1)))
        for _ in range(10):
            await runtime.emit("later", delay=1e6)
        await runtime.emit("n", 0)
        await runtime.emit("n", 1)
        await anyio.sleep(60)
        assert 1 in seen


async def test_delayed_events_that_are_due_hold_back_their_emitters_where_the_mailbox_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("postroom.dispatcher.MOST_DELAYED", 10)
    emitted = 0

    async def slow(event: Event) -> None:
        await anyio.sleep(10)

    async with Runtime(drain_within=1e6) as runtime:
        subscription = await runtime.spawn(slow, "n", capacity=1)
        with anyio.move_on_after(9):
            for _ in range(1000):
                await runtime.emit("n", delay=0.001)
                emitted += 1
        assert emitted == 12  # one at work, one in the mailbox, ten on their way
        assert subscription.stats.in_line == 10
        with pytest.raises(MailboxFull):
            runtime.emit_nowait("n", delay=0.001)
    assert runtime.stats.succeeded == runtime.stats.accepted
    assert runtime.stats.pending == 0


async def test_delayed_events_that_wait_for_room_do_not_stop_retries_of_the_same_subscription(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("postroom.dispatcher.MOST_DELAYED", 3)
    seen: list[object] = []

    async def fails(event: Event) -> None:
        seen.append(event.data)
        await anyio.sleep(1)
        if event.data == "fails":
            raise ValueError

    async with Runtime(drain_within=1000) as runtime:
        await runtime.spawn(fails, "n", capacity=1, retry=Retry(attempts=2, backoff=constant(1)))
        await runtime.emit("n", "fails")
        with anyio.move_on_after(0.5):
            for number in range(10):
                await runtime.emit("n", number, delay=0.001)
    assert seen.count("fails") == 2
    assert runtime.stats.pending == 0

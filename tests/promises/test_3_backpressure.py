"""Promise 3: memory is bounded by the capacities; a full mailbox holds back exactly its emitters, first come first."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Dropped, Event, MailboxFull, Retry, Runtime, constant, subscriber
from postroom.subscriber import OverflowPolicy
from tests.promises.quick import LIBRARIES, Library, quick, run


@pytest.mark.parametrize("library", LIBRARIES)
@given(
    capacity=st.integers(1, 4),
    emitters=st.integers(1, 12),
    bursts=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    concurrency=st.integers(1, 3),
)
@quick
def test_a_mailbox_never_exceeds_its_capacity_and_its_emitters_are_served_first_come_first(
    library: Library, capacity: int, emitters: int, bursts: list[int], concurrency: int
) -> None:
    accepted: list[int] = []
    returned: list[int] = []
    handled: list[int] = []
    most: list[int] = [0]

    async def main() -> None:
        async def slow(event: Event) -> None:
            most[0] = max(most[0], runtime.subscriptions["slow"].stats.waiting)
            handled.append(event.data[0])
            await anyio.sleep(1)

        async with Runtime(drain_within=1000) as runtime, anyio.create_task_group() as tasks:

            async def emit(emitter: int) -> None:
                accepted.append(emitter)
                await runtime.emit_many([Event("n", (emitter, n)) for n in range(bursts[emitter % len(bursts)])])
                returned.append(emitter)

            await runtime.spawn(slow, "n", capacity=capacity, concurrency=concurrency)
            for emitter in range(emitters):
                tasks.start_soon(emit, emitter)
                await anyio.sleep(0.01)
                stats = runtime.subscriptions["slow"].stats
                assert stats.waiting <= capacity
                assert not stats.in_line or stats.waiting == capacity
            high_water_mark.append(runtime.subscriptions["slow"].stats.high_water_mark)

    high_water_mark: list[int] = []
    run(library, main)
    expected = [emitter for emitter in range(emitters) for _ in range(bursts[emitter % len(bursts)])]
    assert accepted == returned == list(range(emitters))
    assert handled == expected
    assert most[0] <= capacity
    assert high_water_mark[0] <= capacity


async def test_a_full_mailbox_holds_back_the_emitters_of_its_own_events_only() -> None:
    @subscriber("full.*", capacity=1)
    async def full(event: Event) -> None:
        await anyio.sleep(100)

    @subscriber("**", capacity=10)
    async def everything(event: Event) -> None: ...

    returned: list[tuple[str, float]] = []
    async with Runtime(subscribers=[full, everything], drain_within=1000) as runtime:
        start = anyio.current_time()

        async def emit(name: str) -> None:
            await runtime.emit(name)
            returned.append((name, anyio.current_time() - start))

        async with anyio.create_task_group() as tasks:
            for name in ("full.a", "full.b", "full.c", "free.a", "free.b"):
                tasks.start_soon(emit, name)
                await anyio.sleep(1)
    assert [name for name, _ in returned] == ["full.a", "full.b", "free.a", "free.b", "full.c"]
    assert [when for _, when in returned] == pytest.approx([0, 1, 3, 4, 100])


async def test_a_delivery_of_an_event_that_waits_elsewhere_is_not_held_back() -> None:
    seen: list[int] = []

    @subscriber("n", capacity=1)
    async def full(event: Event) -> None:
        await anyio.sleep(100)

    @subscriber("n", capacity=1)
    async def free(event: Event) -> None:
        seen.append(event.data)

    async with Runtime(subscribers=[full, free], drain_within=1000) as runtime:
        for number in range(2):
            await runtime.emit("n", number)
            await anyio.sleep(1)
        with anyio.move_on_after(1):
            await runtime.emit("n", 2)
        assert seen == [0, 1, 2]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_a_policy_that_drops_never_makes_an_emitter_wait(overflow: OverflowPolicy) -> None:
    @subscriber("n", capacity=2, overflow=overflow)
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime(subscribers=[hangs], drain_within=0) as runtime:
        start = anyio.current_time()
        await runtime.emit("n", -1)
        await anyio.sleep(1)
        receipts = [await runtime.emit("n", number) for number in range(10)]
        receipts += [runtime.emit_nowait("n", number) for number in range(10)]
        assert anyio.current_time() == start + 1
        assert runtime.stats.dropped == 18
        assert runtime.subscriptions["hangs"].stats.waiting == 2
        dropped = [receipt for receipt in receipts if receipt.settled]
        assert all(isinstance(receipt.report().outcomes[0], Dropped) for receipt in dropped)
        assert runtime.dead_letters.kept == 0


async def test_coalescing_keeps_the_newest_of_each_key_and_other_keys_wait() -> None:
    seen: list[tuple[str | None, int]] = []

    @subscriber("n", capacity=2, overflow="coalesce")
    async def slow(event: Event) -> None:
        await anyio.sleep(100)
        seen.append((event.key, event.data))

    async with Runtime(subscribers=[slow], drain_within=10_000) as runtime:
        await runtime.emit("n", 0, key="busy")
        await anyio.sleep(1)
        for number in range(5):
            await runtime.emit("n", number, key="a")
            await runtime.emit("n", number, key="b")
        with anyio.move_on_after(1) as patience:
            await runtime.emit("n", 9, key="c")
        assert patience.cancelled_caught
        with pytest.raises(MailboxFull):
            runtime.emit_nowait("n", 9, key="d")
        runtime.emit_nowait("n", 9, key="a")
        assert runtime.stats.dropped == 9
    assert seen == [("busy", 0), ("a", 9), ("b", 4), ("c", 9)]


async def test_retries_of_keyed_events_keep_to_the_capacity_too() -> None:
    first: set[str] = set()

    @subscriber("n", capacity=1, retry=Retry(attempts=2, backoff=constant(100)))
    async def fails_once(event: Event) -> None:
        if event.data == "hang":
            await anyio.sleep(1000)
        elif event.id not in first:
            first.add(event.id)
            raise ValueError

    async with Runtime(subscribers=[fails_once], drain_within=10_000) as runtime:
        for number in range(20):
            await runtime.emit("n", key=f"key-{number}")
        await anyio.sleep(1)
        await runtime.emit("n", "hang")
        await anyio.sleep(1)
        await runtime.emit("n", "hang")
        await anyio.sleep(200)
        assert runtime.subscriptions["fails_once"].stats.waiting == 1

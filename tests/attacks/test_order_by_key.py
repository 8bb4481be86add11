"""Promise 4: events of one key are handled one at a time and in order, retries included."""

import anyio
import pytest

from postroom import Batch, BatchFailure, Event, Retry, Runtime, constant

pytestmark = pytest.mark.anyio


async def test_a_key_in_hand_is_held_also_when_an_urgent_event_enters_from_the_line_as_it_is_taken() -> None:
    seen: list[str] = []
    failed: set[str] = set()

    async def work(event: Event) -> None:
        seen.append(event.data)
        await anyio.sleep(0.1)
        if event.data == "k1" and event.data not in failed:
            failed.add(event.data)
            raise ValueError(event.data)

    async with Runtime() as runtime:
        await runtime.spawn(work, "n", capacity=1, retry=Retry(attempts=2, backoff=constant(5)))
        await runtime.emit("n", "first")
        await anyio.sleep(0.05)
        await runtime.emit("n", "k1", key="k")
        await runtime.emit("n", "urgent", priority="critical")  # stands in line, enters as k1 is taken
        await runtime.emit("n", "k2", key="k")

    assert [data for data in seen if data[0] == "k"] == ["k1", "k1", "k2"]


async def test_each_key_of_a_batch_that_fails_is_held_until_its_retry() -> None:
    seen: list[str] = []
    calls = 0

    async def work(events: list[Event]) -> None:
        nonlocal calls
        calls += 1
        seen.extend(event.data for event in events)
        await anyio.sleep(0.1)
        if calls == 1:
            raise ValueError

    async with Runtime() as runtime:
        await runtime.spawn(work, "n", batch=Batch(size=2), retry=Retry(attempts=2, backoff=constant(5)))
        await runtime.emit_many([Event("n", f"{key}{number}", key=key) for number in (1, 2) for key in "ab"])

    assert [data for data in seen if data[0] == "a"] == ["a1", "a1", "a2"]
    assert [data for data in seen if data[0] == "b"] == ["b1", "b1", "b2"]


async def test_a_key_of_a_batch_stays_held_where_a_later_event_of_it_in_the_batch_succeeds() -> None:
    seen: list[int] = []
    calls = 0

    async def work(events: list[Event]) -> None:
        nonlocal calls
        calls += 1
        seen.extend(event.data for event in events)
        await anyio.sleep(0.1)
        if calls == 1:
            raise BatchFailure({events[0].id: ValueError()})

    async with Runtime() as runtime:
        await runtime.spawn(work, "n", batch=Batch(size=2), retry=Retry(attempts=2, backoff=constant(5)))
        await runtime.emit_many([Event("n", number, key="k") for number in range(4)])

    assert seen == [0, 1, 0, 2, 3]  # at best; what was in the batch beside the failure can't be undone


async def test_events_of_one_key_that_fail_together_come_back_in_order() -> None:
    seen: list[int] = []
    calls = 0
    waits = iter([5.0, 1.0])

    async def work(events: list[Event]) -> None:
        nonlocal calls
        calls += 1
        seen.extend(event.data for event in events)
        if calls == 1:
            raise ValueError

    async with Runtime() as runtime:
        await runtime.spawn(
            work, "n", batch=Batch(size=2), retry=Retry(attempts=2, backoff=lambda attempt, random: next(waits))
        )
        await runtime.emit_many([Event("n", number, key="k") for number in range(2)])

    assert seen == [0, 1, 0, 1]


async def test_a_delayed_event_that_falls_due_waits_for_the_one_of_its_key_in_hand() -> None:
    at_work = most = 0

    async def work(event: Event) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await anyio.sleep(5)
        at_work -= 1

    async with Runtime(drain_within=100) as runtime:
        await runtime.spawn(work, "n", concurrency=2)
        await runtime.emit("n", 1, key="k")
        await runtime.emit("n", 2, key="k", delay=1)
    assert most == 1


async def test_a_delayed_event_that_falls_due_does_not_overtake_a_retry_of_its_key() -> None:
    seen: list[int] = []

    async def work(event: Event) -> None:
        seen.append(event.data)
        if seen == [1]:
            raise ValueError

    async with Runtime(drain_within=100) as runtime:
        await runtime.spawn(work, "n", retry=Retry(attempts=2, backoff=constant(5)))
        await runtime.emit("n", 1, key="k")
        await runtime.emit("n", 2, key="k", delay=1)
    assert seen == [1, 1, 2]


async def test_what_waits_behind_events_that_failed_together_stays_behind_all_of_them() -> None:
    seen: list[int] = []
    waits = iter([1.0, 3.0, 5.0])  # of 0, of 1, of 0 once more

    async def work(events: list[Event]) -> None:
        seen.extend(event.data for event in events)
        if len(seen) <= 3:
            raise ValueError

    async with Runtime(drain_within=1000) as runtime:
        await runtime.spawn(
            work,
            "n",
            batch=Batch(size=2),
            capacity=2,
            retry=Retry(attempts=3, backoff=lambda attempt, random: next(waits)),
        )
        await runtime.emit_many([Event("n", number, key="k") for number in range(7)])
    assert seen == [0, 1, 0, 0, 1, 2, 3, 4, 5, 6]


async def test_a_key_stays_held_where_another_event_of_it_that_failed_together_is_given_up() -> None:
    seen: list[int] = []

    async def work(events: list[Event]) -> None:
        seen.extend(event.data for event in events)
        if seen == [0, 1]:
            raise ValueError

    async with Runtime(drain_within=1000) as runtime:
        await runtime.spawn(work, "n", batch=Batch(size=2), retry=Retry(attempts=2, backoff=constant(5)))
        await runtime.emit_many([Event("n", 0, key="k"), Event("n", 1, key="k", attempts=1), Event("n", 2, key="k")])
    assert seen == [0, 1, 0, 2]


@pytest.mark.parametrize("how", ["stop", "leave"])
async def test_events_of_one_key_that_wait_to_come_back_are_cancelled_together(how: str) -> None:
    async def work(events: list[Event]) -> None:
        raise ValueError

    async with Runtime(drain_within=1) as runtime:
        subscription = await runtime.spawn(
            work, "n", batch=Batch(size=3), retry=Retry(attempts=2, backoff=constant(5)), name="work"
        )
        receipts = await runtime.emit_many([Event("n", number, key="k") for number in range(5)])
        await anyio.sleep(0.5)
        assert runtime.snapshot().of("work").scheduled == 3
        if how == "stop":
            await subscription.stop(drain=False)
    assert [type(receipt.report().outcomes[0]).__name__ for receipt in receipts] == ["Cancelled"] * 5
    assert runtime.stats.pending == 0

"""Batch handlers: a list at a time, each delivery settled by itself (promises 1, 4 and 7)."""

import anyio
import pytest

from postroom import (
    Batch,
    BatchFailure,
    Cancelled,
    Context,
    Event,
    HandlerAborted,
    Receipt,
    Retry,
    Runtime,
    constant,
    subscriber,
)
from postroom.errors import InvalidOption

pytestmark = pytest.mark.anyio


async def test_a_batch_holds_what_waits_up_to_its_size_in_order() -> None:
    batches: list[list[int]] = []

    @subscriber("n", batch=Batch(size=3))
    async def collect(events: list[Event]) -> None:
        batches.append([event.data for event in events])
        await anyio.sleep(1)

    async with Runtime(subscribers=[collect]) as runtime:
        await runtime.emit_many([Event("n", number) for number in range(7)])

    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


async def test_a_batch_waits_for_more_but_no_longer_than_within() -> None:
    seen: list[tuple[float, list[int]]] = []

    @subscriber("n", batch=Batch(size=10, within=2))
    async def collect(events: list[Event]) -> None:
        seen.append((anyio.current_time() - start, [event.data for event in events]))

    async with Runtime(subscribers=[collect]) as runtime:
        start = anyio.current_time()
        await runtime.emit("n", 1)
        await anyio.sleep(1.5)
        await runtime.emit("n", 2)
        await anyio.sleep(5)

    [(when, batch)] = seen
    assert when == pytest.approx(2)
    assert batch == [1, 2]


async def test_leaving_hands_over_a_batch_that_is_not_full_at_once() -> None:
    sizes: list[int] = []

    @subscriber("n", batch=Batch(size=10, within=3))
    async def collect(events: list[Event]) -> None:
        sizes.append(len(events))

    async with Runtime(subscribers=[collect]) as runtime:
        for number in range(3):
            await runtime.emit("n", number)

    assert sizes == [3]


async def test_a_handler_may_fail_single_events_of_its_batch() -> None:
    attempts: list[list[int]] = []

    @subscriber("n", batch=Batch(size=4), retry=Retry(attempts=2, backoff=constant(1)))
    async def picky(events: list[Event]) -> None:
        attempts.append([event.data for event in events])
        bad = {event.id: ValueError(event.data) for event in events if event.data % 2}
        if bad and len(attempts) == 1:
            raise BatchFailure(bad)

    async with Runtime(subscribers=[picky]) as runtime:
        receipts = await runtime.emit_many([Event("n", number) for number in range(4)])
        reports = [await receipt for receipt in receipts]

    assert attempts == [[0, 1, 2, 3], [1, 3]]
    assert [report.of("picky").attempts for report in reports] == [1, 2, 1, 2]
    assert all(report.succeeded for report in reports)


async def test_a_batch_that_raises_fails_each_of_its_events() -> None:
    @subscriber("n", batch=Batch(size=2))
    async def broken(events: list[Event]) -> None:
        raise LookupError("no table")

    async with Runtime(subscribers=[broken]) as runtime:
        receipts = await runtime.emit_many([Event("n", number) for number in range(3)])
        reports = [await receipt for receipt in receipts]
        stats = runtime.stats

    assert not any(report.succeeded for report in reports)
    assert (stats.deliveries, stats.failed) == (3, 3)
    assert runtime.dead_letters.kept == 3


async def test_a_batch_failure_that_names_a_foreign_event_fails_the_whole_batch() -> None:
    @subscriber("n", batch=Batch(size=2))
    async def confused(events: list[Event]) -> None:
        raise BatchFailure({"nobody": ValueError()})

    async with Runtime(subscribers=[confused]) as runtime:
        report = await runtime.emit_and_wait("n")

    with pytest.raises(ExceptionGroup) as group:
        report.raise_for_failures()
    assert isinstance(group.value.exceptions[0], HandlerAborted)


async def test_batches_of_several_workers_keep_the_events_of_a_key_apart() -> None:
    running: set[str] = set()
    order: dict[str, list[int]] = {"a": [], "b": []}

    @subscriber("n", batch=Batch(size=2), concurrency=3)
    async def collect(events: list[Event]) -> None:
        keys = {str(event.key) for event in events}
        assert not keys & running
        running.update(keys)
        await anyio.sleep(1)
        running.difference_update(keys)
        for event in events:
            order[str(event.key)].append(event.data)

    async with Runtime(subscribers=[collect]) as runtime:
        for number in range(10):
            await runtime.emit("n", number, key="ab"[number % 2])

    assert order == {"a": [0, 2, 4, 6, 8], "b": [1, 3, 5, 7, 9]}


async def test_what_a_batch_emits_is_caused_by_its_deepest_event() -> None:
    caused: list[tuple[str | None, int]] = []

    @subscriber("n", batch=Batch(size=2))
    async def forward(events: list[Event], context: Context) -> None:
        await context.emit("next")

    @subscriber("next")
    async def note(event: Event) -> None:
        caused.append((event.cause, event.depth))

    async with Runtime(subscribers=[forward, note]) as runtime:
        receipts = await runtime.emit_many([Event("n", 1), Event("n", 2)])

    assert caused == [(receipts[0].id, 1)]


async def test_a_batch_is_cancelled_by_its_timeout_as_one() -> None:
    @subscriber("n", batch=Batch(size=2), timeout=1)
    async def slow(events: list[Event]) -> None:
        await anyio.sleep(10)

    async with Runtime(subscribers=[slow]) as runtime:
        receipts = await runtime.emit_many([Event("n", 1), Event("n", 2)])
        start = anyio.current_time()
        reports = [await receipt for receipt in receipts]
        assert anyio.current_time() - start == pytest.approx(1)

    assert [type(report.of("slow").exception).__name__ for report in reports] == ["HandlerTimeout"] * 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": True}, {"size": 2, "within": -1}, {"size": 2, "within": float("nan")}]
)
def test_a_batch_that_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidOption):
        Batch(**options)  # type: ignore[arg-type]


async def test_an_interrupt_in_a_handler_of_batches_ends_the_runtime_and_all_of_the_batch() -> None:
    @subscriber("n", batch=Batch(size=2))
    async def handler(events: list[Event]) -> None:
        raise SystemExit(3)

    receipts: list[Receipt] = []
    with pytest.raises(SystemExit):
        async with Runtime(subscribers=[handler]) as runtime:
            receipts.extend([await runtime.emit("n") for _ in range(2)])
            await anyio.sleep(10)
    assert [type(each.report().of("handler")) for each in receipts] == [Cancelled] * 2

"""Promise 4: one emitter's events reach a mailbox in order; those of one key are handled in order, one at a time."""

from collections import defaultdict

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Batch, Event, Retry, Runtime, constant, subscriber
from postroom.subscriber import OverflowPolicy
from tests.promises.quick import LIBRARIES, Library, quick, run

KEYS = st.sampled_from(["a", "b", "c"])
Plan = list[tuple[int, float]]


@pytest.mark.parametrize("library", LIBRARIES)
@given(
    capacity=st.integers(1, 5),
    counts=st.lists(st.integers(1, 8), min_size=1, max_size=4),
    works=st.lists(st.sampled_from([0.0, 0.0, 1.0]), min_size=1, max_size=5),
    pauses=st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=1, max_size=5),
    batch=st.sampled_from([None, Batch(size=2), Batch(size=3, within=1)]),
)
@quick
def test_what_one_task_emits_is_handled_in_the_order_emitted(
    library: Library, capacity: int, counts: list[int], works: list[float], pauses: list[float], batch: Batch | None
) -> None:
    seen: dict[int, list[int]] = defaultdict(list)

    async def note(event: Event) -> None:
        emitter, number = event.data
        await anyio.sleep(works[number % len(works)])
        seen[emitter].append(number)

    async def note_batch(events: list[Event]) -> None:
        for event in events:
            await note(event)

    async def main() -> None:
        async with Runtime(drain_within=1000) as runtime, anyio.create_task_group() as tasks:

            async def emit(emitter: int) -> None:
                for number in range(counts[emitter]):
                    await runtime.emit("n", (emitter, number))
                    await anyio.sleep(pauses[number % len(pauses)])

            await runtime.spawn(note_batch if batch else note, "n", capacity=capacity, batch=batch)
            for emitter in range(len(counts)):
                tasks.start_soon(emit, emitter)

    run(library, main)
    assert dict(seen) == {emitter: list(range(count)) for emitter, count in enumerate(counts)}


async def handle_by_key(
    events: list[tuple[str | None, str]], *, concurrency: int, capacity: int, overflow: OverflowPolicy, attempts: int
) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Emit (key, how its first attempt goes) in order from one task.

    Returns:
        For each key the numbers of its events as they were emitted, and those that were handled, as they ended.

    Raises:
        AssertionError: two of one key were in hand at the same time, or one came between another's attempts.
    """
    emitted: dict[str, list[int]] = defaultdict(list)
    handled: dict[str, list[int]] = defaultdict(list)
    open_one: dict[str, int] = {}
    errors: list[str] = []
    tried: set[int] = set()

    @subscriber(
        "n",
        concurrency=concurrency,
        capacity=capacity,
        overflow=overflow,
        retry=Retry(attempts=attempts, backoff=constant(1)),
    )
    async def note(event: Event) -> None:
        number, how = event.data
        key = str(event.key)
        if event.key is not None and open_one.setdefault(key, number) != number:
            errors.append(f"{number} began while {open_one[key]} of the same key was not finished")
        await anyio.sleep(0.7 if how == "slow" else 0)
        if how == "fail" and number not in tried and attempts > 1:
            tried.add(number)
            raise ValueError
        open_one.pop(key, None)
        handled[key].append(number)

    async with Runtime(subscribers=[note], drain_within=1000) as runtime:
        for number, (key, how) in enumerate(events):
            emitted[str(key)].append(number)
            await runtime.emit("n", (number, how), key=key)
            if how == "pause":
                await anyio.sleep(0.5)
    assert not errors, errors[0]
    return emitted, handled


events = st.lists(
    st.tuples(st.sampled_from(["a", "a", "b", None]), st.sampled_from(["quick", "slow", "fail", "pause"])), max_size=20
)


@pytest.mark.parametrize("library", LIBRARIES)
@given(events=events, concurrency=st.integers(1, 4), capacity=st.integers(1, 6), attempts=st.integers(1, 2))
@quick
def test_events_of_one_key_are_handled_in_order_one_at_a_time_retries_included(
    library: Library, events: list[tuple[str | None, str]], concurrency: int, capacity: int, attempts: int
) -> None:
    emitted, handled = run(
        library,
        lambda: handle_by_key(events, concurrency=concurrency, capacity=capacity, overflow="wait", attempts=attempts),
    )
    for key in emitted.keys() - {"None"}:
        assert handled[key] == emitted[key]
    assert sorted(handled["None"]) == emitted["None"]


crowds = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["slow", "slow", "pause"])), min_size=10, max_size=20
)


@pytest.mark.parametrize("library", LIBRARIES)
@given(
    events=crowds,
    overflow=st.sampled_from(["drop_oldest", "drop_newest", "coalesce"]),
    concurrency=st.integers(3, 4),
    capacity=st.integers(1, 2),
    attempts=st.integers(1, 2),
)
@quick
def test_dropping_leaves_the_order_within_a_key_alone(
    library: Library,
    events: list[tuple[str | None, str]],
    overflow: OverflowPolicy,
    concurrency: int,
    capacity: int,
    attempts: int,
) -> None:
    _, handled = run(
        library,
        lambda: handle_by_key(events, concurrency=concurrency, capacity=capacity, overflow=overflow, attempts=attempts),
    )
    for key in handled.keys() - {"None"}:
        assert handled[key] == sorted(handled[key])


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "coalesce"])
async def test_dropping_an_event_does_not_free_the_key_that_another_one_holds(overflow: OverflowPolicy) -> None:
    started: list[int] = []

    @subscriber("n", concurrency=3, capacity=2, overflow=overflow)
    async def slow(event: Event) -> None:
        started.append(event.data)
        await anyio.sleep(10)

    async with Runtime(subscribers=[slow], drain_within=1000) as runtime:
        await runtime.emit("n", 1, key="a")
        await runtime.emit("n", 2, key="b")
        await anyio.sleep(1)
        for number, key in enumerate("ababab", 3):
            runtime.emit_nowait("n", number, key=key)
        await anyio.sleep(1)
        assert started == [1, 2]


async def test_different_keys_run_side_by_side() -> None:
    @subscriber("n", concurrency=3)
    async def slow(event: Event) -> None:
        await anyio.sleep(10)

    async with Runtime(subscribers=[slow]) as runtime:
        start = anyio.current_time()
        receipts = [await runtime.emit("n", key=key) for key in ("a", "b", "c", "a")]
        for receipt in receipts[:3]:
            await receipt
        assert anyio.current_time() - start == pytest.approx(10)
        await receipts[3]
        assert anyio.current_time() - start == pytest.approx(20)


async def test_within_a_key_order_beats_priority_and_a_retry_keeps_its_place() -> None:
    seen: list[int] = []

    @subscriber("n", retry=Retry(attempts=2, backoff=constant(5)))
    async def fails_once(event: Event) -> None:
        seen.append(event.data)
        if event.data == 1 and seen.count(event.data) == 1:
            raise ValueError

    async with Runtime(subscribers=[fails_once]) as runtime:
        await runtime.emit("n", 1, key="a", priority="lowest")
        await runtime.emit("n", 2, key="a", priority="critical")
        await runtime.emit("n", 3, key="b")
    assert seen == [3, 1, 1, 2]


async def test_without_a_key_a_retried_event_loses_its_place() -> None:
    seen: list[int] = []

    @subscriber("n", retry=Retry(attempts=2, backoff=constant(5)))
    async def fails_once(event: Event) -> None:
        seen.append(event.data)
        if event.data == 1 and seen.count(1) == 1:
            raise ValueError

    async with Runtime(subscribers=[fails_once]) as runtime:
        await runtime.emit("n", 1)
        await runtime.emit("n", 2)
    assert seen == [1, 2, 1]


async def test_nothing_starves_behind_events_of_a_higher_priority() -> None:
    handled: list[str] = []

    @subscriber("n")
    async def slow(event: Event) -> None:
        handled.append(event.data)
        await anyio.sleep(1)

    async with Runtime(subscribers=[slow], drain_within=1000) as runtime:
        await runtime.emit("n", "first")
        await runtime.emit("n", "patient", priority="low")
        for _ in range(60):
            await runtime.emit("n", "urgent", priority="critical")
            await anyio.sleep(1)
    # Its head start is 30 s worse: what comes up to then goes first, what comes later does not.
    assert 28 <= handled.index("patient") <= 33

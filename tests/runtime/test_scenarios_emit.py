"""Emitting, and what happens around it (reliability scenarios 22, 24, 25, 29 to 32, 34, 35, 37, 73, 78)."""

import itertools

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from postroom import (
    Cancelled,
    CausationTooDeep,
    Context,
    DuplicateSubscription,
    Event,
    Failed,
    InvalidName,
    Receipt,
    Runtime,
    RuntimeClosed,
    Succeeded,
    WrongThread,
    subscriber,
)


async def test_22_an_event_storm_ends_with_an_error_that_names_the_event() -> None:
    depths: list[int] = []

    @subscriber("storm")
    async def again(event: Event, context: Context) -> None:
        depths.append(event.depth)
        await context.emit("storm")

    async with Runtime(subscribers=[again]) as runtime:
        await runtime.emit("storm")
    (letter,) = await runtime.dead_letters.list()
    assert depths == list(range(65))
    assert isinstance(letter.exception, CausationTooDeep)
    assert (letter.exception.name, letter.exception.depth) == ("storm", 65)
    assert letter.exception.cause == letter.event.id
    assert "storm" in str(letter.exception)


async def test_22_a_storm_without_the_context_is_found_too() -> None:
    count: list[int] = []

    @subscriber("storm")
    async def again(event: Event) -> None:
        count.append(event.depth)
        runtime.emit_nowait("storm")

    async with Runtime(subscribers=[again], causation_depth=3) as runtime:
        await runtime.emit("storm")
    assert count == [0, 1, 2, 3]


async def test_22_a_delayed_event_begins_a_new_chain() -> None:
    depths: list[int] = []

    @subscriber("job")
    async def job(event: Event, context: Context) -> None:
        depths.append(event.depth)
        if len(depths) < 10:
            await context.emit("job", delay=60)

    async with Runtime(subscribers=[job], causation_depth=2) as runtime:
        await runtime.emit("job")
        await anyio.sleep(1000)
    assert depths == [0] * 10


async def test_24_a_subscription_removed_before_its_copy_is_placed_settles_as_unsubscribed() -> None:
    @subscriber("n", capacity=1)
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    receipts: list[Receipt] = []
    async with Runtime(subscribers=[hangs]) as runtime, anyio.create_task_group() as tasks:

        async def emits() -> None:
            receipts.append(await runtime.emit("n", 2))

        for number in range(2):
            await runtime.emit("n", number)
            await anyio.sleep(1)
        tasks.start_soon(emits)
        await anyio.sleep(1)
        assert runtime.subscriptions["hangs"].stats.in_line == 1
        await runtime.subscriptions["hangs"].stop(drain=False)
        await anyio.sleep(1)
        (receipt,) = receipts
        report = await receipt
    assert report.outcomes == (Cancelled("hangs", "unsubscribed", 0, 0.0),)


async def test_24_what_stands_in_line_is_drained_with_the_rest() -> None:
    seen: list[int] = []

    @subscriber("n", capacity=1)
    async def slow(event: Event) -> None:
        await anyio.sleep(5)
        seen.append(event.data)

    async with Runtime(subscribers=[slow]) as runtime, anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(runtime.emit, "n", number)
            await anyio.sleep(0.1)
        await runtime.subscriptions["slow"].stop()
        assert seen == [0, 1, 2, 3]
        assert "slow" not in runtime.subscriptions


async def test_25_a_cancelled_drain_goes_on_and_can_be_cut_short() -> None:
    @subscriber("n")
    async def slow(event: Event) -> None:
        await anyio.sleep(5)

    async with Runtime(subscribers=[slow]) as runtime:
        subscription = runtime.subscriptions["slow"]
        receipts = [await runtime.emit("n", number) for number in range(3)]
        with anyio.move_on_after(6) as patience:
            await subscription.stop()
        assert patience.cancelled_caught
        await subscription.stop(drain=False)
        assert [type(receipt.report().outcomes[0]) for receipt in receipts] == [Succeeded, Cancelled, Cancelled]


async def test_26_two_declarations_of_one_name_are_refused_when_the_runtime_is_made() -> None:
    @subscriber("n", name="same")
    async def one(event: Event) -> None: ...

    @subscriber("m", name="same")
    async def two(event: Event) -> None: ...

    with pytest.raises(DuplicateSubscription, match="same"):
        Runtime(subscribers=[one, two])


async def test_29_an_emitter_that_stops_waiting_for_the_acknowledgement_leaves_the_event_alone() -> None:
    seen: list[int] = []

    @subscriber("n")
    async def slow(event: Event) -> None:
        await anyio.sleep(10)
        seen.append(event.data)

    async with Runtime(subscribers=[slow]) as runtime:
        with anyio.move_on_after(1) as patience:
            await runtime.emit_and_wait("n", 1)
        assert patience.cancelled_caught
        assert seen == []
        await anyio.sleep(10)
        assert seen == [1]


async def test_30_an_emit_past_its_deadline_is_cancelled_where_it_first_waits() -> None:
    @subscriber("n", capacity=2)
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime(subscribers=[hangs], drain_within=0) as runtime:
        await runtime.emit("n", 0)
        await anyio.sleep(1)
        await runtime.emit("n", 1)  # begins a slice
        with anyio.CancelScope(deadline=-1) as first:
            await runtime.emit("n", 2)  # room at once: nothing to wait for
        with anyio.CancelScope(deadline=-1) as second:
            await runtime.emit("n", 3)
        assert not first.cancelled_caught
        assert second.cancelled_caught
        assert runtime.stats.accepted == 4


async def test_30_an_emit_past_its_deadline_is_cancelled_where_it_first_yields() -> None:
    async with Runtime() as runtime:
        with anyio.CancelScope(deadline=-1) as scope:
            for _ in range(10_000):
                await runtime.emit("n")
        assert scope.cancelled_caught
        assert runtime.stats.accepted < 10_000


async def test_31_handlers_may_emit_while_the_runtime_drains_and_others_may_not() -> None:
    seen: list[str] = []
    refused: list[RuntimeClosed] = []

    @subscriber("first")
    async def first(event: Event, context: Context) -> None:
        await anyio.sleep(2)
        await context.emit("second")

    @subscriber("second")
    async def second(event: Event) -> None:
        seen.append(event.name)

    async def outsider() -> None:
        await anyio.sleep(1)
        with pytest.raises(RuntimeClosed, match="draining") as error:
            await runtime.emit("second")
        refused.append(error.value)

    async with anyio.create_task_group() as tasks, Runtime(subscribers=[first, second]) as runtime:
        await runtime.emit("first")
        tasks.start_soon(outsider)
    assert seen == ["second"]
    assert len(refused) == 1
    assert runtime.stats.accepted == 2


async def test_31_a_handler_that_is_cancelled_at_the_drains_deadline_can_emit_no_more() -> None:
    results: list[object] = []

    @subscriber("n")
    async def late(event: Event) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            try:
                results.append(runtime.emit_nowait("late"))
            except RuntimeClosed as error:
                results.append(error)

    async with Runtime(subscribers=[late], drain_within=1) as runtime:
        await runtime.emit("n")
    assert [type(result) for result in results] == [RuntimeClosed]


async def test_32_a_foreign_thread_is_refused_and_told_what_to_call() -> None:
    async with Runtime() as runtime:
        with pytest.raises(WrongThread, match="from_thread"):
            await anyio.to_thread.run_sync(runtime.emit_nowait, "n")
        assert runtime.stats.accepted == 0


async def test_34_an_event_for_a_thousand_subscribers_is_accepted_in_one_turn() -> None:
    data = object()
    seen: list[object] = []

    async def note(event: Event) -> None:
        seen.append(event.data)

    async with Runtime() as runtime:
        for number in range(1000):
            await runtime.spawn(note, "n", name=f"note-{number}")
        receipt = runtime.emit_nowait("n", data)
        assert receipt.pending == 1000
        assert seen == []
        report = await receipt
    assert report.succeeded
    assert len(report.outcomes) == 1000
    assert {id(each) for each in seen} == {id(data)}


async def test_35_an_emitter_that_never_waits_yields_by_slice() -> None:
    turns: list[int] = []
    async with Runtime() as runtime, anyio.create_task_group() as tasks:

        async def other() -> None:
            while True:
                turns.append(runtime.stats.accepted)
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(other)
        for _ in range(50_000):
            await runtime.emit("n")
        tasks.cancel_scope.cancel()
    gaps = [after - before for before, after in itertools.pairwise(turns)]
    assert len(turns) > 5
    # On a virtual clock a slice ends by count; on a real one, after a millisecond. trio runs the tasks that are ready
    # in any order, so two slices may come between two turns of another task.
    assert max(gaps) <= 2 * 4096


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "a.**.b", "**.a", "a*", "*a", "a.[b]", "a|b", "a?", ".*", "a..b", "***", "a.***"]
)
async def test_37_a_pattern_is_made_of_whole_tokens_only(pattern: str) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidName, match="token"):
            await runtime.spawn(lambda event: None, pattern, name="any")
        assert not runtime.subscriptions


async def test_37_a_pattern_of_nothing_but_wildcards_still_matches() -> None:
    seen: list[str] = []

    async def note(event: Event) -> None:
        seen.append(event.name)

    stars = ".".join(["*"] * 99 + ["**"])
    async with Runtime() as runtime:
        await runtime.spawn(note, stars)
        await runtime.emit(".".join(["a"] * 99))
        await runtime.emit(".".join(["a"] * 100))
    assert [name.count(".") for name in seen] == [99]


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x", "a\n", "a\x1b[31m", "a\u202eb", "a b\tc", "a\x00"])
async def test_73_a_name_with_control_characters_is_refused_and_shown_escaped(name: str) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidName) as refused:
            await runtime.emit(name)
        with pytest.raises(InvalidName) as refused_too:
            await runtime.spawn(lambda event: None, "n", name=name)
    for text in (str(refused.value), str(refused_too.value)):
        assert text.isprintable()
        assert name not in text


async def test_78_runtimes_may_be_nested_and_run_side_by_side() -> None:
    seen: list[tuple[str, int]] = []

    @subscriber("n")
    async def outer_note(event: Event) -> None:
        seen.append(("outer", event.data))

    @subscriber("n")
    async def inner_note(event: Event) -> None:
        seen.append(("inner", event.data))

    async with Runtime(subscribers=[outer_note]) as outer, Runtime(subscribers=[inner_note]) as inner:
        await outer.emit_and_wait("n", 1)
        await inner.emit_and_wait("n", 2)
    assert seen == [("outer", 1), ("inner", 2)]


async def test_78_a_handler_of_one_runtime_may_run_another() -> None:
    @subscriber("n")
    async def starts_another(event: Event) -> object:
        async with Runtime(subscribers=[inner_double]) as inner:
            return (await inner.emit_and_wait("m", event.data)).of("inner_double")

    @subscriber("m")
    async def inner_double(event: Event) -> int:
        return 2 * int(event.data)

    async with Runtime(subscribers=[starts_another]) as runtime:
        outcome = (await runtime.emit_and_wait("n", 4)).of("starts_another")
    assert not isinstance(outcome, Failed)
    assert isinstance(outcome, Succeeded)
    assert isinstance(outcome.value, Succeeded)
    assert outcome.value.value == 8

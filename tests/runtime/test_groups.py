"""Groups: staged, released in order and all or none, cleared whole or by name."""

from typing import Any

import anyio
import anyio.to_thread
import pytest

from postroom import (
    CausationTooDeep,
    Context,
    Event,
    GroupCleared,
    GroupClosed,
    InvalidName,
    InvalidOption,
    Runtime,
    RuntimeClosed,
    StagedReceipt,
    StillStaged,
    subscriber,
)
from tests.runtime.hearing import Heard

pytestmark = pytest.mark.anyio


async def test_events_of_a_group_go_out_in_order_when_its_block_succeeds(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group() as group:
            first = await group.emit("a", 1)
            await runtime.emit("b", "not of the group")
            second = await group.emit("b", 2)
            await runtime.idle()
            assert heard.data == ["not of the group"]
            assert runtime.stats.staged == 2
        reports = [await first, await second]
        assert runtime.stats.staged == 0

    assert heard.data == ["not of the group", 1, 2]
    assert all(report.succeeded for report in reports)


async def test_events_of_a_group_are_dropped_when_its_block_raises(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        with pytest.raises(KeyError):
            async with runtime.group(id="g") as group:
                receipt = await group.emit("a", 1)
                raise KeyError
        with pytest.raises(GroupCleared) as caught:
            await receipt
        assert receipt.settled
        await runtime.idle()

    assert (caught.value.group, caught.value.reason) == ("g", "its block raised KeyError")
    assert heard.data == []
    assert runtime.stats.accepted == 0


async def test_a_cancelled_block_drops_its_events(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        with anyio.move_on_after(1):
            async with runtime.group() as group:
                receipt = await group.emit("a", 1)
                await anyio.sleep_forever()
        with pytest.raises(GroupCleared, match="Cancel"):
            await receipt

    assert heard.data == []


async def test_awaiting_a_staged_receipt_in_the_task_of_its_block_is_refused(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group(id="g") as group:
            receipt = await group.emit("a", 1)
            with pytest.raises(StillStaged, match="'g'"):
                await receipt
        assert (await receipt).succeeded


async def test_another_task_may_await_a_staged_receipt(heard: Heard) -> None:
    values: list[object] = []

    async def wait(receipt: StagedReceipt) -> None:
        values.append((await receipt.wait()).of("listen"))

    async with (
        Runtime(subscribers=[heard.listen]) as runtime,
        anyio.create_task_group() as tasks,
        runtime.group() as group,
    ):
        receipt = await group.emit("a", 1)
        assert isinstance(receipt, StagedReceipt)
        tasks.start_soon(wait, receipt)
        await anyio.sleep(1)
        assert (values, receipt.pending, receipt.report().outcomes) == ([], 1, ())

    assert len(values) == 1


async def test_a_cancelled_wait_for_a_staged_receipt_leaves_nothing_behind(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        receipt = await runtime.emit("a", 1, group="g")
        with anyio.move_on_after(1) as patience:
            await receipt
        assert patience.cancelled_caught
        assert not receipt.waiters
        await runtime.release_group("g")
        assert (await receipt).succeeded


async def test_a_group_is_staged_released_and_cleared_by_id_from_anywhere(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        for data, group in [(1, "g"), (2, "h"), (3, "g")]:
            await runtime.emit("a", data, group=group)
        assert await runtime.clear_group("h") == 1
        receipts = await runtime.release_group("g")
        assert [receipt.event.data for receipt in receipts] == [1, 3]
        assert await runtime.release_group("g") == []
        assert await runtime.release_group("h") == []
        assert await runtime.clear_group("h") == 0
        await runtime.idle()

    assert heard.data == [1, 3]


async def test_a_group_cleared_by_name_keeps_the_rest(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group() as group:
            receipts = [await group.emit(name, name) for name in ("a", "b", "a", "c")]
            assert await group.clear(names=["a", "nobody"]) == 2
        assert [(await receipt).event.name for receipt in receipts if not isinstance_cleared(receipt)] == ["b", "c"]
        with pytest.raises(GroupCleared, match="it was cleared"):
            await receipts[0]

    assert heard.data == ["b", "c"]


def isinstance_cleared(receipt: object) -> bool:
    assert isinstance(receipt, StagedReceipt)
    return receipt.cleared is not None


async def test_a_cleared_group_goes_on_with_what_comes_later(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group() as group:
            await group.emit("a", 1)
            assert await group.clear() == 1
            await group.emit("a", 2)
        await runtime.idle()

    assert heard.data == [2]


async def test_what_was_staged_by_id_before_goes_with_the_block_of_that_id(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        before = await runtime.emit("a", 1, group="g")
        async with runtime.group(id="g") as group:
            await group.emit("a", 2)
            with pytest.raises(StillStaged):
                await before
            with pytest.raises(InvalidOption, match="is open"):
                await runtime.group(id="g").__aenter__()
        await runtime.idle()
        async with runtime.group(id="g") as group:
            await group.emit("a", 3)
        await runtime.idle()

    assert heard.data == [1, 2, 3]


async def test_a_block_whose_group_was_released_from_elsewhere_begins_anew(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group(id="g") as group:
            await group.emit("a", 1)
            await runtime.release_group("g")
            await runtime.idle()
            assert heard.data == [1]
            await group.emit("a", 2)
        await runtime.idle()

    assert heard.data == [1, 2]


async def test_which_subscriptions_match_is_decided_at_the_release(heard: Heard) -> None:
    async with Runtime() as runtime:
        receipt = await runtime.emit("a", 1, group="g")
        await runtime.spawn(heard.listen)
        await runtime.release_group("g")
        assert len((await receipt).outcomes) == 1


async def test_an_event_keeps_its_time_and_is_accepted_at_the_release(heard: Heard) -> None:
    class Clock:
        def time(self) -> float:
            return anyio.current_time()

    async with Runtime(subscribers=[heard.listen], clock=Clock()) as runtime:
        start = anyio.current_time()
        receipt = await runtime.emit("a", 1, group="g")
        assert receipt.event.accepted_at is None
        await anyio.sleep(5)
        await runtime.release_group("g")
        report = await receipt

    event = report.event
    assert event is receipt.event is heard.events[0]
    assert event.time == pytest.approx(start)
    assert event.accepted_at == pytest.approx(start + 5)


async def test_delay_and_expiry_count_from_the_release(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        receipt = await runtime.emit("a", 1, group="g", delay=3, expires_after=4)
        await anyio.sleep(10)
        start = anyio.current_time()
        await runtime.release_group("g")
        assert (await receipt).succeeded
        assert anyio.current_time() - start == pytest.approx(3)


async def test_an_emit_into_a_group_is_linked_to_its_cause(heard: Heard) -> None:
    @subscriber("start")
    async def begin(event: Event, context: Context) -> None:
        async with runtime.group() as group:
            await group.emit("by.group")
            await context.emit("by.context", group=group.id)

    async with Runtime(subscribers=[begin, heard.listen]) as runtime:
        await runtime.emit("start", id="cause")
        await runtime.idle()

    assert {event.name: event.cause for event in heard.events} == {
        "start": None,
        "by.group": "cause",
        "by.context": "cause",
    }


async def test_a_chain_of_causes_that_is_too_long_is_refused_when_it_is_staged() -> None:
    @subscriber("n")
    async def again(event: Event) -> None:
        async with runtime.group() as group:
            await group.emit("n")

    async with Runtime(subscribers=[again], causation_depth=3) as runtime:
        await runtime.emit("n")
        await runtime.idle()
        [letter] = await runtime.dead_letters.list()

    assert isinstance(letter.exception, CausationTooDeep)
    assert runtime.stats.accepted == 4


async def test_leaving_the_runtime_drops_what_is_staged() -> None:
    errors: list[BaseException] = []

    async def wait(receipt: Any) -> None:
        try:
            await receipt
        except GroupCleared as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks, Runtime() as runtime:
        receipt = await runtime.emit("a", id="one", group="g")
        tasks.start_soon(wait, receipt)
        await anyio.sleep(1)

    assert receipt.settled
    assert runtime.stats.staged == 0
    assert not runtime._deduplication._staged
    assert [str(error).partition(": ")[2] for error in errors] == ["the runtime closed."]


async def test_a_block_that_outlives_its_runtime_is_told_so() -> None:
    async with Runtime() as runtime:
        group = await runtime.group().__aenter__()
        await group.emit("a")
    with pytest.raises(RuntimeClosed):
        await group.emit("a")
    with pytest.raises(RuntimeClosed):
        await group.__aexit__(None, None, None)


async def test_a_group_is_for_one_block() -> None:
    async with Runtime() as runtime:
        group = runtime.group()
        with pytest.raises(GroupClosed, match="was not entered"):
            await group.emit("a")
        async with group:
            pass
        for use in (lambda: group.emit("a"), group.clear, group.__aenter__):
            with pytest.raises(GroupClosed):
                await use()


@pytest.mark.parametrize(
    "call",
    [
        lambda runtime: runtime.emit("a", group=""),
        lambda runtime: runtime.emit("a", group=5),
        lambda runtime: runtime.release_group(None),
        lambda runtime: runtime.clear_group(""),
        lambda runtime: runtime.clear_group("g", names="a"),
        lambda runtime: runtime.clear_group("g", names=["a.*"]),
        lambda runtime: runtime.clear_group("g", names=3),
        lambda runtime: runtime.group(id=7).__aenter__(),
        lambda runtime: runtime.group(ttl=0).__aenter__(),
        lambda runtime: runtime.group(ttl=float("nan")).__aenter__(),
        lambda runtime: runtime.emit_and_wait("a", group="g"),
        lambda runtime: runtime.request("a", group="g"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_staged_or_dropped(call: Any) -> None:
    async with Runtime() as runtime:
        await runtime.emit("a", group="g")
        with pytest.raises((InvalidOption, InvalidName)):
            await call(runtime)
        assert runtime.stats.staged == 1


async def test_the_report_of_an_event_that_was_dropped_from_its_group_says_so() -> None:
    async with Runtime() as runtime:
        group = runtime.group("g")
        async with group:
            receipt = await group.emit("n")
            assert receipt.report().outcomes == ()
            await group.clear()
        with pytest.raises(GroupCleared):
            receipt.report()

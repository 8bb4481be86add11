"""Recordings: what an event caused, as a tree, and nothing paid where nobody records."""

import anyio
import anyio.to_thread
import pytest

from postroom import Context, Event, Retry, Runtime, ThreadReceipt, UnknownEvent, constant, subscriber
from postroom.dispatcher import Dispatcher
from postroom.testing import blocked_until, failing, open_runtime

pytestmark = pytest.mark.anyio


@subscriber("order.placed", retry=Retry(attempts=2, backoff=constant(5)))
async def mailer(event: Event, context: Context) -> None:
    if context.attempt == 1:
        raise ConnectionError("hush")
    await context.emit("mail.sent", "hush", key="7")


@subscriber("order.*")
async def ledger(event: Event) -> None:
    await anyio.sleep(1)


async def test_the_tree_of_an_event_tells_what_it_caused_with_outcomes_and_times() -> None:
    async with open_runtime(mailer, ledger, failing("mail.*")) as runtime:
        with runtime.recording() as recording:
            receipt = await runtime.emit("order.placed", "hush")
            assert not recording.tree(receipt).settled
            await runtime.idle()
            nobody = await runtime.emit("nobody")
    assert recording.tree(receipt).settled
    assert str(recording.tree(receipt.id)).replace("1.001", "1.000") == (
        "order.placed event-1 at 0.000 s\n"
        "├─ ledger: succeeded in attempt 1 at 1.000 s\n"
        "└─ mailer: succeeded in attempt 2 at 5.000 s\n"
        "   └─ mail.sent event-2 key 7 at 5.000 s\n"
        "      └─ failing: failed in attempt 1 at 5.000 s with ConnectionError"
    )
    assert str(recording.tree(nobody)) == "nobody event-3 at 0.000 s, nobody subscribes"
    assert [tree.event.name for tree in recording.tree(receipt)] == ["order.placed", "mail.sent"]


async def test_outcomes_that_come_after_the_block_are_told_and_events_are_not() -> None:
    gate = anyio.Event()
    async with Runtime(subscribers=[blocked_until(gate, "n")]) as runtime:
        with runtime.recording() as recording:
            receipt = await runtime.emit("n")
        assert "blocked: not settled yet" in str(recording.tree(receipt))
        later = await runtime.emit("n")
        gate.set()
    assert "blocked: succeeded" in str(recording.tree(receipt))
    with pytest.raises(UnknownEvent, match=later.id):
        recording.tree(later)


async def test_a_dispatcher_is_as_ever_where_nobody_records() -> None:
    async with Runtime() as runtime:
        dispatcher = runtime._dispatcher
        assert type(dispatcher) is Dispatcher
        with runtime.recording(), runtime.recording():
            assert type(dispatcher) is not Dispatcher
        assert type(dispatcher) is Dispatcher


async def test_a_recording_keeps_the_newest_events_and_counts_the_others() -> None:
    async with Runtime() as runtime:
        with runtime.recording(limit=2) as recording:
            ids = [(await runtime.emit("n")).id for _ in range(5)]
    assert [record.event.id for record in recording] == ids[-2:]
    assert (len(recording), recording.evicted) == (2, 3)


async def test_what_was_replayed_is_told_with_what_it_was_before() -> None:
    async with Runtime(subscribers=[failing("n")]) as runtime:
        with runtime.recording() as recording:
            receipt = await runtime.emit("n")
            await receipt
            (letter,) = await runtime.dead_letters.list()
            await (await runtime.dead_letters.replay(letter))
    assert str(recording.tree(receipt)).count("failing: failed") == 2


async def test_a_chain_of_thousands_of_events_can_be_read_and_printed() -> None:
    async def again(event: Event, context: Context) -> None:
        if event.data < 3000:
            await context.emit("n", event.data + 1, delay=1)

    async with Runtime() as runtime:
        await runtime.spawn(again, "n")
        with runtime.recording() as recording:
            receipt = await runtime.emit("n", 0)
            await runtime.idle()
    tree = recording.tree(receipt)
    assert sum(1 for _ in tree) == 3001
    assert tree.settled
    assert str(tree).endswith("… and more")


async def test_a_thread_waits_for_all_outcomes_also_where_they_are_recorded() -> None:
    first, second = anyio.Event(), anyio.Event()
    receipts: list[ThreadReceipt] = []
    reports: list[int] = []

    def in_thread() -> None:
        receipts.append(runtime.emit_from_thread("n"))
        reports.append(len(receipts[0].wait(5).outcomes))

    early, late = blocked_until(first, "n", name="early"), blocked_until(second, "n", name="late")
    async with Runtime(subscribers=[early, late]) as runtime:
        with runtime.recording():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, in_thread)
                while not receipts or len(receipts[0]._receipt.waiters or ()) < 2:  # the recording and the thread
                    await anyio.lowlevel.checkpoint()
                first.set()
                while not runtime.stats.succeeded:
                    await anyio.lowlevel.checkpoint()
                second.set()
    assert reports == [2]


async def test_what_is_dropped_at_once_is_told_at_once() -> None:
    gate = anyio.Event()
    async with Runtime(subscribers=[blocked_until(gate, "n", capacity=1, overflow="drop_newest")]) as runtime:
        await runtime.emit("n")
        await anyio.wait_all_tasks_blocked()
        with runtime.recording() as recording:
            waits, dropped = await runtime.emit("n"), await runtime.emit("n")
            assert recording.of(waits).pending == ["blocked"]
            assert "blocked: dropped at 0.000 s, the mailbox was full" in str(recording.tree(dropped))
            gate.set()


async def test_a_tree_with_very_many_lines_is_cut_where_it_is_shown() -> None:
    async def causes(event: Event, context: Context) -> None:
        for _ in range(1200):
            await context.emit("effect")

    async with Runtime() as runtime:
        await runtime.spawn(causes, "cause")
        with runtime.recording() as recording:
            receipt = await runtime.emit("cause")
            await runtime.idle()
    shown = str(recording.tree(receipt)).splitlines()
    assert len(shown) <= 1001
    assert shown[-1] == "… and more"

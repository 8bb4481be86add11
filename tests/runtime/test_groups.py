"""Groups: staged, released in order and all or none, cleared whole or by name, with a time to live."""

import logging
from typing import Any

import anyio
import anyio.to_thread
import pytest

import postroom.staging
from postroom import (
    CausationTooDeep,
    ConflictingEvent,
    Context,
    Event,
    Failed,
    GroupCleared,
    GroupClosed,
    GroupFull,
    InvalidName,
    InvalidOption,
    NoSubscriber,
    Report,
    Runtime,
    RuntimeClosed,
    StagedReceipt,
    StillStaged,
    ThreadReceipt,
    WouldDeadlock,
    subscriber,
)
from postroom.staging import TIME_TO_LIVE
from postroom.testing.reference import ReferenceModule

pytestmark = pytest.mark.anyio


class Heard:
    """What a subscriber to everything has got."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.listen = subscriber("**", name="listen")(self.take)

    async def take(self, event: Event) -> Any:
        self.events.append(event)
        return event.data

    @property
    def data(self) -> list[Any]:
        return [event.data for event in self.events]


@pytest.fixture
def heard() -> Heard:
    return Heard()


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


async def test_what_is_not_released_in_time_is_dropped_and_told(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        start = anyio.current_time()
        first = await runtime.emit("a", 1, group="g")
        await anyio.sleep(400)
        second = await runtime.emit("a", 2, group="g")
        other = await runtime.emit("a", 3, group="h")
        for receipt in (first, second):
            with pytest.raises(GroupCleared, match="not released within 600 s"):
                await receipt
            assert anyio.current_time() - start == pytest.approx(600)
        assert await runtime.release_group("g") == []
        assert not other.settled
        await runtime.release_group("h")
        await runtime.idle()

    assert heard.data == [3]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "group g was not released within 600 s: its 2 staged event(s) were dropped"
    ]


async def test_a_shorter_time_to_live_that_begins_later_ends_first() -> None:
    async with Runtime() as runtime:
        start = anyio.current_time()
        ends: dict[str, float] = {}

        async def stage(id: str, ttl: float) -> None:
            with pytest.raises(GroupClosed, match="waited for too long"):
                async with runtime.group(id=id, ttl=ttl) as group:
                    receipt = await group.emit("a")
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(note_end, id, receipt)
                    with pytest.raises(GroupClosed, match="waited for too long"):
                        await group.emit("a")

        async def note_end(id: str, receipt: Any) -> None:
            with pytest.raises(GroupCleared):
                await receipt
            ends[id] = anyio.current_time() - start

        async with anyio.create_task_group() as tasks:
            for id, ttl in [("long", 30), ("short", 5), ("middle", 10)]:
                tasks.start_soon(stage, id, ttl)

    assert ends == pytest.approx({"short": 5, "middle": 10, "long": 30})


async def test_a_group_without_a_time_to_live_waits_for_ever(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group(ttl=None) as group:
            await group.emit("a", 1)
            await anyio.sleep(80_000)
        await runtime.idle()

    assert heard.data == [1]


async def test_a_group_holds_so_many_events_and_no_more(monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
    monkeypatch.setattr(postroom.staging, "MOST_STAGED", 2)
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group(id="g") as group:
            await group.emit("a", 1)
            runtime.emit_nowait("a", 2, group="g")
            with pytest.raises(GroupFull) as caught:
                await group.emit("a", 3)
            await runtime.emit("a", "another group", group="h")
        await runtime.idle()

    assert (caught.value.group, caught.value.capacity) == ("g", 2)
    assert heard.data == [1, 2]


async def test_a_release_waits_for_room_and_cancelling_it_takes_nothing_back() -> None:
    handled: list[object] = []

    @subscriber("a", capacity=1)
    async def slow(event: Event) -> None:
        await anyio.sleep(1)
        handled.append(event.data)

    async with Runtime(subscribers=[slow]) as runtime:
        for number in range(5):
            await runtime.emit("a", number, group="g")
        start = anyio.current_time()
        with anyio.move_on_after(1.5) as patience:
            await runtime.release_group("g")
        assert patience.cancelled_caught
        await runtime.idle()
        assert anyio.current_time() - start == pytest.approx(4)  # one of them was abandoned beyond the capacity

    assert handled == [0, 1, 2, 3]
    assert runtime.stats.dropped == 1


async def test_a_release_that_would_deadlock_is_refused_and_the_group_stays(heard: Heard) -> None:
    @subscriber("n", capacity=1)
    async def fill(event: Event) -> None:
        if event.data == "fill":
            for number in range(3):
                await runtime.emit("n", number, group="g")
            await runtime.release_group("g")

    async with Runtime(subscribers=[fill]) as runtime:
        report = await runtime.emit_and_wait("n", "fill")
        assert (runtime.stats.accepted, runtime.stats.staged) == (1, 3)
        await runtime.release_group("g")
        await runtime.idle()

    [outcome] = report.outcomes
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, WouldDeadlock)
    assert runtime.stats.succeeded == 3


async def test_a_block_whose_release_is_refused_drops_its_events() -> None:
    async with Runtime() as runtime:
        with pytest.raises(NoSubscriber):
            async with runtime.group() as group:
                receipts = [await group.emit("a"), await group.emit("b", require=True)]
        for receipt in receipts:
            with pytest.raises(GroupCleared, match="NoSubscriber"):
                await receipt
        await runtime.emit("b", group="g", require=True)
        with pytest.raises(NoSubscriber):
            await runtime.release_group("g")
        assert (runtime.stats.accepted, runtime.stats.staged) == (0, 1)


async def test_waiting_in_a_handler_for_a_released_event_of_its_own_is_refused_as_ever() -> None:
    @subscriber("n")
    async def ask(event: Event) -> None:
        if event.data == "ask":
            async with runtime.group() as group:
                receipt = await group.emit("n")
            await receipt

    async with Runtime(subscribers=[ask]) as runtime:
        [outcome] = (await runtime.emit_and_wait("n", "ask")).outcomes

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, WouldDeadlock)


async def test_the_same_id_in_one_group_is_the_same_event(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group() as group:
            first = await group.emit("a", 1, id="one")
            assert await group.emit("a", 1, id="one") is first
            with pytest.raises(ConflictingEvent):
                await group.emit("a", 2, id="one")
        again = await runtime.emit("a", 1, id="one")
        assert (await again).event is (await first).event

    assert heard.data == [1]


async def test_the_same_id_in_two_groups_goes_out_with_the_first_that_is_released(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        first, second, cleared = [await runtime.emit("a", 1, id="one", group=group) for group in "ghi"]
        assert len({id(receipt) for receipt in (first, second, cleared)}) == 3
        await runtime.clear_group("i")
        await runtime.release_group("h")
        assert not first.settled
        await runtime.release_group("g")
        assert (await first).event is (await second).event

    assert heard.data == [1]


async def test_an_id_that_is_staged_is_refused_for_another_event_so_that_no_release_can_conflict(
    heard: Heard,
) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        await runtime.emit("a", 1, id="one", group="g")
        for refused in (
            lambda: runtime.emit("a", 2, id="one"),
            lambda: runtime.emit("a", 2, id="one", group="h"),
            lambda: runtime.emit_many([Event("a", 2, id="one")]),
        ):
            with pytest.raises(ConflictingEvent):
                await refused()
        await runtime.emit("a", 1, id="one")
        await runtime.release_group("g")
        await runtime.emit("b", 1, id="two", group="g")
        await runtime.clear_group("g")
        await runtime.emit("b", "another", id="two")
        await runtime.idle()

    assert heard.data == [1, "another"]


async def test_an_event_that_was_accepted_is_not_staged_again(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        accepted = await runtime.emit("a", 1, id="one")
        assert await runtime.emit("a", 1, id="one", group="g") is accepted
        assert runtime.stats.staged == 0


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


async def test_a_group_refuses_the_id_of_another() -> None:
    async with Runtime() as runtime, runtime.group() as group:
        with pytest.raises(InvalidOption, match=r"runtime\.emit"):
            await group.emit("a", group="h")


async def test_a_thread_stages_and_waits_for_the_release_and_the_outcome(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = anyio.Event()
    wake_later = StagedReceipt.wake_later
    reports: list[Report] = []

    def noted(receipt: StagedReceipt, waiter: Any) -> None:
        wake_later(receipt, waiter)
        waits.set()

    monkeypatch.setattr(StagedReceipt, "wake_later", noted)
    async with Runtime(subscribers=[heard.listen]) as runtime, anyio.create_task_group() as tasks:

        def emit() -> None:
            receipt = runtime.emit_from_thread("a", 1, group="g")
            assert not receipt.settled
            reports.append(receipt.wait(5))

        async with runtime.group(id="g", ttl=None):  # while a timer is set, virtual time does not wait for threads
            tasks.start_soon(anyio.to_thread.run_sync, emit)
            await waits.wait()
            assert reports == []

    assert [len(report.outcomes) for report in reports] == [1]
    assert heard.data == [1]


async def test_a_thread_that_gives_up_waiting_leaves_nothing_behind_before_and_after_the_release() -> None:
    opened = anyio.Event()

    @subscriber("a")
    async def wait(event: Event) -> None:
        await opened.wait()

    async with Runtime(subscribers=[wait]) as runtime:

        def give_up() -> None:
            with pytest.raises(TimeoutError):
                receipt.wait(0)

        async with runtime.group(ttl=None) as group:  # while a timer is set, virtual time does not wait for threads
            staged = await group.emit("a")
            assert isinstance(staged, StagedReceipt)
            receipt = ThreadReceipt(staged, runtime._inbox)  # type: ignore[arg-type]  # open, so it has one
            await anyio.to_thread.run_sync(give_up)
            assert not staged.waiters
        await anyio.to_thread.run_sync(give_up)
        accepted = staged.accepted
        assert accepted is not None
        assert not accepted.waiters
        opened.set()


async def test_an_id_is_free_again_once_its_event_was_cleared_by_name(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        await runtime.emit("a", 1, id="one", group="g")
        await runtime.emit("b", 1, id="two", group="g")
        await runtime.clear_group("g", names=["a"])
        await runtime.emit("a", 2, id="one")
        with pytest.raises(ConflictingEvent):
            await runtime.emit("b", 2, id="two")
        await runtime.release_group("g")
        await runtime.idle()
    assert heard.data == [2, 1]


async def test_groups_that_have_ended_leave_no_alarms_behind() -> None:
    async with Runtime() as runtime:
        for _ in range(100):
            async with runtime.group() as group:
                await group.emit("a")
        assert len(runtime._around.alarms) == 1
        await anyio.sleep(TIME_TO_LIVE + 1)
        assert len(runtime._around.alarms) == 0


async def test_82_a_log_handler_that_raises_changes_nothing_when_a_group_expires(heard: Heard) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ValueError

    broken = Broken()
    logging.getLogger("postroom").addHandler(broken)
    try:
        async with Runtime(subscribers=[heard.listen]) as runtime:
            receipt = await runtime.emit("a", group="g")
            with pytest.warns(RuntimeWarning, match="ValueError"), pytest.raises(GroupCleared):
                await receipt
            assert (await runtime.emit_and_wait("b")).succeeded
    finally:
        logging.getLogger("postroom").removeHandler(broken)


async def test_many_are_staged_in_their_order_one_receipt_each(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        async with runtime.group() as group:
            first = await group.emit("n", 1)
            receipts = await group.emit_many([Event("a", 2, key="k", delay=5), Event("b", 3), Event("a", 4)])
            assert await group.emit_many([]) == []
            assert all(receipt.staged for receipt in receipts)
            assert runtime.stats.staged == 4
            assert heard.events == []
        reports = [await receipt for receipt in (first, *receipts)]
    assert [report.event.data for report in reports] == [1, 2, 3, 4]
    assert heard.data == [1, 3, 4, 2]
    assert reports[1].event.key == "k"


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Event("bad name", 1), InvalidName),
        ("n", InvalidOption),
        (Event("n", 1, id="known"), ConflictingEvent),
        (Event("n", 2, id="twice"), ConflictingEvent),
    ],
)
async def test_of_many_none_is_staged_where_one_is_refused_and_its_position_is_told(
    heard: Heard, bad: Any, error: type[Exception]
) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        await runtime.emit("n", 0, id="known")
        async with runtime.group() as group:
            with pytest.raises(error) as caught:
                await group.emit_many([Event("n", 1, id="twice"), Event("n", 1), bad])
            assert caught.value.__notes__ == ["in emit_many, event number 2 (from 0); none of them was staged"]
            assert runtime.stats.staged == 0
        await runtime.idle()
    assert heard.data == [0]


async def test_many_for_which_there_is_no_room_in_the_group_are_all_refused(
    monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setattr(postroom.staging, "MOST_STAGED", 3)
    async with Runtime(subscribers=[heard.listen]) as runtime, runtime.group() as group:
        await group.emit("n", 0, id="0")
        with pytest.raises(GroupFull) as caught:
            await group.emit_many([Event("n", 0, id="0"), *(Event("n", number) for number in range(3))])
        assert caught.value.__notes__ == ["in emit_many, event number 3 (from 0); none of them was staged"]
        assert runtime.stats.staged == 1
        await group.emit_many([Event("n", 0, id="0"), Event("n", 1), Event("n", 2)])
        assert runtime.stats.staged == 3
    assert heard.data == [0, 1, 2]


async def test_among_many_the_same_id_is_the_same_event_here_before_and_accepted(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        accepted = await runtime.emit("n", 1, id="accepted")
        async with runtime.group() as group:
            staged = await group.emit("n", 2, id="staged")
            many = await group.emit_many(
                [Event("n", number, id=id) for number, id in ((1, "accepted"), (2, "staged"), (3, "new"), (3, "new"))]
            )
            assert many[:2] == [accepted, staged]
            assert many[2] is many[3]
    assert sorted(heard.data) == [1, 2, 3]


async def test_many_are_intercepted_as_events_of_the_group_each_once(heard: Heard) -> None:
    seen: list[tuple[Any, str | None, float | None]] = []

    def look(event: Event, group: str | None) -> None:
        seen.append((event.data, group, event.accepted_at))

    async with Runtime(subscribers=[heard.listen], interceptors=[look]) as runtime, runtime.group(id="g") as group:
        await group.emit_many([Event("n", 1), Event("n", 2, id="x"), Event("n", 2, id="x")])
    assert seen == [(1, "g", None), (2, "g", None)]


async def test_many_are_not_staged_in_a_group_that_has_ended_meanwhile(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        group = runtime.group()
        with pytest.raises(GroupClosed, match="not entered"):
            await group.emit_many([Event("n")])
        errors: list[BaseException] = []

        async def stage() -> None:
            def events() -> Any:
                for number in range(3):
                    runtime._turn.left = 0  # so that it yields before each one
                    yield Event("n", number)

            try:
                await group.emit_many(events())
            except GroupClosed as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks, group:
            tasks.start_soon(stage)
            await anyio.lowlevel.checkpoint()
        assert [str(error) for error in errors] == [str(GroupClosed(group.id, "its block has ended"))]
        assert runtime.stats.staged == 0


async def test_one_is_not_staged_in_a_group_that_has_ended_meanwhile(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime:
        group = runtime.group()
        errors: list[BaseException] = []

        async def stage() -> None:
            runtime._turn.left = 0  # so that it yields first
            try:
                await group.emit("n")
            except GroupClosed as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks, group:
            tasks.start_soon(stage)
            await anyio.lowlevel.checkpoint()
        assert len(errors) == 1
        assert runtime.stats.staged == 0


async def test_a_cancelled_staging_of_many_stages_none(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen]) as runtime, runtime.group() as group:
        with anyio.CancelScope() as scope:
            scope.cancel()
            runtime._turn.left = 0  # so that it yields
            await group.emit_many([Event("n", 1), Event("n", 2)])
        assert scope.cancelled_caught
        assert runtime.stats.staged == 0


async def test_in_a_store_many_are_staged_all_or_none_too(heard: Heard) -> None:
    async with Runtime(subscribers=[heard.listen], module=ReferenceModule()) as runtime:
        async with runtime.group() as group:
            first = await group.emit("n", 1)
            many = await group.emit_many([Event("n", 2, key="k"), Event("n", 3, id="three"), Event("n", 3, id="three")])
            assert await group.emit_many([]) == []
            with pytest.raises(ConflictingEvent):
                await group.emit_many([Event("n", 4), Event("n", 5, id="three")])
            with pytest.raises(InvalidName) as caught:
                await group.emit_many([Event("n", 4), Event("bad name")])
            assert caught.value.__notes__ == ["in emit_many, event number 1 (from 0); none of them was staged"]
            await anyio.sleep(1)
            assert heard.data == []
        reports = [await receipt for receipt in (first, *many)]
    assert heard.data == [1, 2, 3]
    assert all(report.succeeded for report in reports)
    assert reports[2].event.id == reports[3].event.id == "three"


@pytest.mark.parametrize("dropped", [False, True])
async def test_in_a_store_every_receipt_of_the_same_staged_event_hears_what_became_of_it(
    heard: Heard, dropped: bool
) -> None:
    async with Runtime(subscribers=[heard.listen], module=ReferenceModule()) as runtime:
        receipts = [await runtime.emit("n", 1, id="one", group="g") for _ in range(2)]
        assert runtime.stats.staged == 1
        if dropped:
            await runtime.clear_group("g")
            for receipt in receipts:
                with pytest.raises(GroupCleared):
                    await receipt
        else:
            await runtime.release_group("g")
            assert [(await receipt).succeeded for receipt in receipts] == [True, True]
    assert heard.data == ([] if dropped else [1])


async def test_the_report_of_an_event_that_was_dropped_from_its_group_says_so() -> None:
    async with Runtime() as runtime:
        group = runtime.group("g")
        async with group:
            receipt = await group.emit("n")
            assert receipt.report().outcomes == ()
            await group.clear()
        with pytest.raises(GroupCleared):
            receipt.report()

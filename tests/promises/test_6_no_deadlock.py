"""Promise 6: a wait of workers for each other that nobody could end is refused, and no other one is.

The last test runs random programs in which a refused wait is begun all the same: each of them must then last for
ever, and nothing may last for ever that was not refused.
"""

from collections.abc import Callable
from typing import Any, Literal

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import postroom.deadlock
from postroom import (
    Batch,
    CausationTooDeep,
    Context,
    Event,
    Failed,
    Outcome,
    Receipt,
    Retry,
    Runtime,
    Subscriber,
    WouldDeadlock,
    constant,
    subscriber,
)
from postroom.testing import virtual_backend
from postroom_actors import Circle, Hand, Wait, find_circle

pytestmark = pytest.mark.anyio


def error_of(outcome: Outcome) -> Exception:
    assert isinstance(outcome, Failed)
    return outcome.exception


async def test_19_an_emit_into_ones_own_full_mailbox_is_refused_and_nothing_is_placed() -> None:
    @subscriber("n", capacity=2)
    async def again(event: Event, context: Context) -> None:
        if event.data == "fill":
            for _ in range(3):
                await context.emit("n")

    async with Runtime(subscribers=[again]) as runtime:
        report = await runtime.emit_and_wait("n", "fill")
        await runtime.idle()
        stats = runtime.stats

    error = error_of(report.of("again"))
    assert isinstance(error, WouldDeadlock)
    assert error.path == "again -(room in again)-> again"
    assert (stats.accepted, stats.succeeded, stats.failed) == (3, 2, 1)


async def test_19_what_goes_to_several_is_placed_with_none_of_them() -> None:
    other: list[object] = []

    @subscriber("n", capacity=1)
    async def again(event: Event, context: Context) -> None:
        if event.data == "fill":
            await context.emit("n", 1)
            await context.emit("n", 2)

    @subscriber("n")
    async def witness(event: Event) -> None:
        other.append(event.data)

    async with Runtime(subscribers=[witness, again]) as runtime:
        await runtime.emit_and_wait("n", "fill")

    assert other == ["fill", 1]


async def test_20_of_two_that_fill_each_others_mailboxes_the_closing_one_is_refused_and_the_other_goes_on() -> None:
    @subscriber("to.a", capacity=1)
    async def a(event: Event, context: Context) -> None:
        await anyio.sleep(1)
        for _ in range(event.data):
            await context.emit("to.b", 0)

    @subscriber("to.b", capacity=1)
    async def b(event: Event, context: Context) -> None:
        await anyio.sleep(2)
        for _ in range(event.data):
            await context.emit("to.a", 0)

    async with Runtime(subscribers=[a, b]) as runtime:
        receipts = [runtime.emit_nowait("to.a", 3), runtime.emit_nowait("to.b", 3)]
        outcomes = [(await receipt).outcomes[0] for receipt in receipts]

    error = error_of(outcomes[1])
    assert isinstance(error, WouldDeadlock)
    assert error.path == "b -(room in a)-> a -(room in b)-> b"
    assert not isinstance(outcomes[0], Failed)


async def test_21_a_handler_that_awaits_an_event_that_it_must_handle_itself_is_refused() -> None:
    @subscriber("n")
    async def ask(event: Event, context: Context) -> None:
        if event.data == "ask":
            await (await context.emit("n"))

    async with Runtime(subscribers=[ask]) as runtime:
        report = await runtime.emit_and_wait("n", "ask")

    assert isinstance(error_of(report.of("ask")), WouldDeadlock)


async def test_a_handler_that_awaits_the_receipt_of_the_very_event_in_its_hand_is_refused() -> None:
    @subscriber("n", concurrency=2)
    async def ask(event: Event) -> None:
        await receipts[0]

    async with Runtime(subscribers=[ask]) as runtime:
        receipts = [runtime.emit_nowait("n")]
        report = await receipts[0]

    assert isinstance(error_of(report.of("ask")), WouldDeadlock)


async def test_with_a_free_worker_the_same_wait_is_none() -> None:
    @subscriber("n", concurrency=2)
    async def ask(event: Event, context: Context) -> str:
        if event.data == "ask":
            return str((await (await context.emit("n", "answer"))).of("ask"))
        return "an answer"

    async with Runtime(subscribers=[ask]) as runtime:
        report = await runtime.emit_and_wait("n", "ask")

    assert report.succeeded


async def test_when_the_last_worker_begins_to_wait_it_is_refused_and_the_others_go_on() -> None:
    @subscriber("n", concurrency=3)
    async def ask(event: Event, context: Context) -> None:
        await anyio.sleep(event.data)
        if event.data:
            await (await context.emit("n", 0))

    async with Runtime(subscribers=[ask]) as runtime:
        receipts = await runtime.emit_many([Event("n", seconds) for seconds in (1, 2, 3)])
        outcomes = [(await receipt).of("ask") for receipt in receipts]

    assert [isinstance(outcome, Failed) for outcome in outcomes] == [False, False, True]


async def test_a_free_worker_helps_nobody_behind_a_key_that_the_waiting_one_holds() -> None:
    @subscriber("n", concurrency=2)
    async def ask(event: Event, context: Context) -> None:
        if event.data == "ask":
            await (await context.emit("n", key="k"))

    async with Runtime(subscribers=[ask]) as runtime:
        same = await runtime.emit_and_wait("n", "ask", key="k")
        other = await runtime.emit_and_wait("n", "ask", key="other")

    assert isinstance(error_of(same.of("ask")), WouldDeadlock)
    assert other.succeeded


async def test_a_full_mailbox_whose_events_all_wait_behind_ones_own_key_has_no_room_ever() -> None:
    @subscriber("n", concurrency=2, capacity=1)
    async def fill(event: Event, context: Context) -> None:
        if event.data == "fill":
            await context.emit("n", key="k")
            await context.emit("n", key="k")

    async with Runtime(subscribers=[fill]) as runtime:
        report = await runtime.emit_and_wait("n", "fill", key="k")

    assert isinstance(error_of(report.of("fill")), WouldDeadlock)


async def test_a_key_that_a_retry_holds_is_freed_by_time_and_is_no_deadlock() -> None:
    @subscriber("n", concurrency=2, retry=Retry(attempts=2, backoff=constant(5)))
    async def work(event: Event, context: Context) -> None:
        if event.data == "once" and context.attempt == 1:
            raise ValueError
        if event.data == "ask":
            await (await context.emit("n", "later", key="k"))

    async with Runtime(subscribers=[work]) as runtime:
        await runtime.emit("n", "once", key="k")
        await anyio.sleep(1)
        report = await runtime.emit_and_wait("n", "ask", key="other")

    assert report.succeeded


async def test_room_behind_a_key_that_a_retry_holds_comes_with_time() -> None:
    @subscriber("n", concurrency=2, capacity=1, retry=Retry(attempts=2, backoff=constant(5)))
    async def work(event: Event, context: Context) -> None:
        if event.data == "once" and context.attempt == 1:
            raise ValueError
        if event.data == "fill":
            await context.emit("n", key="k")
            await context.emit("n", key="k")

    async with Runtime(subscribers=[work]) as runtime:
        await runtime.emit("n", "once", key="k")
        await anyio.sleep(1)
        report = await runtime.emit_and_wait("n", "fill", key="other")

    assert report.succeeded


async def test_stop_and_idle_in_a_handler_that_they_would_wait_for_are_refused_and_do_nothing() -> None:
    @subscriber("n")
    async def end(event: Event) -> None:
        if event.data == "stop":
            await runtime.subscriptions["end"].stop()
        else:
            await runtime.idle()

    async with Runtime(subscribers=[end]) as runtime:
        stop, idle = [error_of((await runtime.emit_and_wait("n", how)).of("end")) for how in ("stop", "idle")]
        still = await runtime.emit("n", "stop")
        assert len((await still).outcomes) == 1

    assert isinstance(stop, WouldDeadlock)
    assert isinstance(idle, WouldDeadlock)
    assert (stop.path, idle.path) == ("end -(the end of end)-> end", "end -(all that is pending)-> end")


async def test_two_handlers_that_stop_each_other_are_refused_only_where_the_circle_closes() -> None:
    @subscriber("a")
    async def a(event: Event) -> None:
        await anyio.sleep(1)
        await runtime.subscriptions["b"].stop()

    @subscriber("b")
    async def b(event: Event) -> None:
        await anyio.sleep(2)
        await runtime.subscriptions["a"].stop()

    async with Runtime(subscribers=[a, b]) as runtime:
        receipts = [await runtime.emit(name) for name in "ab"]
        reports = [await receipt for receipt in receipts]
        assert list(runtime.subscriptions) == ["a"]

    assert [report.succeeded for report in reports] == [True, False]


async def test_another_subscription_may_be_stopped_from_a_handler() -> None:
    @subscriber("work")
    async def work(event: Event) -> None:
        await anyio.sleep(1)

    @subscriber("end")
    async def end(event: Event) -> None:
        await runtime.subscriptions["work"].stop()

    async with Runtime(subscribers=[work, end]) as runtime:
        await runtime.emit("work")
        assert (await runtime.emit_and_wait("end")).succeeded
        assert list(runtime.subscriptions) == ["end"]


async def test_a_request_is_refused_only_when_nobody_is_left_who_could_answer() -> None:
    async def ask(event: Event, context: Context) -> None:
        await runtime.request(event.data)

    @subscriber("free", "stuck")
    async def answers(event: Event) -> str:
        return "yes"

    asks = Subscriber(handler=ask, patterns=("ask", "free", "own"), name="asks")
    async with Runtime(subscribers=[asks, answers]) as runtime:
        free, own = [await runtime.emit_and_wait("ask", name) for name in ("free", "own")]

    assert free.succeeded
    assert isinstance(error_of(own.of("asks")), WouldDeadlock)


async def test_the_waits_of_a_handlers_child_tasks_do_not_count() -> None:
    @subscriber("n")
    async def ask(event: Event, context: Context) -> str:
        if event.data != "ask":
            return "answer"
        async with anyio.create_task_group() as tasks:
            receipt = await context.emit("n")
            tasks.start_soon(receipt.wait)
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        return "gave up by itself"

    async with Runtime(subscribers=[ask]) as runtime:
        report = await runtime.emit_and_wait("n", "ask")

    assert report.succeeded


async def test_emit_many_is_refused_as_a_whole() -> None:
    @subscriber("n", capacity=3)
    async def again(event: Event) -> None:
        if event.data == "fill":
            await runtime.emit_many([Event("n", number) for number in range(4)])

    async with Runtime(subscribers=[again]) as runtime:
        report = await runtime.emit_and_wait("n", "fill")
        await runtime.idle()
        assert runtime.stats.accepted == 1

    assert isinstance(error_of(report.of("again")), WouldDeadlock)


async def test_emit_many_waits_for_room_also_after_an_event_that_found_some_by_its_key() -> None:
    @subscriber("n", concurrency=2)
    async def wide(event: Event) -> None:
        pass

    @subscriber("n", capacity=1)
    async def narrow(event: Event) -> None:
        await anyio.sleep(1)

    async with Runtime(subscribers=[wide, narrow]) as runtime:
        start = anyio.current_time()
        await runtime.emit_many([Event("n", number, key="k") for number in range(4)])
        assert anyio.current_time() - start == pytest.approx(2)


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_a_mailbox_that_drops_makes_nobody_wait(overflow: Literal["drop_oldest", "drop_newest"]) -> None:
    @subscriber("n", capacity=1, overflow=overflow)
    async def again(event: Event, context: Context) -> None:
        if event.data == "fill":
            for _ in range(5):
                await context.emit("n")

    async with Runtime(subscribers=[again]) as runtime:
        assert (await runtime.emit_and_wait("n", "fill")).succeeded


async def test_22_a_storm_of_events_that_cause_each_other_ends_with_the_loop_by_name() -> None:
    @subscriber("order.*")
    async def ping(event: Event, context: Context) -> None:
        following = {"order.placed": "order.paid", "order.paid": "order.sent", "order.sent": "order.paid"}
        await context.emit(following[event.name])

    async with Runtime(subscribers=[ping], causation_depth=9) as runtime:
        await runtime.emit("order.placed")
        await runtime.idle()
        letters = await runtime.dead_letters.list()
        assert runtime.stats.accepted == 10

    [letter] = letters
    assert isinstance(letter.exception, CausationTooDeep)
    assert letter.exception.loop == ("order.sent", "order.paid", "order.sent")
    assert "a loop is order.sent -> order.paid -> order.sent" in str(letter.exception)


# --- random programs -----------------------------------------------------------------------------------------------

NAMES = "abc"
Action = tuple[str, str, str | None]
actions = st.tuples(
    st.sampled_from(["emit", "ask", "request", "many", "sleep"]),
    st.sampled_from(NAMES),
    st.sampled_from([None, None, "j", "k"]),
)


@attrs.frozen
class Shape:
    """A subscription of a random program; a call of its handler does all of its actions."""

    capacity: int
    concurrency: int
    batch: bool
    overflow: Literal["wait", "coalesce"]
    hears_also: str
    actions: tuple[Action, ...]


shapes = st.builds(
    Shape,
    capacity=st.integers(1, 2),
    concurrency=st.integers(1, 2),
    batch=st.booleans() | st.just(False),
    overflow=st.sampled_from(["wait", "wait", "coalesce"]),
    hears_also=st.sampled_from(NAMES),
    actions=st.lists(actions, max_size=3).map(tuple),
)


@attrs.define
class Refusals:
    """Looks on: lets every wait begin, also one that would be refused, and notes those."""

    noted: list[tuple[Hand[Any], object, Wait]] = attrs.field(factory=list)

    def __call__(self, hand: Hand[Any], wait: Wait) -> Circle | None:
        if find_circle(hand, wait) is not None:
            self.noted.append((hand, hand.message, wait))
        return None


async def act(runtime: Runtime, action: Action, fuel: int) -> None:
    kind, name, key = action
    match kind:
        case "emit":
            await runtime.emit(name, fuel, key=key)
        case "ask":
            await runtime.emit_and_wait(name, fuel, key=key)
        case "request":
            await runtime.request(name, fuel, key=key)
        case "many":
            await runtime.emit_many([Event(name, fuel, key=key), Event(NAMES[0], fuel)])
        case "sleep":
            await anyio.sleep(0.5)


async def run_program(program: list[Shape], starts: list[str]) -> tuple[int, list[tuple[Hand[Any], object]]]:
    """Run a program for a long virtual time; what is pending then, and the workers that wait, with what they hold."""

    def handler_of(shape: Shape) -> Callable[[Any], Any]:
        async def handle(events: Any) -> None:
            for event in events if shape.batch else [events]:
                for action in shape.actions if event.data else ():
                    await act(runtime, action, event.data - 1)

        return handle

    subscribers = [
        Subscriber(
            handler=handler_of(shape),
            patterns=(name, shape.hears_also),
            name=name,
            capacity=shape.capacity,
            concurrency=shape.concurrency,
            overflow=shape.overflow,
            batch=Batch(size=2) if shape.batch else None,
        )
        for name, shape in zip(NAMES, program, strict=True)
    ]
    async with Runtime(subscribers=subscribers, drain_within=0) as runtime, anyio.create_task_group() as outside:
        for name in starts:
            outside.start_soon(runtime.emit, name, 3)
        await anyio.sleep(10_000)
        pending = runtime.stats.pending
        behaviours = runtime._roster.behaviours.values()
        hands: list[Hand[Any]] = [hand for behaviour in behaviours for hand in behaviour.actor.hands]
        waiting = [(hand, hand.message) for hand in hands if hand.wait is not None]
        outside.cancel_scope.cancel()
    return pending, waiting


@pytest.mark.parametrize("library", ["trio", "asyncio"])
@given(
    program=st.lists(shapes, min_size=3, max_size=3),
    starts=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
)
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_what_is_refused_would_last_for_ever_and_nothing_else_does(
    library: Literal["trio", "asyncio"], program: list[Shape], starts: list[str]
) -> None:
    refusals = Refusals()
    backend, options = virtual_backend(library)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postroom.deadlock, "find_circle", refusals)
        pending, waiting = anyio.run(run_program, program, starts, backend=backend, backend_options=options)
    for hand, message, wait in refusals.noted:
        assert (hand, message) in waiting, f"a false alarm: {hand.actor.name} waited for {wait.label}, and went on"
    if all(shape.overflow == "wait" for shape in program):  # where a newer event may take a place, nothing is certain
        assert bool(pending) == bool(refusals.noted), "something lasts for ever, and nobody was told"


async def test_a_wait_for_an_event_in_line_behind_the_waiters_own_key_is_a_deadlock_though_a_worker_is_free() -> None:
    go = anyio.Event()
    receipts: list[Receipt] = []
    told: list[str] = []

    @subscriber("n", capacity=1, concurrency=2)
    async def work(event: Event) -> None:
        if event.data == "asks":
            await go.wait()
            try:
                await receipts[0]
            except WouldDeadlock as error:
                told.append(str(error))

    async def release() -> None:
        async with runtime.group() as group:
            receipts.append(await group.emit("n", "in line", key="other"))

    async with Runtime(subscribers=[work]) as runtime, anyio.create_task_group() as outside:
        await runtime.emit("n", "asks", key="own")
        await anyio.wait_all_tasks_blocked()
        await runtime.emit("n", "behind it, and all that the mailbox holds", key="own")
        outside.start_soon(release)
        await anyio.wait_all_tasks_blocked()
        assert not receipts[0].staged
        go.set()
    assert len(told) == 1
    assert receipts[0].settled

"""Who waits for room in a backlog: first come, first served; who has gone leaves nothing behind."""

import gc
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from postroom import Event, Receipt, Runtime, Subscriber, WouldDeadlock, subscriber
from postroom.carrying.errands import Submission
from postroom.carrying.lines import Lines
from postroom.contract import StoredEvent
from postroom.testing.reference import ReferenceModule, ReferenceStore
from postroom_actors import current_port
from tests.carrying.test_seldom import Answers, OwnModule


def counting(handled: list[object], seconds: float, **options: Any) -> Subscriber[..., Any]:
    @subscriber("n.*", name="clerk", capacity=1, **options)
    async def clerk(event: Event) -> None:
        handled.append(event.data)
        await anyio.sleep(seconds)

    return clerk


async def test_several_together_get_in_though_others_emit_one_after_the_other() -> None:
    async def emit_for_ever() -> None:
        while True:
            await runtime.emit("n.single")

    async with (
        Runtime(module=ReferenceModule(), subscribers=[counting([], 1.0, backlog=5)], drain_within=0) as runtime,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(8):
            tasks.start_soon(emit_for_ever)
        await anyio.sleep(20)
        with anyio.fail_after(20):
            await runtime.emit_many([Event(name="n.many")] * 4)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_who_comes_first_gets_in_first(elsewhere: bool) -> None:
    handled: list[object] = []
    store = ReferenceStore()
    clerk = counting(handled, 1.0, backlog=2)
    async with (
        Runtime(module=ReferenceModule(store), subscribers=[clerk]) as here,
        Runtime(module=ReferenceModule(store), role="emit") as other,
        anyio.create_task_group() as tasks,
    ):
        runtime = other if elsewhere else here
        for number in range(60):
            tasks.start_soon(runtime.emit, f"n.e{number}", number)
            await anyio.sleep(0.3)
        while len(handled) < 60:
            await anyio.sleep(1)
    assert handled == list(range(60))


async def paused(runtime: Runtime) -> None:
    await runtime.subscriptions["clerk"].pause()
    await runtime.emit("n.first", "first")


def receipts_alive() -> int:
    gc.collect()
    return sum(isinstance(each, Receipt) for each in gc.get_objects())


async def test_who_gives_up_takes_no_memory_and_no_place() -> None:
    handled: list[object] = []
    async with Runtime(module=ReferenceModule(), subscribers=[counting(handled, 0.0, backlog=1)]) as runtime:
        await paused(runtime)
        before = receipts_alive()
        for _ in range(50):
            with anyio.move_on_after(0.1):
                await runtime.emit("n.gone", "gone")
        assert receipts_alive() <= before + 5
        await runtime.subscriptions["clerk"].resume()
        await anyio.sleep(1)
    assert handled == ["first"]


async def test_who_gives_up_while_the_store_is_asked_is_not_accepted_later_where_there_was_no_room() -> None:
    handled: list[object] = []
    answers = Answers()
    async with Runtime(
        module=OwnModule(ReferenceStore(), answers=answers), subscribers=[counting(handled, 0.0, backlog=1)]
    ) as runtime:
        await paused(runtime)
        answers.hangs, answers.seconds = "publish", 2.0
        with anyio.move_on_after(1):
            await runtime.emit("n.gone", "gone")
        answers.hangs = ""
        await anyio.sleep(5)
        await runtime.subscriptions["clerk"].resume()
        await anyio.sleep(5)
    assert handled == ["first"]


async def test_who_stands_behind_one_that_gives_up_gets_in_where_there_is_room_for_it() -> None:
    async with Runtime(module=ReferenceModule(), subscribers=[counting([], 0.0, backlog=2)]) as runtime:
        await paused(runtime)
        accepted: list[str] = []

        async def emit(name: str, count: int) -> None:
            await runtime.emit_many([Event(name=name)] * count)
            accepted.append(name)

        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(5):
                async with anyio.create_task_group() as leaving:
                    leaving.start_soon(emit, "n.many", 2)
                    await anyio.sleep(1)
                    tasks.start_soon(emit, "n.single", 1)
                    await anyio.sleep(1)
                    assert accepted == []
            await anyio.sleep(1)
            assert accepted == ["n.single"]


@pytest.mark.parametrize(
    "emit",
    [
        lambda runtime: runtime.emit("other"),
        lambda runtime: runtime.emit("n.first", "first", id="first"),
    ],
)
async def test_what_needs_no_room_there_is_not_held_up(emit: Callable[[Runtime], Any]) -> None:
    async with Runtime(module=ReferenceModule(), subscribers=[counting([], 0.0, backlog=2)]) as runtime:
        await paused(runtime)
        await runtime.emit("n.first", "first", id="first")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.emit, "n.waits")
            await anyio.sleep(1)
            with anyio.fail_after(1):
                await emit(runtime)
            await runtime.subscriptions["clerk"].resume()


async def test_what_takes_the_place_of_another_one_is_not_held_up() -> None:
    async def emit(number: int) -> None:
        await runtime.emit("n.waits", number, key=f"other {number}")

    handled: list[object] = []
    clerk = counting(handled, 0.0, backlog=1, overflow="coalesce")
    async with Runtime(module=ReferenceModule(), subscribers=[clerk]) as runtime:
        await runtime.subscriptions["clerk"].pause()
        await runtime.emit("n.old", "old", key="k")
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(emit, number)
            await anyio.sleep(1)
            with anyio.fail_after(1):
                await runtime.emit("n.new", "new", key="k")
            await runtime.subscriptions["clerk"].resume()
            await anyio.sleep(1)
    assert handled[0] == "new"
    assert sorted(handled[1:], key=str) == [0, 1, 2]


async def test_a_handler_that_would_stand_behind_one_that_waits_for_it_is_told() -> None:
    told: list[bool] = []

    @subscriber("n.*", name="clerk", backlog=2, capacity=1)
    async def clerk(event: Event) -> None:
        if event.data != "first":
            return
        await anyio.sleep(5)
        with pytest.raises(WouldDeadlock):
            await runtime.emit("n.own")
        told.append(True)

    async with Runtime(module=ReferenceModule(), subscribers=[clerk]) as runtime:
        await runtime.emit("n.a", "first")
        await anyio.sleep(1)
        for _ in range(3):
            await runtime.emit("n.b")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.emit_many, [Event(name="n.c")] * 2)
            await anyio.sleep(1)
            tasks.start_soon(runtime.emit, "n.d")
    assert told == [True]


async def test_all_get_in_for_whom_there_is_room_though_it_is_heard_of_once() -> None:
    accepted: list[int] = []
    gate = anyio.Event()

    @subscriber("n.*", name="clerk", backlog=3, concurrency=3, capacity=3)
    async def clerk(event: Event) -> None:
        await (gate.wait() if event.name == "n.first" else anyio.sleep(1000))

    async def emit(count: int) -> None:
        await runtime.emit_many([Event(name="n.more")] * count)
        accepted.append(count)

    async with Runtime(module=ReferenceModule(), subscribers=[clerk], drain_within=0) as runtime:
        for _ in range(2):  # those in hand, and as many behind them
            await runtime.emit_many([Event(name="n.first")] * 3)
            await anyio.sleep(1)
        async with anyio.create_task_group() as tasks:
            for count in (2, 1):
                tasks.start_soon(emit, count)
                await anyio.sleep(1)
            assert accepted == []
            gate.set()
            await anyio.sleep(1)
            assert accepted == [2, 1]


async def test_who_gives_up_while_the_store_does_not_answer_takes_no_memory() -> None:
    answers = Answers()
    async with (
        Runtime(module=OwnModule(ReferenceStore(), answers=answers)) as runtime,
        anyio.create_task_group() as tasks,
    ):
        answers.hangs, answers.seconds = "publish", 100.0
        tasks.start_soon(runtime.emit, "n")
        await anyio.sleep(1)
        before = receipts_alive()
        for _ in range(50):
            with anyio.move_on_after(0.1):
                await runtime.emit("n")
        assert receipts_alive() <= before + 5


async def test_a_larger_backlog_lets_in_who_waits() -> None:
    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[counting([], 0.0, backlog=1)]) as runtime:
        await paused(runtime)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(runtime.emit, "n.waits")
                await anyio.sleep(1)
                async with Runtime(module=ReferenceModule(store), subscribers=[counting([], 0.0, backlog=5)]):
                    await anyio.sleep(5)


async def test_of_a_subscription_that_is_not_known_yet_those_of_the_same_name_stand_in_line() -> None:
    def sent(name: str) -> Submission:
        return Submission(current_port(), events=[StoredEvent("e", name, b"")])

    lines = Lines(lambda subscription: None)
    lines.add(sent("n.a"), "clerk")
    assert lines.in_front_of(sent("n.a")) == "clerk"
    assert lines.in_front_of(sent("n.b")) is None

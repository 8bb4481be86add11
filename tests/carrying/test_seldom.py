"""Seldom moments between a runtime and its store: each ends well, or is told."""

import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import msgspec
import pytest

from postroom import (
    Context,
    Event,
    Receipt,
    Retry,
    Runtime,
    RuntimeClosed,
    StoreBroken,
    Succeeded,
    WouldDeadlock,
    constant,
    subscriber,
)
from postroom.carrying.receipts import FEWEST_SWEPT, Held, StoredReceipt
from postroom.contract import Answer, Fetched, News, StoredSubscription
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.reference import ReferenceModule, ReferenceSession, ReferenceStore
from postroom_actors import current_port


@attrs.define(eq=False)
class OwnSession(ReferenceSession):
    """A session of which single answers are others."""

    answers: "Answers" = attrs.field(kw_only=True)

    async def news(self, seen: int) -> News:
        await self.answers.before("news")
        return self.answers.news(await ReferenceSession.news(self, seen))

    async def subscriptions(self) -> list[StoredSubscription]:
        await self.answers.before("subscriptions")
        return await ReferenceSession.subscriptions(self)

    async def publish(self, number: int, emits: Any) -> list[Answer]:
        await self.answers.before("publish")
        return await ReferenceSession.publish(self, number, emits)

    async def settle(self, number: int, settlements: Any) -> list[bool]:
        await self.answers.before("settle")
        return await ReferenceSession.settle(self, number, settlements)

    async def fetch(self, demand: Any) -> Fetched:
        fetched = await ReferenceSession.fetch(self, demand)
        await self.answers.before("fetch")
        return fetched

    async def bind(self, bindings: Any, *, serve: bool) -> None:
        await self.answers.before("bind")
        await ReferenceSession.bind(self, bindings, serve=serve)


@attrs.define(eq=False)
class Answers:
    """What the store answers otherwise.

    Attributes:
        hangs: The call that does not come back, and how long.
    """

    hangs: str = ""
    seconds: float = 1_000_000.0
    change: Callable[[News], News] = lambda news: news

    def news(self, news: News) -> News:
        return self.change(news)

    async def before(self, call: str) -> None:
        if call == self.hangs:
            await anyio.sleep(self.seconds)


@attrs.define(eq=False)
class OwnModule(ReferenceModule):
    """Opens such sessions."""

    answers: Answers = attrs.field(factory=Answers)

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator[ReferenceSession]:
        async with ReferenceModule.open(self, session) as opened:
            yield OwnSession(self.store, opened.id, answers=self.answers)


async def test_an_outcome_that_can_not_be_read_is_told_and_other_events_settle(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def damage(news: News) -> News:
        damaged = [
            msgspec.structs.replace(each, outcome=b"{") if each.event == "bad" else each for each in news.notices
        ]
        return msgspec.structs.replace(news, notices=damaged)

    @subscriber("n")
    async def work(event: Event) -> None: ...

    store = ReferenceStore()
    emitting = OwnModule(store, answers=Answers(change=damage))
    async with (
        Runtime(module=ReferenceModule(store), subscribers=[work]),
        Runtime(module=emitting, role="emit") as runtime,
    ):
        bad = await runtime.emit("n", id="bad")
        assert (await runtime.emit_and_wait("n", id="good")).succeeded
        await anyio.sleep(10)
        assert not bad.settled
    assert any("outcome" in record.message for record in caplog.records)


async def test_an_outcome_that_nobody_waits_for_is_passed_over_while_somebody_waits_for_a_replay() -> None:
    failing = True

    @subscriber("n", retry=Retry(attempts=1))
    async def work(event: Event) -> None:
        await anyio.sleep(5)
        if failing:
            raise ValueError("not yet")

    store = ReferenceStore()
    async with (
        Runtime(module=ReferenceModule(store), subscribers=[work]),
        Runtime(module=ReferenceModule(store), role="emit") as runtime,
    ):
        await runtime.emit_and_wait("n", id="given up")
        failing = False
        await runtime.emit("n", id="forgotten")
        gc.collect()
        (letter,) = await runtime.dead_letters.list()
        replayed = await runtime.dead_letters.replay(letter)
        gc.collect()
        with anyio.fail_after(60):
            assert (await replayed).succeeded
        await runtime.idle()


@pytest.mark.parametrize("waiting", [1, 2])
async def test_who_asks_the_store_in_vain_is_told_when_the_runtime_closes(waiting: int) -> None:
    told: list[RuntimeClosed] = []
    module = OwnModule()

    async def work(event: Event) -> None: ...

    async def serve(runtime: Runtime, name: str) -> None:
        with pytest.raises(RuntimeClosed) as caught:
            await runtime.spawn(work, "n", name=name)
        told.append(caught.value)

    async with anyio.create_task_group() as tasks, Runtime(module=module, drain_within=0) as runtime:
        module.answers.hangs = "bind"
        for number in range(waiting):  # one is at it, and the other one waits until that has been done
            tasks.start_soon(serve, runtime, f"work-{number}")
        await anyio.sleep(1)
    assert len(told) == waiting


async def test_a_subscription_that_stops_leaves_its_name_to_one_that_has_it_by_now() -> None:
    module = OwnModule()

    @subscriber("n")
    async def work(event: Event) -> str:
        return "done"

    async with Runtime(module=module) as runtime:
        first = await runtime.spawn(work)
        carrier = runtime._outbox.carrier  # type: ignore[union-attr]
        old = carrier.fetcher.served["work"]
        await first.stop()
        await runtime.spawn(work)
        await carrier.leave(old)
        assert (await runtime.emit_and_wait("n")).succeeded


async def test_two_large_emits_are_two_commits() -> None:
    sizes: list[int] = []

    @attrs.define(eq=False)
    class Counting(ReferenceSession):
        async def publish(self, number: int, emits: Any) -> Any:
            sizes.append(sum(map(len, emits)))
            return await ReferenceSession.publish(self, number, emits)

    class CountingModule(ReferenceModule):
        @asynccontextmanager
        async def open(self, session: str) -> AsyncGenerator[ReferenceSession]:
            async with ReferenceModule.open(self, session) as opened:
                yield Counting(self.store, opened.id)

    async with Runtime(module=CountingModule()) as runtime, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(runtime.emit_many, [Event("n")] * 400)
    assert sum(sizes) == 1200
    assert max(sizes) <= 1000


async def test_a_store_that_breaks_while_events_are_staged_ends_the_runtime_and_is_told() -> None:
    module = FaultyModule(ReferenceModule(), lambda number, call: Fault.BROKEN if call == "stage" else None)
    told: list[StoreBroken] = []

    async def stage(runtime: Runtime) -> None:
        with pytest.raises(StoreBroken) as caught:
            await runtime.emit("n", group="g")
        told.append(caught.value)

    async with anyio.create_task_group() as others:
        with pytest.raises(StoreBroken):
            async with Runtime(module=module) as runtime:
                others.start_soon(stage, runtime)
                await anyio.sleep_forever()
    assert len(told) == 1


async def test_an_outcome_that_was_on_its_way_when_the_lease_was_lost_counts_for_nothing() -> None:
    runs: list[int] = []

    @subscriber("n")
    async def work(event: Event, context: Context) -> None:
        runs.append(context.losses)

    module = OwnModule()
    async with Runtime(module=module, subscribers=[work]) as runtime:
        module.answers.hangs, module.answers.seconds = "settle", 40.0
        receipt = await runtime.emit("n")
        await anyio.sleep(1)
        module.answers.hangs = ""
        module.stall()
        with anyio.fail_after(200):
            assert (await receipt).succeeded
        await runtime.idle()
        assert runtime.stats.pending == 0
    assert len(runs) == 2


async def test_a_retry_that_would_come_after_the_end_is_left_to_the_next_process_with_its_time() -> None:
    runs: list[tuple[int, float]] = []
    begun = anyio.current_time()

    @subscriber("n", retry=Retry(attempts=3, backoff=constant(100)))
    async def work(event: Event, context: Context) -> None:
        runs.append((context.attempt, anyio.current_time() - begun))
        await anyio.sleep(2)
        if context.attempt == 1:
            raise ValueError("not yet")

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work], drain_within=10) as runtime:
        await runtime.emit("n")
        await anyio.sleep(1)
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        with anyio.fail_after(300):
            await runtime.idle()
    assert [attempt for attempt, _ in runs] == [1, 2]
    assert runs[1][1] >= 102


async def test_handlers_that_wait_for_what_each_other_has_in_hand_are_told() -> None:
    receipts: dict[str, Receipt] = {}
    told: list[str] = []

    @subscriber("a")
    async def first(event: Event, context: Context) -> None:
        receipts["b"] = await context.emit("b")
        await anyio.sleep(2)
        await receipts["b"]

    @subscriber("b")
    async def second(event: Event, context: Context) -> None:
        await anyio.sleep(5)
        try:
            await receipts["a"]
        except WouldDeadlock:
            told.append("second")

    async with Runtime(module=ReferenceModule(), subscribers=[first, second]) as runtime:
        receipts["a"] = await runtime.emit("a")
        with anyio.fail_after(60):
            assert (await receipts["a"]).succeeded
    assert told == ["second"]


async def test_a_receipt_is_open_until_the_store_has_its_event_and_then_as_long_as_subscriptions_are() -> None:
    receipt = StoredReceipt(Event("n", None, id="1"), (), None, port=current_port())
    assert (receipt.pending, receipt.settled) == (1, False)
    receipt.accept(Event("n", None, id="1"), ())
    assert (receipt.pending, receipt.settled) == (0, True)
    await receipt.admitted()
    assert receipt.report().outcomes == ()


async def test_the_report_of_an_event_that_was_refused_is_the_refusal() -> None:
    receipt = StoredReceipt(Event("n", None, id="1"), (), None, port=current_port())
    receipt.refuse(RuntimeClosed("closed"))
    assert receipt.settled
    with pytest.raises(RuntimeClosed):
        receipt.report()
    with pytest.raises(RuntimeClosed):
        await receipt.admitted()


async def test_receipts_that_nobody_holds_are_swept_away_once_there_are_many() -> None:
    held: Held[int] = Held()
    port = current_port()
    kept = [StoredReceipt(Event("n", None, id=str(number)), (), None, port=port) for number in range(3)]
    for number, receipt in enumerate(kept):
        held.add(number, receipt)
    for number in range(3, FEWEST_SWEPT):
        held.add(number, StoredReceipt(Event("n", None, id=str(number)), (), None, port=port))
    gc.collect()
    assert sorted(held.refs) == [0, 1, 2, FEWEST_SWEPT - 1]  # the last one was there when they were looked for
    assert held.all() == kept


async def test_a_handler_may_wait_for_what_an_idle_subscription_is_about_to_get() -> None:
    @subscriber("a")
    async def first(event: Event, context: Context) -> bool:
        return (await (await context.emit("b"))).succeeded

    @subscriber("b", concurrency=2, capacity=10)
    async def second(event: Event) -> None: ...

    async with Runtime(module=ReferenceModule(), subscribers=[first, second]) as runtime:
        with anyio.fail_after(60):
            report = await runtime.emit_and_wait("a")
    assert [each.value for each in report.outcomes if isinstance(each, Succeeded)] == [True]


async def test_a_handler_may_wait_for_what_comes_behind_others_of_a_subscription_that_is_paused() -> None:
    @subscriber("a")
    async def first(event: Event, context: Context) -> bool:
        return (await (await context.emit("b", "last"))).succeeded

    @subscriber("b", concurrency=2, capacity=4)
    async def second(event: Event) -> None:
        await anyio.sleep(20)

    module = OwnModule()
    async with Runtime(module=module, subscribers=[first, second]) as runtime:
        await runtime.emit("b", "in hand")
        await anyio.sleep(1)
        module.answers.hangs, module.answers.seconds = "fetch", 2.0  # what was asked for comes after the pause
        await runtime.emit("b", "waits")
        await anyio.sleep(1)
        await runtime.subscriptions["second"].pause()
        module.answers.hangs = ""
        await anyio.sleep(5)
        receipt = await runtime.emit("a")
        await anyio.sleep(1)
        await runtime.subscriptions["second"].resume()
        with anyio.fail_after(300):
            (outcome,) = (await receipt).outcomes
    assert isinstance(outcome, Succeeded)
    assert outcome.value is True

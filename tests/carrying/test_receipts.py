"""Receipts of events in a store: what they take for an outcome of theirs."""

import gc

import anyio
import msgspec
import pytest

from postroom import Event, Receipt, Runtime, Succeeded, UnknownResult, subscriber
from postroom.carrying.receipts import FEWEST_SWEPT, NOBODY, Held, Receipts, StoredReceipt, StoredTarget
from postroom.testing.reference import ReferenceModule, ReferenceStore
from postroom.testing.reference.sessions import WINDOW
from postroom_actors import current_port
from tests.carrying.test_seldom import Answers, OwnModule


async def values_of(receipt: Receipt) -> list[object]:
    return [each.value for each in (await receipt).outcomes if isinstance(each, Succeeded)]


async def test_an_outcome_of_a_subscription_that_an_event_did_not_go_to_changes_nothing() -> None:
    async with Runtime(module=ReferenceModule()) as runtime:
        receipt = await runtime.emit("n")
        assert isinstance(receipt, StoredReceipt)
        receipt.settle(Succeeded("somebody else", None, 1, 0.0))
        assert receipt.report().outcomes == ()


async def test_an_id_that_the_store_has_forgotten_is_another_event_though_the_receipt_of_the_first_is_kept() -> None:
    handled: list[Event] = []

    @subscriber("n")
    async def clerk(event: Event) -> int:
        handled.append(event)
        await anyio.sleep(1)
        return len(handled)

    async with Runtime(module=ReferenceModule(), subscribers=[clerk]) as runtime:
        first = await runtime.emit("n", id="nightly")
        assert await values_of(first) == [1]
        await anyio.sleep(WINDOW)
        second = await runtime.emit("n", id="nightly")
        assert second.pending == 1
        assert await values_of(second) == [2]
        assert await values_of(first) == [1]


async def test_an_emit_that_is_made_again_once_nobody_holds_its_receipt_has_one_that_settles() -> None:
    @subscriber("n")
    async def clerk(event: Event) -> int:
        await anyio.sleep(10)
        return 7

    async with Runtime(module=ReferenceModule(), subscribers=[clerk]) as runtime:
        await runtime.emit("n", id="nightly")
        await runtime.emit("other")  # until then whoever sends emits has the last ones in hand
        gc.collect()
        again = await runtime.emit("n", id="nightly")
        with anyio.fail_after(60):
            assert await values_of(again) == [7]


async def test_a_receipt_of_what_the_store_has_forgotten_says_that_nobody_can_tell() -> None:
    event = Event("n", id="e1", accepted_at=5.0)
    receipts, unknown = Receipts(), UnknownResult("reference", "say what became of an event")
    receipt, copy, later, sent = (StoredReceipt(event, (), None, port=current_port()) for _ in range(4))
    target = StoredTarget("clerk", current_port(), lambda name, receipt: NOBODY)
    receipt.accept(event, (target,))
    copy.accept(event, (target,))
    copy.share(receipt)
    later.accept(Event("n", id="e2", accepted_at=6.0), (target,))
    for each in (receipt, later, sent):
        receipts.firsts.add(f"{id(each)}", each)
    receipts.forgotten(6.0, unknown)
    for each in (receipt, copy):
        assert each.pending == 0
        with pytest.raises(UnknownResult):
            await each
    assert [each.pending for each in (later, sent)] == [1, 1]


async def test_who_waits_for_what_a_store_has_forgotten_is_told_and_what_came_later_settles() -> None:
    @subscriber("n", concurrency=2)
    async def clerk(event: Event) -> None:
        if event.id == "before":
            await anyio.sleep(1000)

    store, answers = ReferenceStore(), Answers()
    async with (
        Runtime(module=ReferenceModule(store), subscribers=[clerk]),
        Runtime(module=OwnModule(store, answers=answers), role="emit") as runtime,
    ):
        before = await runtime.emit("n", id="before")
        await anyio.sleep(1)
        later = await runtime.emit("n", id="later", delay=1)
        answers.change = lambda news: msgspec.structs.replace(news, forgotten=later.event.accepted_at or 0.0)
        with anyio.fail_after(10):
            with pytest.raises(UnknownResult, match="say what became of an event"):
                await before
            assert (await later).succeeded


async def test_of_one_key_the_first_receipt_stays_as_long_as_somebody_holds_it() -> None:
    held: Held[str] = Held()
    port = current_port()
    one, two, three = (StoredReceipt(Event("n", None, id=id), (), None, port=port) for id in "abc")
    assert held.first("key", one) is one
    assert held.first("key", two) is one
    del one
    gc.collect()
    assert held.first("key", three) is three
    assert held.get("key") is three


async def test_receipts_that_nobody_holds_are_swept_away_where_they_are_the_first_too() -> None:
    held: Held[int] = Held()
    port = current_port()
    for number in range(FEWEST_SWEPT - 1):
        held.first(number, StoredReceipt(Event("n", None, id=str(number)), (), None, port=port))
    gc.collect()
    last = StoredReceipt(Event("n", None, id="last"), (), None, port=port)
    held.first(FEWEST_SWEPT, last)
    assert held.all() == [last]
    assert len(held.refs) == 1

"""Many events in a group at once: all are staged, or none."""

from typing import Any

import anyio
import anyio.to_thread
import pytest

import postroom.staging
from postroom import (
    ConflictingEvent,
    Event,
    GroupCleared,
    GroupClosed,
    GroupFull,
    InvalidName,
    InvalidOption,
    Runtime,
)
from postroom.testing.reference import ReferenceModule
from tests.runtime.hearing import Heard

pytestmark = pytest.mark.anyio


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

"""Groups and ids: the same id is the same event, in one group, in two, and in none."""

import pytest

from postroom import (
    ConflictingEvent,
    Event,
    InvalidOption,
    Runtime,
)
from tests.runtime.hearing import Heard

pytestmark = pytest.mark.anyio


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


async def test_a_group_refuses_the_id_of_another() -> None:
    async with Runtime() as runtime, runtime.group() as group:
        with pytest.raises(InvalidOption, match=r"runtime\.emit"):
            await group.emit("a", group="h")


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

"""Groups: with a time to live, and no more events than they hold."""

import logging
from typing import Any

import anyio
import anyio.to_thread
import pytest

import postroom.staging
from postroom import (
    GroupCleared,
    GroupClosed,
    GroupFull,
    Runtime,
)
from postroom.staging import TIME_TO_LIVE
from tests.runtime.hearing import Heard

pytestmark = pytest.mark.anyio


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

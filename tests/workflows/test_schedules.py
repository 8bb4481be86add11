"""Schedules: runs by the clock, and after how many of them it is over."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from postroom import Runtime, Workflows
from postroom.testing.reference.journal import ReferenceJournal
from postroom.workflows.schedules import slots_of
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop


async def test_its_runs_count_in_all_processes_together() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    async with processes.one(line) as workflows:
        workflows.schedule(line, every=60, times=3)
        await anyio.sleep(70)
        async with processes.one(line) as elsewhere:
            elsewhere.schedule(line, every=60, times=3)
            await anyio.sleep(400)
    assert shop.log == ["only"] * 3


async def test_they_count_after_a_restart() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    for _ in range(4):
        async with processes.one(line) as workflows:
            schedule = workflows.schedule(line, every=60, times=5)
            await anyio.sleep(121)
    assert shop.log == ["only"] * 5
    assert schedule.stopped


async def test_a_slot_that_is_left_out_is_no_run() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("slow", seconds=90))
    async with processes.one(line) as workflows:
        workflows.schedule(line, every=60, times=3)
        await anyio.sleep(1000)
    assert shop.log == ["slow", "slow+"] * 3


@pytest.mark.parametrize(
    ("changed", "runs"),
    [({"every": 60, "times": 2}, 2), ({"every": 60, "times": 3}, 3), ({"every": 30, "times": 2}, 4)],
)
async def test_another_interval_counts_from_the_beginning_and_larger_times_go_on(
    changed: dict[str, Any], runs: int
) -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    async with processes.one(line) as workflows:
        workflows.schedule(line, every=60, times=2)
        await anyio.sleep(300)
    async with processes.one(line) as workflows:
        workflows.schedule(line, **changed)
        await anyio.sleep(300)
    assert shop.log == ["only"] * runs


async def test_on_local_they_count_while_the_runtime_is_open() -> None:
    shop = Shop()
    line = shop.line(shop.step("only"))
    async with Runtime() as runtime:
        for _ in range(2):
            async with Workflows(runtime, [line]) as workflows:
                workflows.schedule(line, every=60, times=3)
                await anyio.sleep(121)
    assert shop.log == ["only"] * 3


async def test_the_end_of_the_block_ends_it_before_the_drain() -> None:
    shop = Shop()
    line = shop.line(shop.step("slow", seconds=5))
    async with Runtime() as runtime, Workflows(runtime, [line], drain_within=60) as workflows:
        workflows.schedule(line, every=2, overlap=True)
        await anyio.sleep(3)
        begun = shop.log.count("slow")
    assert shop.log.count("slow") == begun


async def test_a_store_that_is_silent_for_long_ends_no_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    begin, calls = ReferenceJournal.begin, list[int]()

    async def silent(journal: ReferenceJournal, number: int, new: Any, *, lend: bool) -> Any:
        calls.append(number)
        if len(calls) == 1:
            await anyio.sleep_forever()
        return await begin(journal, number, new, lend=lend)

    monkeypatch.setattr(ReferenceJournal, "begin", silent)
    async with processes.one(line) as workflows:
        workflows.schedule(line, every=60, times=2)
        await anyio.sleep(200)
    assert shop.log == ["only"] * 2


async def test_one_that_is_stopped_while_the_store_is_silent_begins_nothing_once_it_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    begin, calls, is_asked, speaks = ReferenceJournal.begin, list[int](), anyio.Event(), anyio.Event()

    async def silent(journal: ReferenceJournal, number: int, new: Any, *, lend: bool) -> Any:
        calls.append(number)
        is_asked.set()
        await speaks.wait()
        return await begin(journal, number, new, lend=lend)

    monkeypatch.setattr(ReferenceJournal, "begin", silent)
    async with processes.one(line) as workflows:
        schedule = workflows.schedule(line, every=60)
        await is_asked.wait()
        schedule.stop()
        await anyio.sleep(40)
        speaks.set()
        await anyio.sleep(200)
    assert len(calls) == 1
    assert shop.log == []


def times(slots: Callable[[float], float], after: datetime, count: int) -> list[str]:
    found, slot = [], after.timestamp()
    for _ in range(count):
        slot = slots(slot)
        found.append(f"{datetime.fromtimestamp(slot, UTC):%d %H:%M}")
    return found


def test_cron_goes_by_utc_which_knows_no_summer_time() -> None:
    slots = slots_of("30 2 * * *", None)
    assert times(slots, datetime(2026, 3, 28, 12, tzinfo=UTC), 3) == ["29 02:30", "30 02:30", "31 02:30"]
    assert times(slots, datetime(2026, 10, 24, 12, tzinfo=UTC), 3) == ["25 02:30", "26 02:30", "27 02:30"]

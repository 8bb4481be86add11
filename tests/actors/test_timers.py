"""Schedules and their timers: what is due comes in order and on time, and the number of each owner's is bounded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import attrs
import pytest

from postroom_actors import Admission, Schedule, Timers, current_port


@attrs.define(eq=False)
class Delivered:
    """What timers have delivered, and when after the start; and what they dropped."""

    start: float
    messages: list[tuple[float, str]] = attrs.field(factory=list)
    drops: list[str] = attrs.field(factory=list)

    def deliver(self, message: str) -> None:
        self.messages.append((round(anyio.current_time() - self.start, 6), message))

    def drop(self, message: str, reason: str) -> None:
        self.drops.append(message)


@asynccontextmanager
async def timers_at_work() -> AsyncIterator[Timers]:
    timers = Timers(current_port())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await anyio.wait_all_tasks_blocked()
        yield timers
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def schedule_at_work(capacity: int = 100) -> AsyncIterator[tuple[Schedule[str], Delivered]]:
    delivered = Delivered(anyio.current_time())
    async with timers_at_work() as timers:
        yield Schedule(timers, delivered.deliver, capacity, delivered.drop), delivered


async def test_messages_come_by_due_time_and_equal_ones_in_the_order_set() -> None:
    async with schedule_at_work() as (schedule, delivered):
        for seconds, message in [(3, "c"), (1, "a"), (2, "b"), (2, "b too"), (-1, "overdue")]:
            schedule.set(delivered.start + seconds, message)
        assert delivered.messages == []
        await anyio.sleep(10)
    assert delivered.messages == [(0, "overdue"), (1, "a"), (2, "b"), (2, "b too"), (3, "c")]


async def test_an_earlier_one_set_later_does_not_come_late() -> None:
    async with schedule_at_work() as (schedule, delivered):
        schedule.set(delivered.start + 100, "late")
        await anyio.sleep(1)
        schedule.set(delivered.start + 2, "early")
        await anyio.sleep(200)
    assert delivered.messages == [(2, "early"), (100, "late")]


async def test_beyond_the_capacity_one_waits_until_one_is_delivered() -> None:
    async with schedule_at_work(capacity=1) as (schedule, delivered):
        assert schedule.set(delivered.start + 5, "first") is None
        admission = schedule.set(delivered.start + 1, "second")
        assert isinstance(admission, Admission)
        await admission.wait()
        assert anyio.current_time() - delivered.start == pytest.approx(5)
        await anyio.sleep(1)
    assert delivered.messages == [(5, "first"), (5, "second")]


async def test_what_is_cancelled_never_comes_and_lets_the_next_in() -> None:
    async with schedule_at_work(capacity=2) as (schedule, delivered):
        schedule.set(delivered.start + 5, "keep")
        schedule.set(delivered.start + 8, "drop")
        third = schedule.set(delivered.start + 6, "keep too")
        schedule.set(delivered.start + 9, "drop too")
        assert third is not None
        assert schedule.cancel(due_after=delivered.start + 7) == ["drop", "drop too"]
        assert (len(schedule), len(schedule.line)) == (2, 0)
        await third.wait()
        await anyio.sleep(100)
    assert [message for _, message in delivered.messages] == ["keep", "keep too"]


async def test_only_what_is_due_after_a_moment_is_cancelled() -> None:
    async with schedule_at_work() as (schedule, delivered):
        for seconds in (3, 1, 2):
            schedule.set(delivered.start + seconds, f"at {seconds}")
        assert schedule.cancel(due_after=delivered.start + 1) == ["at 2", "at 3"]
        await anyio.sleep(100)
    assert delivered.messages == [(1, "at 1")]


async def test_what_writers_left_in_line_is_bounded_by_the_capacity() -> None:
    async with schedule_at_work(capacity=1) as (schedule, delivered):
        schedule.set(delivered.start + 5, "set")
        for number in range(3):
            admission = schedule.set(delivered.start + 6, f"left {number}")
            assert admission is not None
            with anyio.CancelScope() as scope:
                scope.cancel()
                await admission.wait()
        assert delivered.drops == ["left 1", "left 2"]
        await anyio.sleep(100)
    assert [message for _, message in delivered.messages] == ["set", "left 0"]


async def test_what_is_not_due_when_timers_end_stays_set() -> None:
    async with schedule_at_work() as (schedule, delivered):
        schedule.set(delivered.start + 5, "never")
        await anyio.sleep(1)
    assert len(schedule) == 1
    assert delivered.messages == []


async def test_a_full_schedule_holds_nobody_back_but_its_own_writers() -> None:
    delivered = Delivered(anyio.current_time())
    async with timers_at_work() as timers:
        full = Schedule(timers, delivered.deliver, 1, delivered.drop)
        other = Schedule(timers, delivered.deliver, 1, delivered.drop)
        full.set(delivered.start + 5, "full")
        assert full.set(delivered.start + 5, "in line") is not None
        assert other.set(delivered.start + 1, "other") is None
        await anyio.sleep(10)
    assert delivered.messages == [(1, "other"), (5, "full"), (5, "in line")]


async def test_a_message_comes_only_after_the_one_of_its_key_before_it_is_finished() -> None:
    async with schedule_at_work() as (schedule, delivered):
        for seconds, message in [(5, "a"), (1, "b"), (20, "c")]:
            schedule.set(delivered.start + seconds, message, key="k")
        schedule.set(delivered.start + 2, "of another key", key="l")
        await anyio.sleep(7)
        schedule.set(delivered.start + 10, "a", key="k")  # it has come, and comes again
        await anyio.sleep(8)
        assert schedule.finished("k", "a")
        await anyio.sleep(1)
        assert schedule.finished("k", "b")
        await anyio.sleep(10)
        assert not schedule.finished("k", "c")
    assert delivered.messages == [(2, "of another key"), (5, "a"), (10, "a"), (15, "b"), (20, "c")]


async def test_what_stands_behind_another_of_its_key_takes_up_room() -> None:
    async with schedule_at_work(capacity=2) as (schedule, delivered):
        schedule.set(delivered.start + 1, "a", key="k")
        schedule.set(delivered.start + 1, "b", key="k")
        assert schedule.is_full
        assert schedule.set(delivered.start + 1, "c", key="k") is not None
        await anyio.sleep(2)
        assert (len(schedule), len(schedule.line)) == (2, 0)
        assert schedule.finished("k", "a")
        await anyio.sleep(1)
        assert schedule.finished("k", "b")
        await anyio.sleep(1)
        assert not schedule.finished("k", "c")
    assert [message for _, message in delivered.messages] == ["a", "b", "c"]


async def test_one_that_is_still_in_line_comes_after_the_one_of_its_key_that_has_finished() -> None:
    async with schedule_at_work(capacity=2) as (schedule, delivered):
        schedule.set(delivered.start + 100, "late")
        schedule.set(delivered.start + 1, "a", key="k")
        schedule.set(delivered.start + 10, "in line before it")
        schedule.set(delivered.start + 1, "b", key="k")
        await anyio.sleep(2)
        assert schedule.finished("k", "a")
        await anyio.sleep(10)
        assert not schedule.finished("k", "b")
    assert delivered.messages == [(1, "a"), (10, "in line before it"), (10, "b")]


async def test_what_is_cancelled_leaves_those_behind_it_in_their_order() -> None:
    async with schedule_at_work() as (schedule, delivered):
        for seconds, message in [(50, "a"), (1, "b"), (60, "c"), (2, "d")]:
            schedule.set(delivered.start + seconds, message, key="k")
        assert schedule.cancel(due_after=delivered.start + 10) == ["a", "c"]
        assert schedule.finished("k", "a")
        assert schedule.finished("k", "c")
        await anyio.sleep(5)
        assert schedule.finished("k", "b")
        await anyio.sleep(5)
        assert not schedule.finished("k", "d")
        assert len(schedule) == 0
    assert delivered.messages == [(1, "b"), (5, "d")]


async def test_what_was_cancelled_is_forgotten_before_it_would_have_been_due() -> None:
    async with timers_at_work() as timers:
        delivered = Delivered(anyio.current_time())
        kept = Schedule(timers, delivered.deliver, 1000, delivered.drop)
        other = Schedule(timers, delivered.deliver, 1000, delivered.drop)
        for number in range(600):
            (other if number % 3 else kept).set(delivered.start + 100 - number % 7, str(number))
        assert len(other.cancel()) == 400
        assert len(timers) == len(timers._heap) == 200
        await anyio.sleep(200)
        assert (len(timers), len(delivered.messages)) == (0, 200)
    assert [at for at, _ in delivered.messages] == sorted(at for at, _ in delivered.messages)


async def test_others_run_while_very_many_fall_due_at_once() -> None:
    async with schedule_at_work(capacity=10_000) as (schedule, delivered):
        seen: list[int] = []

        async def look() -> None:
            await anyio.sleep(1)
            while len(delivered.messages) < 10_000:
                seen.append(len(delivered.messages))
                await anyio.lowlevel.checkpoint()

        for number in range(10_000):
            schedule.set(delivered.start + 1, str(number))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
    assert len(seen) > 10
    assert [message for _, message in delivered.messages] == [str(number) for number in range(10_000)]

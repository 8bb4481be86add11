"""Timers: what is due comes in order and on time, and their number is bounded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import attrs
import pytest

from postroom_actors import Admission, Timers, current_port


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
async def timers_at_work(capacity: int = 100) -> AsyncIterator[tuple[Timers[str], Delivered]]:
    delivered = Delivered(anyio.current_time())
    timers: Timers[str] = Timers(current_port(), delivered.deliver, capacity, delivered.drop)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await anyio.wait_all_tasks_blocked()
        yield timers, delivered
        tasks.cancel_scope.cancel()


async def test_messages_come_by_due_time_and_equal_ones_in_the_order_set() -> None:
    async with timers_at_work() as (timers, delivered):
        for seconds, message in [(3, "c"), (1, "a"), (2, "b"), (2, "b too"), (-1, "overdue")]:
            timers.set(delivered.start + seconds, message)
        assert delivered.messages == []
        await anyio.sleep(10)
    assert delivered.messages == [(0, "overdue"), (1, "a"), (2, "b"), (2, "b too"), (3, "c")]


async def test_an_earlier_one_set_later_does_not_come_late() -> None:
    async with timers_at_work() as (timers, delivered):
        timers.set(delivered.start + 100, "late")
        await anyio.sleep(1)
        timers.set(delivered.start + 2, "early")
        await anyio.sleep(200)
    assert delivered.messages == [(2, "early"), (100, "late")]


async def test_beyond_the_capacity_one_waits_until_one_is_delivered() -> None:
    async with timers_at_work(capacity=1) as (timers, delivered):
        assert timers.set(delivered.start + 5, "first") is None
        admission = timers.set(delivered.start + 1, "second")
        assert isinstance(admission, Admission)
        await admission.wait()
        assert anyio.current_time() - delivered.start == pytest.approx(5)
        await anyio.sleep(1)
    assert delivered.messages == [(5, "first"), (5, "second")]


async def test_what_is_cancelled_never_comes_and_lets_the_next_in() -> None:
    async with timers_at_work(capacity=2) as (timers, delivered):
        timers.set(delivered.start + 5, "keep")
        timers.set(delivered.start + 6, "drop")
        third = timers.set(delivered.start + 7, "keep too")
        timers.set(delivered.start + 8, "drop too")
        assert third is not None
        assert timers.cancel(lambda message: message.startswith("drop")) == ["drop", "drop too"]
        assert (len(timers), len(timers.line)) == (2, 0)
        await third.wait()
        await anyio.sleep(100)
    assert [message for _, message in delivered.messages] == ["keep", "keep too"]


async def test_only_what_is_due_after_a_moment_is_cancelled() -> None:
    async with timers_at_work() as (timers, delivered):
        for seconds in (3, 1, 2):
            timers.set(delivered.start + seconds, f"at {seconds}")
        assert timers.cancel(lambda message: True, due_after=delivered.start + 1) == ["at 2", "at 3"]
        await anyio.sleep(100)
    assert delivered.messages == [(1, "at 1")]


async def test_what_writers_left_in_line_is_bounded_by_the_capacity() -> None:
    async with timers_at_work(capacity=1) as (timers, delivered):
        timers.set(delivered.start + 5, "set")
        for number in range(3):
            admission = timers.set(delivered.start + 6, f"left {number}")
            assert admission is not None
            with anyio.CancelScope() as scope:
                scope.cancel()
                await admission.wait()
        assert delivered.drops == ["left 1", "left 2"]
        await anyio.sleep(100)
    assert [message for _, message in delivered.messages] == ["set", "left 0"]


async def test_what_is_not_due_when_timers_end_stays_set() -> None:
    async with timers_at_work() as (timers, delivered):
        timers.set(delivered.start + 5, "never")
        await anyio.sleep(1)
    assert len(timers) == 1
    assert delivered.messages == []

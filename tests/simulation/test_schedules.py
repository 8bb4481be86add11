"""Schedules are drawn from their seed, on both backends, and a trio or an asyncio that changes fails loudly."""

import asyncio
import gc
import sys
import warnings
from collections.abc import Callable

import anyio
import anyio.lowlevel
import attrs
import pytest
from trio._core import _run as private

from . import on_trio, schedules
from .schedules import BACKENDS, Backend


@attrs.define(eq=False)
class Notes:
    """Writes down what a schedule does."""

    steps: list[int] = attrs.field(factory=list)
    jumps: list[float] = attrs.field(factory=list)
    errors: list[str] = attrs.field(factory=list)
    is_hopeless: bool = False
    now: Callable[[], float] = float

    def stepped(self, task: int) -> None:
        self.steps.append(task)

    def jumping(self) -> None:
        self.jumps.append(self.now())

    def broken(self, what: str) -> None:
        self.errors.append(what)


async def four_tasks() -> None:
    async def work() -> None:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(work)


async def two_naps() -> None:
    await anyio.sleep(1)
    await anyio.sleep(2)


def steps_of(backend: Backend, seed: str) -> list[int]:
    notes = Notes()
    schedules.run(backend, seed, 0.0, four_tasks, notes)
    return notes.steps


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_seed_gives_the_same_steps_and_another_one_others(backend: Backend) -> None:
    assert steps_of(backend, "one") == steps_of(backend, "one")
    assert steps_of(backend, "one") != steps_of(backend, "two")
    assert sorted(steps_of(backend, "one")) == sorted(steps_of(backend, "two"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_time_jumps_where_nothing_can_run_and_the_watcher_is_told_before(backend: Backend) -> None:
    notes = Notes()
    schedules.run(backend, "seed", 0.0, two_naps, notes)
    assert notes.jumps == [0.0, 1.0]
    assert notes.now() == 3.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_with_a_tick_time_passes_at_each_look_but_not_for_the_watcher(backend: Backend) -> None:
    seen: list[float] = []

    class Looking(Notes):
        def stepped(self, task: int) -> None:
            seen.append(anyio.current_time() - self.now())

    notes = Looking()

    async def look() -> None:
        before = anyio.current_time()
        await anyio.lowlevel.checkpoint()
        assert anyio.current_time() >= before + 0.5

    schedules.run(backend, "seed", 0.25, look, notes)
    assert set(seen) == {0.0}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_goes_on_after_all_hope_is_broken_off(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(is_hopeless=True)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # what is broken off leaves its tasks as they are
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - each backend wraps it in its own
            schedules.run(backend, "seed", 0.0, two_naps, notes)
        found = repr(caught.value) + repr(caught.value.__cause__)
        del caught
        gc.collect()
    assert "Hopeless" in found


def test_an_error_that_no_task_gets_is_told_on_asyncio() -> None:
    notes = Notes()

    async def lose() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    schedules.run("asyncio", "seed", 0.0, lose, notes)
    assert "ZeroDivisionError" in notes.errors[0]


@pytest.mark.parametrize("name", ["_ALLOW_DETERMINISTIC_SCHEDULING", "_r"])
def test_a_trio_without_what_is_used_of_its_inside_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(private, name)
    with pytest.raises(on_trio.Unscheduled, match=name):
        schedules.run("trio", "seed", 0.0, four_tasks, Notes())


def test_trio_is_left_as_it_was() -> None:
    flag, state = private._ALLOW_DETERMINISTIC_SCHEDULING, private._r.getstate()
    steps_of("trio", "seed")
    assert (private._ALLOW_DETERMINISTIC_SCHEDULING, private._r.getstate()) == (flag, state)
    assert not hasattr(private, "id")

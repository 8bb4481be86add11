"""Each call of a runtime on a store, cancelled after each number of steps, then made again: as if made once."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest

from postroom import (
    Event,
    GroupCleared,
    PostroomError,
    Runtime,
    Subscriber,
    UnknownDeadLetter,
    UnknownSubscription,
    subscriber,
)
from postroom.testing.reference import ReferenceModule, ReferenceStore

STEPS: Final = 30
"""More than any of these calls takes."""


class Stage:
    """A runtime on a store of its own, with what is handled there."""

    runtime: Runtime

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.store = ReferenceStore()

        @subscriber("n", name="clerk", backlog=2, capacity=1)
        async def clerk(event: Event) -> str:
            await anyio.sleep(1)
            self.handled.append(event.id)
            return event.id

        @subscriber("bad", name="ill")
        async def ill(event: Event) -> None:
            raise ValueError(event.id)

        @subscriber("late", name="late")
        async def late(event: Event) -> None:
            self.handled.append(event.id)

        self.late = late
        self.subscribers: list[Subscriber[..., Any]] = [clerk, ill]

    async def fill(self) -> None:
        """Leave no room."""
        await self.runtime.subscriptions["clerk"].pause()
        await self.runtime.emit_many([Event("n"), Event("n")])

    async def clear_away(self) -> None:
        await self.runtime.subscriptions["clerk"].resume()

    async def fail_one(self) -> None:
        await self.runtime.emit_and_wait("bad", id="bad")

    async def stage_one(self) -> None:
        await self.runtime.emit("n", id="x", group="g")

    async def letter(self) -> Any:
        return (await self.runtime.dead_letters.list())[0]


async def nothing(stage: Stage) -> None: ...


def once(id: str) -> Callable[[Stage], Awaitable[None]]:
    """That this event was handled once, by the end."""

    async def check(stage: Stage) -> None:
        assert stage.handled.count(id) == 1, stage.handled

    return check


async def stopped(stage: Stage) -> None:
    """Of a stop that was cancelled the store may learn by the end of the session only."""
    assert "clerk" not in stage.runtime.subscriptions


async def served(stage: Stage) -> None:
    assert (await stage.runtime.emit_and_wait("late", id="x")).succeeded
    assert stage.handled == ["x"]


async def no_letters(stage: Stage) -> None:
    assert not await stage.runtime.dead_letters.list()


async def one_letter(stage: Stage) -> None:
    assert [each.event.id for each in await stage.runtime.dead_letters.list()] == ["bad"]


def is_paused(paused: bool) -> Callable[[Stage], Awaitable[None]]:
    async def check(stage: Stage) -> None:
        assert [each.paused for each in await stage.runtime.stored_subscriptions() if each.name == "clerk"] == [paused]

    return check


async def replay(stage: Stage) -> None:
    with suppress(UnknownDeadLetter, IndexError):
        await (await stage.runtime.dead_letters.replay(await stage.letter()))


async def discard(stage: Stage) -> None:
    with suppress(UnknownDeadLetter, IndexError):
        await stage.runtime.dead_letters.discard((await stage.letter()).id)


async def release(stage: Stage) -> None:
    for receipt in await stage.runtime.release_group("g"):
        await receipt


async def spawn(stage: Stage) -> None:
    if "late" not in stage.runtime.subscriptions:
        await stage.runtime.spawn(stage.late)


async def stop(stage: Stage) -> None:
    if "clerk" in stage.runtime.subscriptions:
        await stage.runtime.subscriptions["clerk"].stop()


async def pause(stage: Stage) -> None:
    await stage.runtime.subscriptions["clerk"].pause()


async def list_all(stage: Stage) -> None:
    runtime = stage.runtime
    await runtime.stored_subscriptions()
    await runtime.staged_groups()
    await runtime.dead_letters.list()


async def remove(stage: Stage) -> None:
    with suppress(UnknownSubscription):
        await stage.runtime.remove_subscription("clerk")


async def removed(stage: Stage) -> None:
    assert [each.name for each in await stage.runtime.stored_subscriptions()] == ["ill"]


Step = Callable[[Stage], Awaitable[Any]]

CALLS: Final[dict[str, tuple[Step, Step, Step]]] = {
    "emit": (nothing, lambda stage: stage.runtime.emit("n", id="x"), once("x")),
    "emit, waiting for room": (Stage.fill, lambda stage: stage.runtime.emit("n", id="x"), once("x")),
    "emit_and_wait": (nothing, lambda stage: stage.runtime.emit_and_wait("n", id="x"), once("x")),
    "emit_and_wait, without room": (Stage.fill, lambda stage: stage.runtime.emit_and_wait("n", id="x"), once("x")),
    "request": (nothing, lambda stage: stage.runtime.request("n", id="x"), once("x")),
    "emit_many": (nothing, lambda stage: stage.runtime.emit_many([Event("n", id="x"), Event("n", id="y")]), once("y")),
    "stage": (nothing, lambda stage: stage.runtime.emit("n", id="x", group="g"), once("x")),
    "release_group": (Stage.stage_one, release, once("x")),
    "spawn": (nothing, spawn, served),
    "stop": (nothing, stop, stopped),
    "pause": (nothing, pause, is_paused(True)),
    "resume": (pause, lambda stage: stage.runtime.subscriptions["clerk"].resume(), is_paused(False)),
    "lists": (nothing, list_all, nothing),
    "remove_subscription": (stop, remove, removed),
    "replay": (Stage.fail_one, replay, one_letter),
    "discard": (Stage.fail_one, discard, no_letters),
    "idle": (Stage.fail_one, lambda stage: stage.runtime.idle(), one_letter),
}


async def cancelled_after(steps: int, stage: Stage, call: Step) -> None:
    """Make a call in a task of its own, and cancel it after so many turns of the loop."""
    scope = anyio.CancelScope()

    async def make() -> None:
        with scope, suppress(PostroomError):
            await call(stage)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(make)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        scope.cancel()


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_that_is_cancelled_and_made_again_has_happened_once(name: str) -> None:
    prepare, call, check = CALLS[name]
    for steps in range(STEPS):
        stage = Stage()
        async with Runtime(module=ReferenceModule(stage.store), subscribers=stage.subscribers) as stage.runtime:
            with anyio.fail_after(1000):
                await prepare(stage)
                await cancelled_after(steps, stage, call)
                if "room" in name:
                    await stage.clear_away()
                with suppress(GroupCleared):
                    await call(stage)
                if name == "stage":
                    await release(stage)
                await stage.runtime.idle()
                await check(stage)
        assert not stage.store.deliveries or "pause" in name


@pytest.mark.parametrize("prepare", [nothing, Stage.fill])
@pytest.mark.parametrize(
    "call",
    [
        lambda stage: stage.runtime.emit("n"),
        lambda stage: stage.runtime.emit_and_wait("n"),
        lambda stage: stage.runtime.request("n"),
        lambda stage: stage.runtime.emit_many([Event("n"), Event("n")]),
    ],
    ids=["emit", "emit_and_wait", "request", "emit_many"],
)
async def test_an_emit_that_is_cancelled_is_stored_by_then_or_never(prepare: Step, call: Step) -> None:
    for steps in range(STEPS):
        stage = Stage()
        async with Runtime(module=ReferenceModule(stage.store), subscribers=stage.subscribers) as stage.runtime:
            with anyio.fail_after(1000):
                await prepare(stage)
                await cancelled_after(steps, stage, call)
                await anyio.sleep(0.1)
                stored = set(stage.store.known) | set(stage.handled)
                await stage.clear_away()
                await stage.runtime.idle()
                assert set(stage.handled) == stored

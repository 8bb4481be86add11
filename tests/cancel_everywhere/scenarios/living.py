"""Scenarios of subscriptions that start, stop, pause and are restarted."""

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel

from postroom import Actor, Event, Siblings, Supervision, on, subscriber
from tests.cancel_everywhere.world import World

from .registry import scenario
from .waiting import sleeping


def stock(world: World, name: str, *, start: Callable[[], Any] | None = None) -> type[Actor]:
    """A class of actors that take time to start, to work and to stop, and fail at `fail` and `start again`."""

    class Stock(Actor):
        @on("n", "fail")
        async def count(self, event: Event) -> None:
            with world.noting(name, event):
                await anyio.sleep(1)
                if event.name == "fail":
                    raise ConnectionError

        @on(f"probe.{name}")
        async def probe(self, event: Event) -> None:
            with world.noting(name, event):
                await anyio.sleep(1)

        async def started(self) -> None:
            await anyio.sleep(1)
            if start is not None:
                start()

        async def stopped(self) -> None:
            await anyio.sleep(1)

    return Stock


RESTART = Supervision(on={ConnectionError: "restart"}, intensity=10)


@scenario
async def spawn(world: World) -> None:
    spawned = False
    with world.at_risk():
        await world.spawn("one", None, concurrency=3)
        spawned = True
    world.expect(("one" in world.runtime.subscriptions) is spawned, "spawn told something else than it did")
    await world.runtime.emit_and_wait("n", 1)


@scenario
async def spawn_actor_that_starts_slowly(world: World) -> None:
    with world.at_risk():
        await world.spawn_actor(stock(world, "stock"), name="stock")
        await world.runtime.emit_and_wait("n", 1)
    await world.runtime.emit_and_wait("n", 2)


@scenario
async def supervise(world: World) -> None:
    siblings = Siblings([subscriber(name=name)(stock(world, name)) for name in "ab"], strategy="one_for_all")
    with world.at_risk():
        await world.runtime.supervise(siblings)
        for name in "ab":
            world.keep_actor(name)
        await world.runtime.emit_and_wait("n", 1)
    world.expect(len(world.runtime.subscriptions) in (0, 2), "only some of them were started")
    await world.runtime.emit_and_wait("n", 2)


@scenario
async def stop_with_drain(world: World) -> None:
    subscription = await world.spawn("one", sleeping(1), capacity=1)
    for number in range(2):
        await world.runtime.emit("n", number)
    begun = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.runtime.emit, "n", 2)
        await anyio.lowlevel.checkpoint()
        with world.at_risk():
            begun = True
            await subscription.stop()
            world.expect("one" not in world.runtime.subscriptions, "it is still there")
    await anyio.sleep(10)
    world.expect(("one" in world.runtime.subscriptions) is not begun, "a stop that began was never completed")
    world.expect(len(world.handled("one")) == world.runtime.stats.deliveries, "what was accepted was not drained")


@scenario
async def stop_without_drain(world: World) -> None:
    subscription = await world.spawn("one", sleeping(1), capacity=1)
    await world.spawn("two", sleeping(1))
    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(world.runtime.emit, "n", number)
        await anyio.sleep(0.5)
        with world.at_risk():
            await subscription.stop(drain=False)
    await anyio.sleep(10)
    world.expect("one" not in world.runtime.subscriptions, "a stop that began was never completed")
    await world.runtime.idle()
    world.expect(world.handled("one") == [], "it went on handling")


@scenario
async def stop_cut_short(world: World) -> None:
    """A stop with drain, and another without before it has ended."""
    subscription = await world.spawn("one", sleeping(5))
    for number in range(3):
        await world.runtime.emit("n", number)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(subscription.stop)
        await anyio.sleep(1)
        with world.at_risk():
            await subscription.stop(drain=False)
    world.expect("one" not in world.runtime.subscriptions, "it is still there")


@scenario
async def pause_and_resume(world: World) -> None:
    subscription = await world.spawn("one", sleeping(1), capacity=2)
    await world.runtime.emit("n", 0)
    done = []
    async with anyio.create_task_group() as tasks:

        async def emitter() -> None:
            for number in range(1, 6):
                await world.runtime.emit("n", number)

        tasks.start_soon(emitter)
        with world.at_risk():
            await subscription.pause()
            done.append("pause")
            world.expect(subscription.stats.paused, "it was not paused")
            await anyio.sleep(3)
            await subscription.resume()
            done.append("resume")
        world.expect(subscription.stats.paused is (done == ["pause"]), f"{done} were told, and it is otherwise")
        await subscription.resume()
    await world.runtime.idle()
    world.expect(world.handled("one") == list(range(6)), f"it handled {world.handled('one')}")


@scenario
async def restart(world: World) -> None:
    await world.spawn_actor(stock(world, "stock"), name="stock", supervision=RESTART)
    with world.at_risk():
        await world.runtime.emit("n", 1)
        await world.runtime.emit("fail", 2)
        await world.runtime.emit_and_wait("n", 3)
    await world.runtime.idle()
    world.expect(len(world.handled("stock")) == world.accepted_as("n"), "a restart lost what waited")


@scenario
async def siblings_restart(world: World) -> None:
    members: list[Any] = [subscriber(name=name, supervision=RESTART)(stock(world, name)) for name in "abc"]
    await world.runtime.supervise(Siblings(members, strategy="rest_for_one", intensity=10))
    for name in "abc":
        world.keep_actor(name)
    with world.at_risk():
        await world.runtime.emit("n", 1)
        await world.runtime.emit("fail", 2)
        await world.runtime.emit_and_wait("n", 3)
    await world.runtime.idle()
    for name in "abc":
        world.expect(len(world.handled(name)) == world.accepted_as("n"), f"a restart lost what waited for {name}")


@scenario
async def stopped_by_supervision(world: World) -> None:
    supervision = Supervision(on={ConnectionError: "stop"})
    await world.spawn_actor(stock(world, "stock"), name="stock", supervision=supervision)
    del world.places["stock"]  # it does not end well
    with world.at_risk():
        for name in ("n", "fail", "n", "n"):
            await world.runtime.emit(name)
        await world.runtime.idle()
    await world.runtime.idle()


@scenario
async def failing_start(world: World) -> None:
    fails = [True, True]

    def start() -> None:
        if fails:
            fails.pop()
            raise ConnectionError

    await world.spawn_actor(stock(world, "stock", start=start), name="stock", supervision=RESTART)
    with world.at_risk():
        await world.runtime.emit_and_wait("n", 1)
    await world.runtime.idle()


@scenario
async def children(world: World) -> None:
    """An actor that spawns a child, fails, and is restarted with it; then it is stopped, and the child first."""
    base = stock(world, "parent")
    kind = stock(world, "parent.child")

    class Parent(base):  # type: ignore[misc, valid-type]  # a class made above
        async def started(self) -> None:
            await self.spawn(kind, name="child")
            world.keep_actor("parent.child")
            await super().started()

    subscription = await world.spawn_actor(Parent, name="parent", supervision=RESTART)
    with world.at_risk():
        await world.runtime.emit("n", 1)
        await world.runtime.emit("fail", 2)
        await world.runtime.emit_and_wait("n", 3)
    await world.runtime.idle()
    with world.at_risk() if not world.strike.struck and world.victim != "call" else anyio.CancelScope():
        await subscription.stop()
    await anyio.sleep(10)
    world.expect(not world.runtime.subscriptions, "the child is still there")

"""Promise 7: children end with their parent, whatever the parent is at."""

import anyio
import pytest

from postroom import (
    Actor,
    DuplicateSubscription,
    Event,
    Failed,
    InvalidOption,
    Runtime,
    Siblings,
    Supervision,
    constant,
    on,
    subscriber,
)

pytestmark = pytest.mark.anyio

RESTART = Supervision(on={ConnectionError: "restart", KeyError: "stop"}, backoff=constant(100))


class Child(Actor):
    @on("child.event")
    async def handle(self, event: Event) -> None:
        pass


class Parent(Actor):
    @on("parent.event")
    async def handle(self, event: Event) -> None:
        raise ConnectionError

    async def started(self) -> None:
        await self.spawn(Child, name="child")


async def test_a_child_ends_with_a_parent_that_is_stopped_while_it_waits_for_its_restart() -> None:
    async with Runtime() as runtime:
        parent = await runtime.spawn(Parent, name="parent", supervision=RESTART)
        await runtime.emit_and_wait("parent.event")
        await anyio.sleep(1)  # it waits for its restart, and its child for the parent
        receipt = await runtime.emit("child.event")
        await parent.stop(drain=False)
        await anyio.sleep(1)
        assert not runtime.subscriptions
        assert receipt.settled


async def test_a_child_ends_with_a_parent_whose_sibling_stops_it_while_it_waits_for_its_restart() -> None:
    class Failing(Actor):
        @on("stop")
        async def handle(self, event: Event) -> None:
            raise ConnectionError

    members = [
        subscriber(name="parent", supervision=RESTART)(Parent),
        subscriber(name="failing", supervision=RESTART)(Failing),
    ]
    async with Runtime() as runtime:
        await runtime.supervise(Siblings(members, intensity=1, within=1000))
        await anyio.sleep(1)  # both have started
        await runtime.emit_and_wait("parent.event")
        await anyio.sleep(1)
        receipt = await runtime.emit("child.event")
        await runtime.emit_and_wait("stop")  # one restart too many for both
        await anyio.sleep(1)
        assert not runtime.subscriptions
        [outcome] = receipt.report().outcomes
        assert isinstance(outcome, Failed)


async def test_a_child_ends_with_a_parent_that_is_stopped_while_its_last_instance_stops() -> None:
    class Slow(Parent):
        async def stopped(self) -> None:
            await anyio.sleep(2)

    async with Runtime() as runtime:
        parent = await runtime.spawn(Slow, name="parent", supervision=RESTART)
        await runtime.emit_and_wait("parent.event")
        await anyio.sleep(1)  # its first instance is stopping
        await parent.stop(drain=False)
        await anyio.sleep(1)
        assert not runtime.subscriptions


async def test_a_child_is_spawned_once_by_each_instance_and_as_the_one_before_was() -> None:
    refused: list[Exception] = []

    class Doubling(Actor):
        lives = 0

        async def started(self) -> None:
            Doubling.lives += 1
            try:
                await self.spawn(Child, name="child", capacity=4 if Doubling.lives == 1 else 5)
            except InvalidOption as error:
                refused.append(error)

        @on("parent.event")
        async def handle(self, event: Event) -> None:
            if event.data == "again":
                await self.spawn(Child, name="child", capacity=4)
            raise ConnectionError

    supervision = Supervision(on={ConnectionError: "restart"})
    async with Runtime() as runtime:
        await runtime.spawn(Doubling, name="parent", supervision=supervision)
        again = (await runtime.emit_and_wait("parent.event", "again")).of("parent")
        await runtime.emit_and_wait("parent.event")
        await anyio.sleep(100)
    assert isinstance(again, Failed)
    assert isinstance(again.exception, DuplicateSubscription)
    assert "was declared otherwise" in str(refused[0])


async def test_a_parent_ends_though_one_child_ends_by_itself_while_another_is_still_ending() -> None:
    class Slow(Child):
        async def stopped(self) -> None:
            await anyio.sleep(2)

    class Family(Parent):
        async def started(self) -> None:
            await self.spawn(Child, name="quick")
            await self.spawn(Slow, name="slow")

    async with Runtime() as runtime, anyio.create_task_group() as tasks:
        parent = await runtime.spawn(Family, name="parent")
        await anyio.sleep(1)  # all have started
        quick = runtime.subscriptions["parent.quick"]
        tasks.start_soon(parent.stop)
        await anyio.sleep(1)
        await quick.stop()
        await anyio.sleep(2)
        assert not runtime.subscriptions

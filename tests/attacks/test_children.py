"""Promise 7: children end with their parent, whatever the parent is at."""

import anyio
import pytest

from postroom import Actor, Event, Failed, Runtime, Siblings, Supervision, constant, on, subscriber

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

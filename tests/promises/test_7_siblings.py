"""Promise 7, supervision of several: children and siblings stop and start together, in order, and lose nothing."""

from functools import partial
from typing import Any

import anyio
import pytest

from postroom import (
    Actor,
    Context,
    Event,
    InvalidHandler,
    Runtime,
    Siblings,
    Subscriber,
    Succeeded,
    Supervision,
    constant,
    on,
    subscriber,
)
from tests.promises.clerks import FRESH, Clerk, Crash, Slow


async def test_children_stop_before_their_parent_and_are_restarted_after_it_with_their_mailboxes() -> None:
    told: list[str] = []

    class Boss(Clerk):
        async def started(self) -> None:
            await Clerk.started(self)
            await self.spawn(Clerk, told, name="a")
            await self.spawn(Clerk, told, name="b")

        @on("boss")
        async def work(self, event: Event) -> None:
            raise Crash

    async with Runtime() as runtime:
        await runtime.spawn(Boss, told, name="boss", supervision=FRESH)
        await runtime.idle()
        await anyio.sleep(1)
        assert set(runtime.subscriptions) == {"boss", "boss.a", "boss.b"}
        child = runtime.subscriptions["boss.a"]
        await child.pause()
        receipt = await runtime.emit("count", 1)
        await runtime.emit_and_wait("boss")
        await child.resume()
        assert (await receipt).succeeded
        assert runtime.subscriptions["boss.a"] is child
        await runtime.subscriptions["boss"].stop()
        assert dict(runtime.subscriptions) == {}
    start, stop = ["+boss", "+boss.a", "+boss.b"], ["-boss.b", "-boss.a", "-boss"]
    assert sorted(told[:3]) == sorted(start)
    assert told[3:6] == stop
    assert told[6] == "+boss"
    assert sorted(told[6:9]) == sorted(start)
    assert told[9:] == stop


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", ["-b", "+b"]),
        ("one_for_all", ["-c", "-b", "-a", "+a", "+b", "+c"]),
        ("rest_for_one", ["-c", "-b", "+b", "+c"]),
    ],
)
async def test_siblings_stop_in_reverse_and_start_in_order_and_lose_nothing(strategy: Any, expected: list[str]) -> None:
    told: list[str] = []

    class Slow(Clerk):
        @on("slow")
        async def work(self, event: Event, context: Context) -> int:
            await anyio.sleep(10)
            return context.attempt

    members = [subscriber(name=name)(partial(kind, told)) for name, kind in (("a", Slow), ("b", Clerk), ("c", Slow))]
    async with Runtime() as runtime:
        await runtime.supervise(Siblings([attrs_with(each) for each in members], strategy=strategy))
        slow = await runtime.emit("slow")
        await anyio.sleep(1)
        told.clear()
        crash = await runtime.emit("count", "crash")
        await anyio.sleep(5)
        changes = told.copy()
        report = await slow
        await crash
        assert [(each.value, each.attempts) for each in report.outcomes if isinstance(each, Succeeded)] == [(1, 1)] * 2
        assert runtime.subscriptions["b"].stats.retried == 0
    assert changes == expected


def attrs_with(member: "Subscriber[..., Any]") -> "Subscriber[..., Any]":
    """`member`, whose crashes of b alone restart anything."""
    import attrs

    return attrs.evolve(member, supervision=FRESH if member.name == "b" else None)


@pytest.mark.supervision
async def test_beyond_their_intensity_all_siblings_stop() -> None:
    member = subscriber(name="a", supervision=FRESH)(partial(Clerk, []))
    other = subscriber(name="b")(partial(Clerk, []))
    async with Runtime(subscribers=[Siblings([member, other], intensity=0)]) as runtime:
        await runtime.emit_and_wait("count", "crash")
        await runtime.idle()
        await anyio.sleep(1)
        assert dict(runtime.subscriptions) == {}


async def test_a_function_that_is_an_actors_child_waits_for_its_parents_next_instance_and_goes_on() -> None:
    handled: list[tuple[float, int]] = []
    lives: list[int] = []

    class Boss(Actor):
        async def started(self) -> None:
            lives.append(len(lives))
            if len(lives) > 1:
                await anyio.sleep(5)

            async def child(event: Event, life: int = lives[-1]) -> None:
                handled.append((round(anyio.current_time() - began), life))

            await self.spawn(child, "child", name="child")

        @on("boss")
        async def work(self, event: Event) -> None:
            raise Crash

    began = anyio.current_time()
    async with Runtime() as runtime:
        await runtime.spawn(Boss, supervision=FRESH)
        await anyio.sleep(1)
        await runtime.emit_and_wait("child")
        await runtime.emit_and_wait("boss")
        for _ in range(2):
            await runtime.emit("child")
        await anyio.sleep(1)
        assert handled == [(1, 0)]
        await runtime.idle()
        await runtime.emit_and_wait("child")
    assert [life for _, life in handled] == [0, 1, 1, 1]
    assert [at for at, _ in handled] == [1, 6, 6, 6]


async def test_a_sibling_that_is_down_already_is_not_restarted_once_more() -> None:
    starts: list[str] = []

    class Late(Slow):
        async def started(self) -> None:
            starts.append(self.name)
            if len(starts) == 1:
                raise Crash

    first = subscriber(name="first", supervision=FRESH)(partial(Clerk, []))
    late = subscriber(supervision=Supervision(default="restart", backoff=constant(10)))(Late)
    async with Runtime(subscribers=[Siblings([first, late], strategy="one_for_all", intensity=5)]) as runtime:
        await anyio.sleep(1)  # the first one has been restarted with it, and late waits for its backoff
        before = runtime.subscriptions["late"].stats.restarts
        await runtime.emit("count", "crash")
        await anyio.sleep(1)
        assert before == 1
        assert runtime.subscriptions["late"].stats.restarts == 1
        await anyio.sleep(20)
        assert starts == ["late", "late"]


def test_only_actors_can_be_siblings() -> None:
    async def handler(event: Event) -> None: ...

    with pytest.raises(InvalidHandler, match="only actors can be siblings"):
        Siblings([subscriber("n")(handler)])

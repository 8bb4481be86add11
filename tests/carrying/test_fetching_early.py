"""Who is idle asks for an event while it is still on its way into the store."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import attrs
import msgspec

from postroom import Event, Runtime, subscriber
from postroom.contract import Answer, Emit, Fetched, News
from postroom.testing.reference import ReferenceModule, ReferenceSession


@attrs.define(eq=False)
class Told(ReferenceSession):
    """A session that tells what it is asked for; a publish takes a second, in which it stores nothing yet."""

    calls: list[str] = attrs.field(factory=list)

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        self.calls.append("publish")
        await anyio.sleep(1)
        self.calls.append("store")
        return await ReferenceSession.publish(self, number, emits)

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        self.calls.append("fetch")
        return await ReferenceSession.fetch(self, demand)


@attrs.define(eq=False)
class Telling(ReferenceModule):
    """Opens such sessions."""

    calls: list[str] = attrs.field(factory=list)

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator[ReferenceSession]:
        async with ReferenceModule.open(self, session) as opened:
            yield Told(self.store, opened.id, calls=self.calls)


@subscriber("order.*")
async def idle(event: Event) -> None:
    pass


async def test_an_idle_subscription_asks_behind_the_emit_and_again_where_that_was_too_early() -> None:
    module = Telling()
    async with Runtime(module=module, subscribers=[idle]) as runtime:
        await anyio.sleep(1)  # it has looked, and sleeps
        module.calls.clear()
        await runtime.emit_and_wait("order.placed")
    assert module.calls[:4] == ["publish", "fetch", "store", "fetch"]


async def test_an_event_that_nobody_here_subscribes_to_is_not_asked_for() -> None:
    module = Telling()
    async with Runtime(module=module, subscribers=[idle]) as runtime:
        await anyio.sleep(1)
        module.calls.clear()
        await runtime.emit("stock.low")
        await anyio.sleep(1)
    assert module.calls[:3] == ["publish", "store"]


async def test_a_delayed_event_is_not_asked_for_before_it_is_due() -> None:
    module = Telling()
    async with Runtime(module=module, subscribers=[idle]) as runtime:
        await anyio.sleep(1)
        module.calls.clear()
        await runtime.emit("order.placed", delay=60)
        assert module.calls[:2] == ["publish", "store"]


@attrs.define(eq=False)
class Late(Told):
    """A session whose publish takes a second to say that its events are stored, and that is told of no mail before; a
    fetch takes half of that."""

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        answers = await ReferenceSession.publish(self, number, emits)
        await anyio.sleep(1)
        self.calls.append("answer")
        return answers

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        await anyio.sleep(0.5)
        return await Told.fetch(self, demand)

    async def news(self, seen: int) -> News:
        return msgspec.structs.replace(await ReferenceSession.news(self, seen), mail=False)


class LateToAnswer(Telling):
    """Opens such sessions."""

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator[ReferenceSession]:
        async with ReferenceModule.open(self, session) as opened:
            yield Late(self.store, opened.id, calls=self.calls)


async def test_what_a_fetch_has_brought_before_its_emit_was_answered_is_not_asked_for_again() -> None:
    @subscriber("order.*", concurrency=2)
    async def slow(event: Event) -> None:
        module.calls.append("handle")
        await anyio.sleep(10)

    module = LateToAnswer()
    async with Runtime(module=module, subscribers=[slow]) as runtime:
        await anyio.sleep(1)
        module.calls.clear()
        await runtime.emit("order.placed")
        await anyio.sleep(2)
        assert module.calls == ["fetch", "handle", "answer"]

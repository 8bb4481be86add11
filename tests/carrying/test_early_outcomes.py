"""Outcomes that overtake the answer to their emit."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio
import attrs

from postroom import Dropped, Event, Runtime, Succeeded, subscriber
from postroom.contract import Answer, Emit
from postroom.testing.reference import ReferenceModule, ReferenceSession, ReferenceStore


@attrs.define(eq=False)
class SlowSession(ReferenceSession):
    """A session whose answers to a publish take a second, in which others go on."""

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        answers = await ReferenceSession.publish(self, number, emits)
        await anyio.sleep(1)
        return answers


@attrs.define(eq=False)
class SlowToAnswer(ReferenceModule):
    """Opens such sessions."""

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator[ReferenceSession]:
        async with ReferenceModule.open(self, session) as opened:
            yield SlowSession(self.store, opened.id)


async def test_an_outcome_that_overtakes_the_answer_to_its_emit_settles_the_receipt() -> None:
    @subscriber("n")
    async def work(event: Event) -> int:
        return 7

    store = ReferenceStore()
    async with (
        Runtime(module=ReferenceModule(store), subscribers=[work]),
        Runtime(module=SlowToAnswer(store), role="emit") as emitter,
    ):
        with anyio.fail_after(10):
            report = await (await emitter.emit("n"))
    (outcome,) = report.outcomes
    assert isinstance(outcome, Succeeded)
    assert outcome.value == 7


async def test_what_a_release_drops_at_once_is_told_to_the_receipts_of_its_group() -> None:
    @subscriber("n", capacity=2, overflow="coalesce")
    async def work(event: Event) -> None: ...

    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        await runtime.subscriptions["work"].pause()
        async with runtime.group() as group:
            first, second = [await group.emit("n", number, key="k") for number in range(2)]
        with anyio.fail_after(60):
            (outcome,) = (await first).outcomes
        assert isinstance(outcome, Dropped)
        assert not second.settled
        await runtime.subscriptions["work"].resume()
        with anyio.fail_after(60):
            assert (await second).succeeded

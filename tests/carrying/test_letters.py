"""Dead letters in a store: found among many, and what is not there is refused by what is missing."""

from typing import Any

import anyio
import pytest

from postroom import Event, Runtime, Subscriber, UnknownDeadLetter, UnknownSubscription, subscriber
from postroom.carrying.letters import PAGE
from postroom.errors import RuntimeClosed
from postroom.testing.reference import ReferenceModule, ReferenceStore


def failing(name: str) -> "Subscriber[..., Any]":
    @subscriber("n", name=name)
    async def handler(event: Event) -> None:
        if event.data is not None:
            raise LookupError(event.data)

    return handler


async def test_a_letter_is_replayed_by_its_id_from_behind_a_page_of_others() -> None:
    async with Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[failing("clerk")]) as runtime:
        for number in range(PAGE + 1):
            await runtime.emit_and_wait("n", number)
        letters = await runtime.dead_letters.list(limit=PAGE + 1)
        receipt = await runtime.dead_letters.replay(letters[-1].id)
        assert receipt.event.data == PAGE
        await receipt


async def test_a_letter_that_is_not_there_is_refused_by_its_id_and_one_whose_subscription_has_gone_by_that() -> None:
    async with Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[failing("clerk")]) as runtime:
        await runtime.emit_and_wait("n", 1)
        (letter,) = await runtime.dead_letters.list()
        with pytest.raises(UnknownDeadLetter):
            await runtime.dead_letters.replay("no such letter")
        await runtime.subscriptions["clerk"].stop()
        await runtime.remove_subscription("clerk")
        left = await runtime.dead_letters.list()
        with pytest.raises(UnknownSubscription if left else UnknownDeadLetter):
            await runtime.dead_letters.replay(letter)


async def test_a_letter_is_not_replayed_once_the_runtime_has_closed() -> None:
    async with Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[failing("clerk")]) as runtime:
        await runtime.emit_and_wait("n", 1)
        (letter,) = await runtime.dead_letters.list()
    with pytest.raises(RuntimeClosed):
        await runtime.dead_letters.replay(letter)


async def test_a_replayed_letter_goes_by_the_priority_of_its_event() -> None:
    handled: list[object] = []
    gate = anyio.Event()

    @subscriber("n", capacity=1)
    async def clerk(event: Event) -> None:
        handled.append(event.data)
        if event.data == "blocked":
            await gate.wait()
        if event.data == "urgent" and handled.count("urgent") == 1:
            raise ValueError("once")

    async with Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[clerk]) as runtime:
        await runtime.emit_and_wait("n", "urgent", priority="critical")
        await runtime.emit("n", "blocked")
        await runtime.emit("n", 1)
        await runtime.emit("n", 2)
        (letter,) = await runtime.dead_letters.list()
        await runtime.dead_letters.replay(letter)
        gate.set()
        await runtime.idle()
    assert handled == ["urgent", "blocked", "urgent", 1, 2]

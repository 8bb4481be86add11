"""The dispatcher in moments that come seldom: in the middle of itself, interrupted, and after its end."""

from typing import Any

import attrs
import pytest

from postroom import EmitInterrupted, Event, Runtime
from postroom.dispatcher import CAPACITY, Dispatcher
from postroom_actors import Mailbox, open_kernel

pytestmark = pytest.mark.anyio


@attrs.define(eq=False)
class Target:
    """A subscription that notes which deliveries it is told to cancel."""

    cancelled: list[object] = attrs.field(factory=list)

    def cancel(self, delivery: object) -> None:
        self.cancelled.append(delivery)


async def test_an_emit_in_the_middle_of_another_one_is_refused_and_the_other_one_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(event: Event) -> int:
        return int(event.data)

    offer = Mailbox.offer
    refused: list[EmitInterrupted] = []

    def interrupted(self: Mailbox[Any], message: Any) -> bool:
        monkeypatch.setattr(Mailbox, "offer", offer)
        with pytest.raises(EmitInterrupted) as caught:  # as a signal handler may do it, between any two steps
            runtime.emit_nowait("n", 2)
        refused.append(caught.value)
        return offer(self, message)

    async with Runtime() as runtime:
        await runtime.spawn(work, "n")
        monkeypatch.setattr(Mailbox, "offer", interrupted)
        report = await runtime.emit_and_wait("n", 1)
        assert runtime.stats.deliveries == 1
    assert report.succeeded
    assert len(refused) == 1


async def test_what_is_due_once_the_dispatcher_has_ended_is_cancelled() -> None:
    target: Any = Target()
    delivery: Any = object()
    async with open_kernel() as kernel:
        dispatcher = Dispatcher(kernel)
        dispatcher.ended()
        dispatcher.post((target, delivery))
    assert target.cancelled == [delivery]


async def test_what_is_due_when_the_dispatcher_has_no_room_stands_in_line_and_comes_in_its_order() -> None:
    target: Any = Target()
    async with open_kernel() as kernel:
        dispatcher = Dispatcher(kernel)
        for number in range(CAPACITY + 2):
            dispatcher.post((target, number))  # type: ignore[arg-type]  # no delivery is looked at
        mailbox = dispatcher.actor.mailbox
        assert len(mailbox.line) == 2
        taken: list[Any] = [mailbox.take(0.0) for _ in range(CAPACITY + 2)]
    assert [message[1] for message in taken if message is not None] == list(range(CAPACITY + 2))


async def test_what_was_being_routed_when_the_program_was_interrupted_is_cancelled_and_the_program_ends() -> None:
    target: Any = Target()
    delivery: Any = object()
    async with open_kernel() as kernel:
        dispatcher = Dispatcher(kernel)
        with pytest.raises(KeyboardInterrupt):
            dispatcher.interrupted((target, delivery), KeyboardInterrupt())
    assert target.cancelled == [delivery]

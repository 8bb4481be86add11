"""Batches: an actor whose hands take several messages at a time."""

import math
from typing import TypeVar, cast

import anyio
import attrs

from .actor import Actor, Behaviour, Hand

M = TypeVar("M")


@attrs.define(eq=False, kw_only=True)
class BatchActor(Actor[M]):
    """An actor that hands its behaviour lists of messages, in the order in which they were taken.

    Attributes:
        size: The most messages in a list, at least 1.
        within: Seconds after the first message was taken at which a list is handed over, full or not.
        batches: What it does with a list; `behaviour` is only told of the end. To be set before it starts.
    """

    size: int
    within: float
    batches: Behaviour[list[M]] = attrs.field(init=False)

    @property
    def in_hand(self) -> list[M]:
        return [message for hand in self.hands for message in self._held_by(hand)]

    def _held_by(self, hand: Hand[M]) -> list[M]:
        return cast("list[M]", hand.message or [])  # a hand of this actor holds a list of them

    async def serve(self, hand: Hand[M]) -> None:
        stopwatch, turn = hand.port.stopwatch, hand.turn
        open_cancellations = hand.port.open_cancellations()
        while True:
            first = self.mailbox.take(stopwatch())
            if first is None:
                if self.closed and not self.mailbox.has_mail:
                    return
                batch = result = None  # or an idle actor would keep its last messages alive
                await self.sleep_for_mail(hand)
                turn.restart(stopwatch())
                continue
            hand.turn_over()
            started = stopwatch()
            batch = [first]
            hand.message, hand.since = cast("M", batch), started
            try:
                await self._gather(hand, batch)
                hand.since = started = stopwatch()
                self.mailbox.expire(batch, started)
                if not batch:
                    hand.message = None
                    continue
                result = await self.batches.receive(batch)
                if hand.generators is not None:
                    await self.close_generators(hand)
            except BaseException as error:
                if hand.generators is not None:
                    error = await self.close_generators_after(hand, error)
                hand.message = None
                await self.sort_out(batch, self.batches, error, started, stopwatch())
            else:
                hand.message = None
                self.batches.succeeded(batch, result, started, stopwatch())
            if hand.is_over:
                return
            if open_cancellations is not None and open_cancellations():
                await self.absorb(hand.port)
            if turn.is_over(stopwatch()):
                await self.breathe(hand)
                turn.restart(stopwatch())

    async def _gather(self, hand: Hand[M], batch: list[M]) -> None:
        """Take what more there is, and wait for it to come, until the batch is full or its time is over."""
        now = hand.port.now()
        deadline = now + self.within
        while len(batch) < self.size:
            message = self.mailbox.take(hand.port.stopwatch())
            if message is not None:
                batch.append(message)
            elif self.closed or hand.port.now() >= deadline:
                return
            else:
                with anyio.CancelScope(deadline=deadline if self.within else -math.inf):
                    await self.sleep_for_mail(hand)

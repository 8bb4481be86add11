"""The hands of an actor that takes batches, when they are ended."""

import math
from collections.abc import Awaitable

import anyio
import attrs

from postroom_actors import BatchActor, Mailbox, Owner, open_kernel


@attrs.define(eq=False)
class Deaf:
    """A behaviour of batches that shields itself; it notes what was begun, and is told of no ends."""

    begun: list[list[int]] = attrs.field(factory=list)
    release: anyio.Event = attrs.field(factory=anyio.Event)

    def receive(self, batch: list[int]) -> Awaitable[object]:
        return self._work(batch)

    async def _work(self, batch: list[int]) -> None:
        self.begun.append(list(batch))
        with anyio.CancelScope(shield=True):
            await self.release.wait()

    def succeeded(self, batch: object, result: object, started: float, ended: float) -> None: ...

    def failed(self, batch: object, error: BaseException, started: float, ended: float) -> None: ...

    def cancelled(self, batch: object, started: float, ended: float) -> None: ...

    def interrupted(self, batch: object, interrupt: BaseException) -> None: ...

    def ended(self) -> None: ...


async def test_a_hand_that_was_ended_and_has_not_heard_of_it_takes_no_other_batch() -> None:
    deaf = Deaf()
    async with open_kernel() as kernel:
        actor: BatchActor[int] = BatchActor("clerk", Mailbox(Owner(), 100), deaf, size=2, within=0)  # type: ignore[arg-type]
        actor.batches = deaf
        kernel.start(actor)
        for number in range(4):
            actor.mailbox.offer(number)
        await anyio.wait_all_tasks_blocked()
        actor.interrupt()
        kernel.turn.restart(math.inf)  # its slice of time is not over, at the end of which it would hear of it
        deaf.release.set()
        await anyio.wait_all_tasks_blocked()
        assert deaf.begun == [[0, 1]]
        assert list(actor.mailbox.queue) == [2, 3]
        kernel.cancel()

"""A program that is told to end: a runtime whose block is left at the first SIGTERM, and cancelled at the second.

Run: python -m tests.shutdown.program NAME PLACE BACKEND GRACE HANDLERS LONGEST SEED
Says: `ready` once all handlers are busy and more waits; `begun N`, `ended N` in a handler; `stopping` at a signal.
Status: 0 if all that was begun was finished, 1 if something was not: `unfinished N` says what.
"""

import logging
import random
import signal
import sys
from typing import Any

import anyio
import attrs

from postroom import Event, Runtime, subscriber
from tests.processes.child import say
from tests.processes.stores import module_at


@attrs.define(eq=False)
class Desk:
    """Who handles, and what is in hand."""

    chance: random.Random
    longest: float
    in_hand: set[str] = attrs.field(factory=set)

    async def handle(self, event: Event) -> None:
        self.in_hand.add(event.data)
        say("begun", event.data)
        await anyio.sleep(self.chance.uniform(0.0, self.longest))
        say("ended", event.data)
        self.in_hand.discard(event.data)


async def hear(stop: anyio.Event, block: anyio.CancelScope, *, task_status: Any) -> None:
    """Leave the block at the first signal, cancel it at the second."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            say("stopping")
            if stop.is_set():
                block.cancel()
            stop.set()


async def main(name: str, place: str, grace: float, handlers: int, longest: float, seed: int) -> int:
    desk = Desk(random.Random(seed), longest)
    ledger = subscriber("order.*", name="ledger", concurrency=handlers)(desk.handle)
    module: Any = module_at(place)
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as block:
            await tasks.start(hear, stop, block)
            async with Runtime(module=module, subscribers=[ledger], drain_within=grace, cleanup_within=0.2) as runtime:
                texts = [f"{name}.{number}" for number in range(3 * handlers)]
                await runtime.emit_many(Event(name="order.placed", data=text) for text in texts)
                while not desk.in_hand:
                    await anyio.sleep(0.001)
                say("ready")
                await stop.wait()
        tasks.cancel_scope.cancel()
    for text in desk.in_hand:
        say("unfinished", text)
    return 1 if desk.in_hand else 0


if __name__ == "__main__":
    logging.getLogger("postroom").setLevel(logging.CRITICAL)
    _, name, place, backend, grace, handlers, longest, seed = sys.argv
    sys.exit(anyio.run(main, name, place, float(grace), int(handlers), float(longest), int(seed), backend=backend))

"""A process that is killed with `kill -9` between a handler's success and its settle.

Run: python -m tests.crash.settling NAME PLACE BACKEND LEASE SLOTS EVENTS KILL
Says: `ready`; `stored N`; `begun N LOSSES REDELIVERED ATTEMPT`, `ended N` in the handler.
It emits EVENTS events, and at the KILL-th settle it kills itself, before the store hears of it; with 0 it never does,
and ends once nothing waits in the store.
"""

import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs

from postroom import Capability, Context, Event, Runtime, subscriber
from postroom.contract import Settlement, Store
from tests.processes.child import say
from tests.processes.stores import module_at

HANDLING = 0.05
"""Seconds: longer than a settle takes, so that one extra run for each slot is all that a kill may cost."""


@attrs.define(eq=False)
class Deadly:
    """A session whose n-th settle ends the process."""

    _store: Store
    _left: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def settle(self, number: int, settlements: Sequence[Settlement]) -> Sequence[bool]:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await self._store.settle(number, settlements)


@attrs.define(eq=False)
class DeadlyModule:
    """A store whose session ends the process at its n-th settle."""

    module: Any
    kill_at: int

    @property
    def name(self) -> str:
        return str(self.module.name)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(self.module.capabilities)

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator[Any]:
        async with self.module.open(session) as store:
            yield Deadly(store, self.kill_at)


async def handle(event: Event, context: Context) -> None:
    say("begun", event.data, context.losses, int(context.redelivered), context.attempt)
    await anyio.sleep(HANDLING)
    say("ended", event.data)


async def main(name: str, place: str, lease: float, slots: int, events: int, kill_at: int) -> None:
    module: Any = DeadlyModule(module_at(place, lease), kill_at)
    ledger = subscriber("order.*", name="ledger", concurrency=slots)(handle)
    async with Runtime(module=module, subscribers=[ledger], losses=1000) as runtime:
        say("ready")
        if events:
            texts = [f"{name}.{number}" for number in range(events)]
            await runtime.emit_many(Event(name="order.placed", data=text) for text in texts)
            for text in texts:
                say("stored", text)
        while any(each.waiting + each.lent + each.delayed for each in await runtime.stored_subscriptions()):
            await anyio.sleep(0.02)


if __name__ == "__main__":
    logging.getLogger("postroom").setLevel(logging.ERROR)
    _, name, place, backend, lease, *numbers = sys.argv
    slots, events, kill_at = map(int, numbers)
    anyio.run(main, name, place, float(lease), slots, events, kill_at, backend=backend)

"""The block in which a runtime has a session on a store, and in which its carrier's services run.

Units: seconds.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final

import anyio

from postroom_actors import Port, cancellation_was_asked_for, current_port

from ..behaviour import SubscriptionBehaviour
from ..contract import EventModule
from ..loans import LentDelivery
from ..log import Log
from .carrier import Carrier
from .persistence import Persistence
from .receipts import StoredReceipt

GRACE: Final = 5.0
"""How long the end of a runtime waits for the store to take what is left."""


@asynccontextmanager
async def open_carrier(
    module: EventModule,
    session: str,
    *,
    random: Random,
    log: Log,
    losses: int,
    hand_over: Callable[[SubscriptionBehaviour, LentDelivery], None],
    recorded: Callable[[Sequence[StoredReceipt], Sequence[str | None]], None],
    lost: Callable[[], tuple[int, int]],
) -> AsyncIterator[Carrier]:
    """A block with a session on the store of `module`. What is handed in by its end still gets into the store.

    Raises:
        StoreBroken: at its beginning, or out of it: the store can't be used any more.

    Cancellation: what the store has not taken within a grace of 5 seconds is lent to others, as if never handled.
    """
    port = current_port()
    async with module.open(session) as store, anyio.create_task_group() as tasks:
        carrier = Carrier(
            store,
            module.name,
            port,
            losses,
            log,
            Persistence(module.name, random, log),
            hand_over,
            recorded,
            lost,
            session=session,
        )
        services = {
            "publisher": carrier.publisher.run,
            "fetcher": carrier.fetcher.run,
            "settler": carrier.settler.run,
            "news": carrier.listen,
        }
        # Shielded around the services, not around a wait for them: they go on while handlers end. Ended below. Each has
        # a scope of its own, since who cancels the task of a task group has all cancelled that it owns.
        scopes = {name: anyio.CancelScope(shield=True) for name in services}
        ended = anyio.Event()

        def end() -> None:
            for scope in scopes.values():
                scope.cancel()

        async def serve(name: str) -> None:
            try:
                with scopes[name]:
                    await _lasting(port, services[name])
            finally:
                del scopes[name]
                end()  # where one has failed, the others end, too
                if not scopes:
                    ended.set()

        for name in services:
            tasks.start_soon(serve, name, name=f"postroom {name}")
        try:
            yield carrier
        finally:
            carrier.fetcher.stop()
            end()
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + GRACE):
                await ended.wait()  # what they had on its way is back in the queues
                await carrier.flush()
            carrier.close()


async def _lasting(port: Port, service: Callable[[], Awaitable[None]]) -> None:
    """Run a service that goes on for ever, again where somebody has cancelled its task by asyncio's own means."""
    was_cancelled = False
    while True:
        try:
            if was_cancelled:
                await port.absorb_cancellations()  # while more of them may come
                was_cancelled = False
            await service()
        except anyio.get_cancelled_exc_class():
            if cancellation_was_asked_for():
                raise
            was_cancelled = True

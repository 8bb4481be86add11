"""A look around a runtime in which all has settled: it must be whole, and everybody at work."""

from collections.abc import Iterator

import anyio

from postroom import MailboxFull, Succeeded

from . import checks
from .world import PROBE, PROBE_SECONDS, Place, World

MOST_FILLED = 16
"""Mailboxes with more places than this are not filled."""

LONG = 1000.0
"""Virtual seconds after which nothing that was set for later is left."""


async def look_around(world: World, wrong: list[str], tasks: int, deadlines: int) -> None:
    """Add to `wrong` what is wrong.

    Args:
        tasks, deadlines: As `checks.settled` takes them.

    Cancellation: what was found so far is in `wrong`.
    """
    await world.runtime.idle()
    await anyio.sleep(LONG)
    wrong += checks.settled(world, tasks, deadlines)
    for name, place in list(world.places.items()):
        if name in world.runtime.subscriptions:
            await (_probe(world, wrong, place) if place.plain else _probe_once(world, wrong, name))
    await world.runtime.idle()


async def _probe_once(world: World, wrong: list[str], name: str) -> None:
    """One event must be handled."""
    wrong += _failures(name, (await world.runtime.emit_and_wait(f"{PROBE}.{name}")).outcomes)


async def _probe(world: World, wrong: list[str], place: Place) -> None:
    """Fill each hand, then each place in the mailbox: there must be as many as were declared."""
    name, runtime = place.name, world.runtime
    started = anyio.current_time()
    receipts = [runtime.emit_nowait(f"{PROBE}.{name}") for _ in range(place.concurrency)]
    for receipt in receipts:
        wrong += _failures(name, (await receipt).outcomes)
    if anyio.current_time() > started + PROBE_SECONDS * 1.001:
        wrong.append(f"{name} handles less than {place.concurrency} at a time")
    if place.capacity > MOST_FILLED:
        return
    subscription = runtime.subscriptions[name]
    await subscription.pause()
    receipts = []
    try:
        for _ in range(place.capacity + 1):
            receipts.append(runtime.emit_nowait(f"{PROBE}.{name}"))
    except MailboxFull:
        pass
    if len(receipts) != place.capacity:
        wrong.append(f"{name} has room for {len(receipts)}, and {place.capacity} were declared")
    await subscription.resume()
    for receipt in receipts:
        wrong += _failures(name, (await receipt).outcomes)


def _failures(name: str, outcomes: tuple[object, ...]) -> Iterator[str]:
    if not (len(outcomes) == 1 and isinstance(outcomes[0], Succeeded)):
        yield f"{name} does not handle any more: {outcomes}"

"""Checks of order by key."""

import anyio

from postroom.capabilities import Capability
from postroom.context import Context
from postroom.event import Event
from postroom.retry import Retry, constant

from .check import check
from .ledger import Ledger, Then
from .world import World


def slow_and_failing(world: World, running: dict[str, int], most: dict[str, int]) -> Then:
    """A handler that counts how many of one key run at a time, and fails each third one once."""

    async def handle(event: Event, context: Context) -> None:
        key = event.key or ""
        running[key] = running.get(key, 0) + 1
        most[key] = max(most.get(key, 0), running[key])
        try:
            await anyio.sleep(0.3 * world.moment)
            if event.data % 3 == 1 and context.attempt == 1:
                raise ValueError("once")
        finally:
            running[key] -= 1

    return handle


def check_order(ledger: Ledger, keys: int, count: int) -> None:
    """Each key's events were handled one after the other, in the order of the emits, retries included."""
    for key in range(keys):
        own = [event.data for event in ledger.events if event.key == f"key-{key}"]
        wanted = [n for n in range(count) if n % keys == key]
        assert list(dict.fromkeys(own)) == wanted
        assert own == sorted(own), own


@check(Capability.KEYS)
async def events_of_one_key_are_handled_in_order(world: World) -> None:
    """By several workers, one at a time, retries included; different keys go on side by side."""
    ledger, running, most = Ledger(), dict[str, int](), dict[str, int]()
    handle = slow_and_failing(world, running, most)
    retry = Retry(attempts=2, backoff=constant(world.moment))
    shop = await world.start(ledger.handler(then=handle, concurrency=4, retry=retry))
    for n in range(16):
        await shop.emit("order.placed", n, key=f"key-{n % 4}")
    await shop.idle()
    check_order(ledger, 4, 16)
    assert set(most.values()) == {1}
    first_four = {event.key for event in ledger.events[:4]}
    assert len(first_four) == 4


@check(Capability.KEYS, Capability.PRIORITY)
async def within_a_key_order_beats_priority(world: World) -> None:
    """An urgent event waits for those of its key that came before it."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate))
    await shop.emit("order.placed", "first")
    await world.until(lambda: ledger.lines)
    await shop.emit("order.placed", "a1", key="a", priority="lowest")
    await shop.emit("order.placed", "b1", key="b")
    await shop.emit("order.placed", "a2", key="a", priority="critical")
    gate.set()
    await shop.idle()
    assert ledger.lines.index("a1") < ledger.lines.index("a2")
    assert set(ledger.lines) == {"first", "a1", "b1", "a2"}


@check(Capability.KEYS, Capability.DELAY)
async def a_delayed_event_takes_its_place_in_its_key_when_it_is_due(world: World) -> None:
    """It does not hold back those of its key that come meanwhile."""
    ledger = Ledger()
    shop = await world.start(ledger.handler(concurrency=2))
    await shop.emit("order.placed", "delayed", key="a", delay=3 * world.moment)
    await (await shop.emit("order.placed", "at once", key="a"))
    await shop.idle()
    assert ledger.lines == ["at once", "delayed"]


@check(Capability.KEYS, Capability.SHARED)
async def several_processes_keep_the_order_of_a_key(world: World) -> None:
    """A key's deliveries are with one process at a time, retries included."""
    ledger, running, most = Ledger(), dict[str, int](), dict[str, int]()
    handle = slow_and_failing(world, running, most)
    retry = Retry(attempts=2, backoff=constant(world.moment))
    shops = [await world.start(ledger.handler(then=handle, concurrency=2, retry=retry)) for _ in range(3)]
    for n in range(24):
        await shops[n % 3].emit("order.placed", n, key=f"key-{n % 4}")
    await shops[0].idle()
    check_order(ledger, 4, 24)
    assert set(most.values()) == {1}
    assert sum(shop.stats.succeeded for shop in shops) == 24


@check(Capability.KEYS, Capability.SHARED)
async def what_is_handed_back_keeps_its_place_in_its_key(world: World) -> None:
    """A process that ends in the middle of a key's retries does not let later events of the key go first."""
    ledger = Ledger()

    def fail(event: Event, context: Context) -> None:
        if event.data == 0 and context.attempt == 1:
            raise ValueError("once")

    retry = Retry(attempts=2, backoff=constant(6 * world.moment))
    subscriber = ledger.handler(then=fail, retry=retry)
    first = await world.start(subscriber, drain_within=world.moment)
    second = await world.start(subscriber)
    for n in range(4):
        await second.emit("order.placed", n, key="a")
    await world.until(lambda: first.stats.retried + second.stats.retried)
    await world.stop(first)
    await second.idle()
    assert list(dict.fromkeys(ledger.lines)) == [0, 1, 2, 3]
    assert ledger.lines == [0, 0, 1, 2, 3]


@check(Capability.KEYS, Capability.SHARED)
async def a_replay_takes_its_place_in_its_key(world: World) -> None:
    """While one of its key is being handled, no other process begins it."""
    ledger, gate = Ledger(), anyio.Event()

    async def handle(event: Event, context: Context) -> None:
        if event.data == "refused" and ledger.lines.count("refused") == 1:
            raise ValueError("once")
        if event.data == "slow":
            await gate.wait()

    subscriber = ledger.handler(then=handle)
    shops = [await world.start(subscriber) for _ in range(2)]
    await (await shops[0].emit("order.placed", "refused", key="a"))
    (letter,) = await shops[0].dead_letters.list()
    slow = await shops[0].emit("order.placed", "slow", key="a")
    await world.until(lambda: "slow" in ledger.lines)
    again = await shops[1].dead_letters.replay(letter)
    await shops[1].emit("order.placed", "of no key")
    await world.until(lambda: "of no key" in ledger.lines)
    await world.wait(1)
    assert ledger.lines == ["refused", "slow", "of no key"]
    gate.set()
    await slow
    await again
    assert ledger.lines == ["refused", "slow", "of no key", "refused"]

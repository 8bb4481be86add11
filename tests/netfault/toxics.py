"""R9: what networks do to the connections of a runtime that emits and handles."""

import random
import time
from collections.abc import Callable
from typing import Any, Final

import anyio
import attrs

from postroom import Event, PostroomError, Receipt, Runtime, Succeeded, subscriber
from postroom.modules.redis import RedisModule
from tests.processes.command import BACKENDS
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer
from tests.soak.goal import Goal

REPLY_WITHIN: Final = 2.0

CONNECT_WITHIN: Final = 2.0

LONGEST_EMIT: Final = 5.0 + 3 * CONNECT_WITHIN + REPLY_WITHIN + 1.0
"""Seconds: an emit asks again for five, and its last try may take a connection, a look at the server and a reply."""

RECOVER_WITHIN: Final = 30.0

PAUSE: Final = 0.02
"""Seconds between two emits."""

Toxic = Callable[[Proxy, random.Random], None]


def latency(proxy: Proxy, chance: random.Random) -> None:
    proxy.delay = chance.choice([0.1, 0.3, 1.0, 5.0])


def jitter(proxy: Proxy, chance: random.Random) -> None:
    proxy.jitter = 0.5


def bandwidth(proxy: Proxy, chance: random.Random) -> None:
    proxy.rate = 1024


def reset(proxy: Proxy, chance: random.Random) -> None:
    proxy.cut()


def blackhole(proxy: Proxy, chance: random.Random) -> None:
    proxy.swallow = not proxy.swallow


def slicer(proxy: Proxy, chance: random.Random) -> None:
    proxy.slice = 1


def limit_data(proxy: Proxy, chance: random.Random) -> None:
    proxy.half = True
    proxy.lose = (b"EVALSHA", chance.randint(1, 3))


TOXICS: Final[dict[str, tuple[Toxic, float]]] = {
    "latency": (latency, 4.0),
    "jitter": (jitter, 4.0),
    "bandwidth": (bandwidth, 4.0),
    "reset": (reset, 0.3),
    "blackhole": (blackhole, 3.0),
    "slicer": (slicer, 4.0),
    "limit_data": (limit_data, 0.3),
}
"""Each with the seconds after which it strikes again."""


@attrs.define(eq=False)
class Found:
    """What happened.

    Attributes:
        unknown: Emits that could not tell what was done, or were refused.
        recovered: Seconds until all receipts were there; None if they were not.
    """

    receipts: dict[str, Receipt] = attrs.field(factory=dict)
    handled: set[str] = attrs.field(factory=set)
    unknown: int = 0
    longest: float = 0.0
    wrong: int = 0
    recovered: float | None = None


def run(name: str, number: int, seconds: float, seed: int) -> Goal:
    """One toxic for so many seconds."""
    found = Found()
    with RedisServer() as server, Proxy(server.port) as proxy:
        strike, every = TOXICS[name]
        chance = random.Random(f"{seed} {name}")

        def worsen() -> None:
            strike(proxy, chance)

        anyio.run(_suffer, found, proxy, worsen, every, seconds, backend=BACKENDS[number % 2])
    lost = sum(text not in found.handled for text in found.receipts)
    broken = [] if found.receipts else ["nothing was emitted"]
    if found.recovered is None:
        broken.append(f"not all receipts were there after {RECOVER_WITHIN} s")
    if found.longest > LONGEST_EMIT:
        broken.append(f"an emit hung for {found.longest:.1f} s")
    return Goal(
        name=f"R9 {name}",
        figure=lost + found.wrong,
        most=0,
        broken=tuple(broken),
        details={
            "lost": lost,
            "wrong": found.wrong,
            "emitted": len(found.receipts),
            "unknown": found.unknown,
            "longest_emit": f"{found.longest:.2f}",
            "recovered": "never" if found.recovered is None else f"{found.recovered:.2f}",
            "seed": seed,
        },
    )


async def _suffer(found: Found, proxy: Proxy, worsen: Callable[[], None], every: float, seconds: float) -> None:
    @subscriber("order.*", name="ledger", concurrency=4)
    async def ledger(event: Event) -> Any:
        found.handled.add(event.data)
        return event.data

    module = RedisModule(proxy.url, lease=15.0, reply_within=REPLY_WITHIN, connect_within=CONNECT_WITHIN, block=1.0)
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        await runtime.emit_and_wait("order.warm", "first")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_strike, worsen, every)
            await _emit(runtime, found, time.monotonic() + seconds)
            tasks.cancel_scope.cancel()
        proxy.heal()
        healed = time.monotonic()
        with anyio.move_on_after(RECOVER_WITHIN):
            for text, receipt in found.receipts.items():
                outcomes = (await receipt).outcomes
                found.wrong += not (isinstance(outcomes[0], Succeeded) and outcomes[0].value == text)
            found.recovered = time.monotonic() - healed


async def _strike(worsen: Callable[[], None], every: float) -> None:
    while True:
        worsen()
        await anyio.sleep(every)


async def _emit(runtime: Runtime, found: Found, until: float) -> None:
    number = 0
    while time.monotonic() < until:
        number += 1
        text = f"n{number}"
        began = time.monotonic()
        try:
            found.receipts[text] = await runtime.emit("order.placed", text, id=text)
        except PostroomError:
            found.unknown += 1
        found.longest = max(found.longest, time.monotonic() - began)
        await anyio.sleep(PAUSE)

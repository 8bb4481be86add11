"""What is used elsewhere costs nothing here: plain events, in a runtime in which other subscriptions use a feature.

Each feature is at work for as long as the plain events are emitted: events wait, are retried, stand in a group. Only
interceptors are missing, as they are the runtime's, not a subscription's: without any there is nothing of them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import anyio
import attrs

from postroom import Actor, Batch, Breaker, Event, Rate, Retry, Runtime, Supervision, constant, event_type, on

from .scenarios import Goal, Scenario
from .sides import Meanwhile, postroom_stream
from .workload import Size, one_name

Feature = Callable[[Runtime, AsyncExitStack], Awaitable[None]]
"""Puts a feature to use, for as long as the stack is open at the most."""

HOUR: Final = 3600.0
NOISE: Final = 1.05
"""What two turns of the same differ by at times, on a machine with nothing else to do."""


@event_type("typed.placed")
@attrs.frozen
class Placed:
    """A typed event."""

    id: str


class Counter(Actor):
    """A stateful actor, restarted by what its first event raises."""

    def __init__(self) -> None:
        self.count = 0

    @on("stateful.counted")
    async def count_up(self, event: Event[Any]) -> None:
        self.count += 1
        if event.data == "fail":
            raise LookupError(event.id)


async def _handle_slowly(_event: Event[Any]) -> None:
    await anyio.sleep(HOUR)


async def _handle_many(_events: list[Event[Any]]) -> None:
    await anyio.sleep(HOUR)


async def _handle_typed(_placed: Placed) -> None:
    pass


async def _fail(_event: Event[Any]) -> None:
    raise ConnectionError("busy")


async def keys(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_handle_slowly, "keyed", name="keyed", concurrency=4)
    for number in range(64):
        await runtime.emit("keyed", key=f"k{number % 8}")


async def priorities(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_handle_slowly, "urgent", name="urgent")
    for priority in ("low", "high", "critical", "lowest"):
        await runtime.emit("urgent", priority=priority)


async def retries(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_fail, "retried", name="retried", retry=Retry(attempts=5, backoff=constant(HOUR)), quiet=True)
    for _ in range(8):
        await runtime.emit("retried")


async def timeouts(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_handle_slowly, "timed", name="timed", timeout=HOUR)
    await runtime.emit("timed")
    await runtime.emit("timed", timeout=2 * HOUR)


async def delays(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_handle_slowly, "later", name="later")
    for _ in range(64):
        await runtime.emit("later", delay=HOUR)
        await runtime.emit("later", expires_after=HOUR)


async def batches(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_handle_many, "batched", name="batched", batch=Batch(size=100, within=HOUR))
    for _ in range(64):
        await runtime.emit("batched")


async def overflow(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_handle_slowly, "newest", name="newest", capacity=4, overflow="coalesce")
    await runtime.spawn(_handle_slowly, "newest", name="dropping", capacity=4, overflow="drop_oldest")
    for number in range(16):
        await runtime.emit("newest", key=f"k{number % 4}")


async def breakers(runtime: Runtime, _stack: AsyncExitStack) -> None:
    breaker = Breaker(failures=1, probe_after=HOUR)
    await runtime.spawn(_fail, "broken", name="broken", breaker=breaker, quiet=True)
    for _ in range(8):
        await runtime.emit("broken")


async def rates(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_handle_typed, "rated", name="rated", rate=Rate(1, per=HOUR))
    for _ in range(8):
        await runtime.emit("rated", {"id": "1"})


async def pauses(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await (await runtime.spawn(_handle_slowly, "paused", name="paused")).pause()
    await runtime.emit("paused")


async def supervision(runtime: Runtime, _stack: AsyncExitStack) -> None:
    policy = Supervision(on={LookupError: "restart"}, intensity=100)
    await runtime.spawn(Counter, supervision=policy, quiet=True)
    await runtime.spawn(_handle_slowly, "supervised", name="supervised", supervision=Supervision(default="stop"))
    await runtime.emit_and_wait("stateful.counted", "fail")


async def typed_events(runtime: Runtime, _stack: AsyncExitStack) -> None:
    await runtime.spawn(_handle_typed, Placed, name="typed")
    await runtime.emit_and_wait(Placed("1"))


async def groups(runtime: Runtime, _stack: AsyncExitStack) -> None:
    for number in range(8):
        await runtime.emit("staged", group=f"group-{number}")


async def recordings(runtime: Runtime, _stack: AsyncExitStack) -> None:
    with runtime.recording() as recording:  # and off again
        receipt = await runtime.emit("recorded")
    assert recording.of(receipt), "it was on"


async def watches(runtime: Runtime, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(runtime.watch())
    await stack.enter_async_context(runtime.dead_letters.watch())


FEATURES: Final[Mapping[str, Feature]] = {
    feature.__name__.replace("_", "-"): feature
    for feature in (
        keys, priorities, retries, timeouts, delays, batches, overflow, breakers, rates, pauses, supervision,
        typed_events, groups, recordings, watches,
    )
}  # fmt: skip


async def everything(runtime: Runtime, stack: AsyncExitStack) -> None:
    """All features at once."""
    for feature in FEATURES.values():
        await feature(runtime, stack)


def in_use(feature: Feature) -> Meanwhile:
    """A block in which a feature is in use."""

    @asynccontextmanager
    async def block(runtime: Runtime) -> AsyncIterator[None]:
        plain = set(runtime.subscriptions)
        async with AsyncExitStack() as stack:
            await feature(runtime, stack)
            await anyio.sleep(0.001)  # what fails at once has failed
            yield
        for name, other in dict(runtime.subscriptions).items():
            if name not in plain:
                await other.stop(drain=False)

    return block


def _unused(name: str, title: str, feature: Feature) -> Scenario:
    return Scenario(
        name=name,
        title=title,
        floor=postroom_stream(one_name),
        postroom=postroom_stream(one_name, meanwhile=in_use(feature)),
        size=Size(20_000),
        beside="postroom, used nowhere",
        goal=Goal(None, NOISE, NOISE),
        table="what others use",
    )


UNUSED: Final = (
    _unused("unused", "emit until handled, everything below in use elsewhere", everything),
    *(
        _unused(f"unused-{name}", f"emit until handled, {name.replace('-', ' ')} in use elsewhere", feature)
        for name, feature in FEATURES.items()
    ),
)

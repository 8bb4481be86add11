"""Handlers of all manners: each does what the actions of its event say for the attempt that it is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from zlib import crc32

import anyio
import anyio.lowlevel
import attrs

from postroom import BatchFailure, Context, Event

from .emitting import Emitting
from .failures import Boom, Down, Failure, Fatal, OddError, is_cancellation
from .generator import NAMES
from .model import Expected, Model
from .program import Draft, Spec
from .world import World

MARGIN = 0.02
"""Seconds around a timeout in which either outcome is right."""

CHILDREN = ("ok", "slow", "raise", "again", "again_nowait")


class Host(Protocol):
    """The process of a handler."""

    world: World
    model: Model
    emitting: Emitting
    is_healed: bool
    stops_in_time: bool
    specs: dict[str, Spec]
    may_hang: list[anyio.CancelScope]
    healed: anyio.Event

    def limit_of(self, spec: Spec, events: list[Event]) -> float: ...
    async def stop(self, which: str, *, drain: bool) -> None: ...


@attrs.define(eq=False)
class Handler:
    """The handler of one subscription.

    Attributes:
        live: Calls that have not ended.
        alive: The instance of an actor that has started and not stopped.
    """

    spec: Spec
    host: Host
    live: int = 0
    alive: object = None
    starts: int = 0
    stops: int = 0
    shaken: int = 0

    async def single(self, event: Event, context: Context) -> Any:
        """What a function or an actor's method does."""
        if context.event is not event and context.event.id != event.id:
            self.host.world.complain(f"{self.spec.name} got {event.id} with the context of {context.event.id}")
        return await self.run([event], context, context.attempt)

    async def batch(self, events: list[Event], context: Context) -> Any:
        """What a function that takes batches does."""
        if not 1 <= len(events) <= self.spec.batch[0]:
            self.host.world.complain(f"{self.spec.name} got a batch of {len(events)}")
        return await self.run(events, context, None)

    async def run(self, events: list[Event], context: Context, attempt: int | None) -> Any:
        world, model, name = self.host.world, self.host.model, self.spec.name
        ids = [event.id for event in events]
        world.say(f"{name} begins {' '.join(ids)} attempt {attempt}")
        self.live += 1
        if self.live > self.spec.concurrency:
            world.complain(f"{name} handles {self.live} at the same time")
        taken = [model.begin(name, event, attempt, ids) for event in events]
        if taken[0] is not None and model.overtakes(taken[0]):
            world.sometimes.hit("overtaken by priority")
        started = world.now()
        how: str = "raised"
        value: Any = None
        spared: frozenset[str] = frozenset()
        try:
            value = await self.act(events, context, taken[0])
            how = self.how_timely(world.now() - started, self.host.limit_of(self.spec, events))
            if asyncio.iscoroutine(value):
                how = "raised"
        except BatchFailure as error:
            spared = frozenset(ids) - frozenset(error.failures)
            raise
        except BaseException as error:
            how = "cancelled" if is_cancellation(error) else "raised"
            raise
        finally:
            self.live -= 1
            world.say(f"{name} ends {' '.join(ids)} {how}")
            for event, one in zip(events, taken, strict=True):
                model.end(one, "returned" if event.id in spared else how, value, world.now())
        return value

    def how_timely(self, seconds: float, limit: float) -> str:
        if seconds < limit - MARGIN:
            return "returned"
        return "edge" if seconds < limit + MARGIN else "late"

    async def act(self, events: list[Event], context: Context, one: Expected | None) -> Any:
        event = events[0]
        actions = str(event.data).split(",")
        attempt = 1 if one is None else one.attempt
        action = "ok" if self.host.is_healed else actions[min(attempt, len(actions)) - 1]
        act: Callable[[list[Event], Context], Awaitable[Any]] | None = getattr(self, f"do_{action}", None)
        if act is not None:
            await act(events, context)
        elif action == "unawaited":
            return anyio.lowlevel.checkpoint()
        return f"{self.spec.name}/{event.id}/{attempt}"

    def failure(self, kind: type[Failure], events: list[Event]) -> Failure:
        return kind(self.spec.name, frozenset(event.id for event in events))

    async def do_yield(self, events: list[Event], context: Context) -> None:
        for _ in range(1 + crc32(events[0].id.encode()) % 3):
            await anyio.lowlevel.checkpoint()

    async def do_slow(self, events: list[Event], context: Context) -> None:
        await anyio.sleep((0.25, 1.0, 1.0, 3.0)[crc32(f"{events[0].id}{self.spec.name}".encode()) % 4])

    async def do_raise(self, events: list[Event], context: Context) -> None:
        if self.spec.kind == "batch" and len(events) > 1:
            self.host.world.sometimes.hit("part of a batch failed")
            raise BatchFailure({events[-1].id: self.failure(Boom, events)})
        raise self.failure(Boom, events)

    async def do_fatal(self, events: list[Event], context: Context) -> None:
        await anyio.lowlevel.checkpoint()
        raise self.failure(Fatal, events)

    async def do_group(self, events: list[Event], context: Context) -> None:
        raise ExceptionGroup("both", [self.failure(Boom, events), self.failure(Fatal, events)])

    async def do_down(self, events: list[Event], context: Context) -> None:
        await anyio.sleep(0.1)
        raise self.failure(Down, events)

    async def do_shaky(self, events: list[Event], context: Context) -> None:
        self.shaken += 1
        await anyio.sleep(0.1)
        raise self.failure(Down, events) if self.shaken % 2 else OddError()

    async def do_children(self, events: list[Event], context: Context) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 1)
            await anyio.sleep(0.25)
            raise self.failure(Boom, events)

    async def do_hang(self, events: list[Event], context: Context) -> None:
        await self.host.healed.wait()

    async def do_swallow(self, events: list[Event], context: Context) -> None:
        try:
            await self.host.healed.wait()
        except anyio.get_cancelled_exc_class():
            self.host.world.sometimes.hit("timed out and swallowed")
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.5)

    async def do_late(self, events: list[Event], context: Context) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(10)

    async def do_own_scope(self, events: list[Event], context: Context) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep(1)
        self.host.world.sometimes.hit("cancelled its own scope")

    async def do_raw(self, events: list[Event], context: Context) -> None:
        self.host.world.sometimes.hit("raw cancellation")
        if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
            raise OddError
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def do_base(self, events: list[Event], context: Context) -> None:
        await anyio.lowlevel.checkpoint()
        raise OddError

    async def do_stop_self(self, events: list[Event], context: Context) -> None:
        self.host.world.sometimes.hit("stopped by its own handler")
        await self.host.stop(self.spec.name, drain=crc32(events[0].id.encode()) % 2 == 0)

    async def do_again(self, events: list[Event], context: Context) -> None:
        draft = self.child(events)
        if draft is not None:
            await self.host.emitting.emit(draft, context)

    async def do_again_nowait(self, events: list[Event], context: Context) -> None:
        draft = self.child(events)
        if draft is not None:
            self.host.emitting.emit_nowait(draft)

    async def do_again_wait(self, events: list[Event], context: Context) -> None:
        draft = self.child(events)
        if draft is not None:
            with self.waits_in_turn():
                await self.host.emitting.emit_and_wait(draft)

    async def do_request(self, events: list[Event], context: Context) -> None:
        draft = self.child(events)
        if draft is not None:
            with self.waits_in_turn():
                await self.host.emitting.request(draft)

    @contextmanager
    def waits_in_turn(self) -> Iterator[None]:
        """A block in which a handler waits for what others do with its event.

        Where a newer event may drop what it waits for, no circle is certain, so none is refused, and the handler may
        wait until such an event comes: for ever in a program that has ended. Setting things right ends that.
        """
        drops = any(spec.overflow in ("drop_oldest", "coalesce") for spec in self.host.specs.values())
        with anyio.CancelScope() as scope:
            if drops:
                self.host.may_hang.append(scope)
                if self.host.is_healed:
                    scope.cancel()
            yield

    def child(self, events: list[Event]) -> Draft | None:
        """What a handler emits; None where all have emitted enough."""
        world = self.host.world
        if not world.nested:
            return None
        world.nested -= 1
        if self.host.model.closing:
            world.sometimes.hit("emitted in the drain")
        number = crc32(f"{events[0].id} {self.spec.name}".encode())
        return Draft(name=NAMES[number % len(NAMES)], actions=CHILDREN[number // 8 % len(CHILDREN)])

    async def started(self, instance: object) -> None:
        """What an actor's instance does first."""
        if self.alive is not None and self.host.stops_in_time:
            self.host.world.complain(f"{self.spec.name} starts an instance beside one that has not stopped")
        await self.hook(self.spec.start, self.starts, "start")
        self.starts += 1
        self.alive = instance

    async def stopped(self, instance: object) -> None:
        """What an actor's instance does last."""
        if self.alive is not instance or self.live:
            self.host.world.complain(f"{self.spec.name} stops an instance that is not alone, or is at work")
        self.alive = None
        self.stops += 1
        await self.hook(self.spec.stop, self.stops - 1, "stop")

    async def hook(self, actions: str, count: int, what: str) -> None:
        names = actions.split(",")
        action = names[min(count, len(names) - 1)]
        self.host.world.say(f"{self.spec.name} {what} {action}")
        match action:
            case "slow":
                await anyio.sleep(0.5)
            case "hang":
                await anyio.sleep(100)
            case "raise" if what == "start":
                self.starts += 1
                self.host.world.sometimes.hit("failed to start")
                raise self.failure(Boom, [])
            case "raise":
                self.host.world.sometimes.hit("failed to stop")
                raise self.failure(Boom, [])

"""A runtime in which a scenario runs, beside an account of what it accepted and what its handlers did."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Literal
from unittest.mock import patch

import anyio
import attrs

from postroom import Actor, Context, Event, Receipt, Runtime, Subscription
from postroom.dispatcher import Dispatcher

from .strikes import Strike

Victim = Literal["call", "block", "close", "error", "stop"]
VICTIMS: Final[tuple[Victim, ...]] = ("call", "block", "close", "error", "stop")
"""What a strike does: it cancels the call that the scenario is about, or the runtime's block; or it makes the block
end well, or raise; or it stops the first subscription without a drain."""

PROBE: Final = "probe"
PROBE_SECONDS: Final = 1.0

Act = Callable[[Event, Context], Awaitable[object]]


@attrs.frozen
class Place:
    """A subscription that a scenario made.

    Attributes:
        ordered: Its events are handled in the order of acceptance, one after the other.
        once: What succeeds was handled once, and what doesn't never to the end.
    """

    name: str
    capacity: int
    concurrency: int
    batch: bool
    plain: bool
    ordered: bool
    once: bool


@attrs.frozen
class Attempt:
    """A handler's call: `start`, or how it ended."""

    kind: Literal["start", "ok", "failed"]
    event: Event
    at: float


@attrs.define(eq=False)
class World:
    """What a scenario gets.

    Attributes:
        second: Cancels the runtime's block as well, some time after that.
        accepted: Each receipt as it was made, with the names of its targets.
        attempts: What handlers did, by subscription, in the order in which it happened.
        wrong: What should not have been, found while the scenario ran.
        leave: Has the runtime's block end, once it can; the scenario goes on outside of it.
    """

    runtime: Runtime
    victim: Victim
    strike: Strike
    second: Strike | None = None
    accepted: list[tuple[Receipt, tuple[str, ...]]] = attrs.field(factory=list)
    attempts: dict[str, list[Attempt]] = attrs.field(factory=dict)
    places: dict[str, Place] = attrs.field(factory=dict)
    wrong: list[str] = attrs.field(factory=list)
    leave: Callable[[], None] = attrs.field(init=False)

    def at_risk(self) -> AbstractContextManager[None]:
        """A block around the call that the scenario is about: where calls are cancelled, this one is."""
        return self.strike.here() if self.victim == "call" else _nothing()

    @property
    def was_cancelled(self) -> bool:
        """Whether that call was cut short."""
        return self.victim == "call" and self.strike.scope.cancelled_caught

    def expect(self, condition: object, otherwise: str) -> None:
        """Note what is wrong. Where more than the call was cancelled, scenarios don't know what to expect."""
        if not condition and self.victim == "call" and not (self.second and self.second.struck):
            self.wrong.append(otherwise)

    def accepted_as(self, name: str) -> int:
        """How many events of this name were accepted."""
        return sum(receipt.event.name == name for receipt, _ in self.accepted)

    def handled(self, subscription: str) -> list[Any]:
        """The data of what was handled to the end, in that order."""
        return [each.event.data for each in self.attempts.get(subscription, ()) if each.kind == "ok"]

    async def spawn(
        self, name: str, act: Act | None = None, *patterns: str, ordered: bool = True, once: bool = True, **options: Any
    ) -> Subscription:
        """A subscription to `n`, or the patterns given, and to probes; `act` is what its handler does."""
        batch = options.get("batch") is not None
        handle = self._batch_handler(name, act) if batch else self._handler(name, act)
        concurrency = options.get("concurrency", 1)
        made = await self.runtime.spawn(handle, *(patterns or ("n",)), f"{PROBE}.{name}", name=name, **options)
        ordered = ordered and concurrency == 1 and not batch
        plain = options.get("overflow", "wait") == "wait" and not batch and options.get("rate") is None
        capacity = options.get("capacity", 256)
        self.keep(Place(name, capacity, concurrency, batch, plain, ordered, once and not batch))
        return made

    def keep(self, place: Place) -> None:
        """Look after a subscription, from its start to the end."""
        self.places[place.name] = place

    async def spawn_actor(self, kind: type[Actor], *arguments: Any, name: str, **options: Any) -> Subscription:
        """An actor; it has to handle probes and to note its attempts by `noting`."""
        made = await self.runtime.spawn(kind, *arguments, name=name, **options)
        self.keep_actor(name)
        return made

    def keep_actor(self, name: str) -> None:
        """Look after an actor."""
        self.keep(Place(name, 256, 1, batch=False, plain=True, ordered=True, once=True))

    @contextmanager
    def noting(self, subscription: str, event: Event) -> Iterator[None]:
        """A block that is one attempt."""
        notes = self.attempts.setdefault(subscription, [])
        notes.append(Attempt("start", event, anyio.current_time()))
        try:
            yield
        except BaseException:
            notes.append(Attempt("failed", event, anyio.current_time()))
            raise
        notes.append(Attempt("ok", event, anyio.current_time()))

    def _handler(self, name: str, act: Act | None) -> Callable[..., Awaitable[object]]:
        async def handle(event: Event, context: Context) -> object:
            with self.noting(name, event):
                if event.name.startswith(PROBE):
                    await anyio.sleep(PROBE_SECONDS)
                elif act is not None:
                    return await act(event, context)
                return None

        return handle

    def _batch_handler(self, name: str, act: Act | None) -> Callable[..., Awaitable[object]]:
        async def handle(events: list[Event], context: Context) -> None:
            for event in events:
                with self.noting(name, event):
                    if act is not None and not event.name.startswith(PROBE):
                        await act(event, context)

        return handle

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note each acceptance."""
        dispatch = Dispatcher.dispatch

        def noted(dispatcher: Dispatcher, event: Event, targets: tuple[Any, ...], *args: Any, **kwargs: Any) -> Receipt:
            receipt = dispatch(dispatcher, event, targets, *args, **kwargs)
            self.accepted.append((receipt, tuple(target.name for target in targets)))
            return receipt

        with patch.object(Dispatcher, "dispatch", noted):
            yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield

"""Declarations of subscriptions on a store."""

from functools import lru_cache, partial
from typing import Any

from postroom import Actor, Batch, Context, Event, Rate, Retry, Subscriber, Supervision, constant, on, subscriber

from .handlers import StoreHandler
from .program import StoreSpec


def declared_for_store(spec: StoreSpec, handler: StoreHandler) -> Subscriber[..., Any]:
    """The subscriber of a specification."""
    options: dict[str, Any] = {
        "name": spec.name,
        "capacity": spec.capacity,
        "retry": Retry(attempts=spec.attempts, backoff=constant(spec.backoff)),
        "timeout": spec.timeout,
        "backlog": spec.backlog,
        "overflow": spec.overflow,
        "rate": None if spec.rate is None else Rate(1, per=spec.rate[0], burst=spec.rate[1]),
    }
    if spec.kind == "actor":
        restart = Supervision(default="restart", intensity=1000) if spec.restarts else None
        kind: Any = actor_class(spec.patterns)
        actor: Subscriber[..., Any] = subscriber(**options, supervision=restart)(partial(kind, handler))
        return actor

    async def handle(event: Event, context: Context) -> Any:
        return await handler.handle([event], context)

    async def handle_batch(events: list[Event], context: Context) -> Any:
        return await handler.handle(events, context)

    options["concurrency"] = spec.concurrency
    if spec.kind == "batch":
        options["batch"] = Batch(size=spec.batch[0], within=spec.batch[1])
    function: Any = handle_batch if spec.kind == "batch" else handle
    made: Subscriber[..., Any] = subscriber(*spec.patterns, **options)(function)
    return made


@lru_cache(maxsize=64)
def actor_class(patterns: tuple[str, ...]) -> type[Actor]:
    """A class of actors that handle what matches these patterns."""

    class Simulated(Actor):
        def __init__(self, handler: StoreHandler) -> None:
            self.handler = handler

        async def started(self) -> None:
            self.handler.instances += 1
            if self.handler.instances > 1:
                self.handler.life.process.world.sometimes.hit("restarted an actor")

        @on(*patterns)
        async def handle(self, event: Event, context: Context) -> Any:
            return await self.handler.handle([event], context)

    return Simulated

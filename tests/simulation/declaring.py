"""Declarations: what a specification becomes for a runtime."""

from functools import lru_cache, partial
from typing import Any

import attrs

from postroom import (
    Actor,
    Batch,
    Breaker,
    Context,
    Event,
    Rate,
    Retry,
    Siblings,
    Subscriber,
    Supervision,
    constant,
    on,
    subscriber,
)

from .failures import Boom, Down
from .handlers import Handler
from .program import Spec, Team


def declared(spec: Spec, handler: Handler) -> Subscriber[..., Any]:
    """The subscriber of a specification, with this handler."""
    retry = Retry(
        attempts=spec.attempts, backoff=constant(spec.backoff), on=(Exception,) if spec.on_all else (Boom, Down)
    )
    if spec.kind == "actor":
        supervision = None
        if spec.restarts is not None:
            intensity, beyond = spec.restarts
            supervision = Supervision(default="restart", intensity=intensity, beyond=beyond)
        kind: Any = actor_class(spec.patterns)
        return subscriber(
            name=spec.name,
            capacity=spec.capacity,
            overflow=spec.overflow,
            retry=retry,
            timeout=spec.timeout,
            supervision=supervision,
        )(partial(kind, handler))
    function: Any = _batch_function(handler) if spec.kind == "batch" else _function(handler)
    return subscriber(
        *spec.patterns,
        name=spec.name,
        capacity=spec.capacity,
        overflow=spec.overflow,
        concurrency=spec.concurrency,
        batch=Batch(size=spec.batch[0], within=spec.batch[1]) if spec.kind == "batch" else None,
        retry=retry,
        timeout=spec.timeout,
        breaker=None
        if spec.breaker is None
        else Breaker(failures=spec.breaker, within=10.0, probe_after=2.0, on=(Down,)),
        rate=None if spec.rate is None else Rate(1, per=1 / spec.rate),
    )(function)


def siblings(team: Team, handlers: list[Handler]) -> Siblings:
    """The siblings of a specification."""
    members = [
        declared(attrs.evolve(spec, restarts=(team.intensity, "stop")), handler)
        for spec, handler in zip(team.specs, handlers, strict=True)
    ]
    return Siblings(members, strategy=team.strategy, intensity=team.intensity)


def _function(handler: Handler) -> Any:
    async def handle(event: Event, context: Context) -> Any:
        return await handler.single(event, context)

    return handle


def _batch_function(handler: Handler) -> Any:
    async def handle_batch(events: list[Event], context: Context) -> Any:
        return await handler.batch(events, context)

    return handle_batch


@lru_cache(maxsize=256)
def actor_class(patterns: tuple[str, ...]) -> type[Actor]:
    """A class of actors that handle what matches these patterns, all alike."""

    class Simulated(Actor):
        def __init__(self, handler: Handler) -> None:
            self.handler = handler

        async def started(self) -> None:
            await self.handler.started(self)

        async def stopped(self) -> None:
            await self.handler.stopped(self)

        @on(*patterns)
        async def handle(self, event: Event, context: Context) -> Any:
            if self.handler.alive is not self:
                self.handler.host.world.complain(f"an instance of {self.name} handles {event.id}, and it is not alive")
            return await self.handler.single(event, context)

    return Simulated

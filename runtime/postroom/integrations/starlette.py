"""postroom in a service on Starlette, and so on FastAPI. Extra: `starlette`."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..runtime import Runtime
from .asgi import Carrier, EventStream, Receive, Scope, Send, body_of, headers_of
from .feeds import DEFAULT_LIMIT, Overflow
from .service import LIVE, READY, Service
from .webhooks import Answer, Webhook

Endpoint = Callable[[Request], Awaitable[Response]]


class StreamResponse(Response):
    """An `EventStream` as Starlette and FastAPI know responses."""

    media_type = "text/event-stream"

    def __init__(self, stream: EventStream) -> None:
        super().__init__()
        self.stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Cancellation: the subscription ends.
        """
        await self.stream(scope, receive, send)


@attrs.define(eq=False)
class Postroom(Service):
    """A runtime in a Starlette or FastAPI application.

    Attributes:
        carry, most_streams: As in `Service`.

    Raises:
        InvalidOption: it is given neither a runtime nor a function that makes one.
    """

    def install(self, app: Starlette) -> None:
        """Add all of it to an application that has not started: lifespan, headers, and the routes of health."""
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncGenerator[Any]:
            async with self.running(), inner(app) as state:
                yield state

        app.router.lifespan_context = lifespan
        app.router.routes[:0] = self.routes()
        app.add_middleware(Carrier, service=self)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncGenerator[None]:
        """For `Starlette(lifespan=postroom.lifespan)`, where it is the only one. `install` keeps others.

        Cancellation: as that of a runtime's block.
        """
        async with self.running():
            yield

    def routes(self) -> list[BaseRoute]:
        """`/health/live` and `/health/ready`."""

        async def live(request: Request) -> Response:
            return _response(self.live())

        async def ready(request: Request) -> Response:
            return _response(self.ready())

        return [Route(LIVE, live), Route(READY, ready)]

    async def current(self) -> Runtime:
        """The runtime at work, for FastAPI: `runtime: Annotated[Runtime, Depends(postroom.current)]`.

        Raises:
            RuntimeClosed: the service has not started yet, or is over.

        Cancellation: nothing was done.
        """
        return self.runtime

    def stream(
        self, *patterns: str | type[Any], limit: int = DEFAULT_LIMIT, overflow: Overflow = "drop_oldest"
    ) -> StreamResponse:
        """A response with the events that match, as server-sent events, until the client goes.

        Args:
            limit: Events that wait for a client that is slow.
            overflow: What happens to one more: `drop_oldest`, `drop_newest` or `coalesce`. The client is told how many
                it missed, as an event `postroom-missed`.

        Raises:
            InvalidOption: a limit or a policy that is none.
        """
        return StreamResponse(EventStream(self, patterns, self.feed(limit=limit, overflow=overflow)))

    def webhook(self, webhook: Webhook) -> Endpoint:
        """An endpoint that takes in webhooks: `Route("/hooks", postroom.webhook(…), methods=["POST"])`."""

        async def receive(request: Request) -> Response:
            body = body_of(request.receive)
            return _response(await self.take_in(webhook, headers_of(request.scope), body))

        return receive


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), "application/json")

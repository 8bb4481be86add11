"""postroom in a service on Litestar. Extra: `litestar`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import attrs
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar import asgi as asgi_handler
from litestar.config.app import AppConfig
from litestar.di import NamedDependency, Provide
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.params import SkipValidation
from litestar.plugins import InitPlugin
from litestar.types import ASGIApp, Receive, Scope, Send

from ..runtime import Runtime
from .asgi import Carrier, EventStream, body_of, headers_of
from .feeds import DEFAULT_LIMIT, Overflow
from .service import LIVE, READY, Service
from .webhooks import Answer, Webhook

CurrentRuntime: TypeAlias = NamedDependency[SkipValidation[Runtime]]
"""The annotation of a handler's parameter `runtime`. Litestar would take a plain `Runtime` for data to be decoded."""


@attrs.define(eq=False)
class Postroom(Service, InitPlugin):
    """A runtime in a Litestar application: `Litestar(plugins=[Postroom(Runtime(…))])`.

    It brings the lifespan, the headers, the routes of health, and the dependency `runtime` for handlers.

    Attributes:
        carry, most_streams: As in `Service`.

    Raises:
        InvalidOption: it is given neither a runtime nor a function that makes one.
    """

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """What Litestar calls."""

        @asynccontextmanager
        async def lifespan(app: Litestar) -> AsyncGenerator[None]:
            async with self.running():
                yield

        def carrier(app: ASGIApp) -> ASGIApp:
            passed_on: Any = app  # Litestar's types of ASGI are its own
            made: Any = Carrier(passed_on, self)
            return made  # type: ignore[no-any-return]  # likewise

        @get(LIVE, include_in_schema=False)
        async def live() -> Response[bytes]:
            return _response(self.live())

        @get(READY, include_in_schema=False)
        async def ready() -> Response[bytes]:
            return _response(self.ready())

        app_config.lifespan.insert(0, lifespan)
        app_config.middleware.insert(0, carrier)
        app_config.route_handlers.extend((live, ready))
        app_config.dependencies["runtime"] = Provide(self.current)
        return app_config

    async def current(self) -> Runtime:
        """The runtime at work: the dependency `runtime`, which handlers annotate with `CurrentRuntime`.

        Raises:
            RuntimeClosed: the service has not started yet, or is over.

        Cancellation: nothing was done.
        """
        return self.runtime

    def stream(
        self,
        path: str,
        *patterns: str | type[Any],
        limit: int = DEFAULT_LIMIT,
        overflow: Overflow = "drop_oldest",
        **options: Any,
    ) -> ASGIRouteHandler:
        """A route with the events that match, as server-sent events, until the client goes.

        Args:
            limit: Events that wait for a client that is slow.
            overflow: What happens to one more: `drop_oldest`, `drop_newest` or `coalesce`. The client is told how many
                it missed, as an event `postroom-missed`.
            options: Those of Litestar's `asgi`, such as `guards`.

        Raises:
            InvalidOption: a limit or a policy that is none.
        """
        self.feed(limit=limit, overflow=overflow)  # what is wrong with it is to be known now

        @asgi_handler(path, copy_scope=False, **options)
        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            answer: Any = EventStream(self, patterns, self.feed(limit=limit, overflow=overflow))
            await answer(scope, receive, send)

        return stream

    def webhook(self, path: str, webhook: Webhook, **options: Any) -> HTTPRouteHandler:
        """A route that takes in webhooks.

        Args:
            options: Those of Litestar's `post`.
        """

        @post(path, status_code=202, **options)
        async def receive(request: Request[Any, Any, Any]) -> Response[bytes]:
            scope: Any = request.scope
            received: Any = request.receive
            return _response(await self.take_in(webhook, headers_of(scope), body_of(received)))

        return receive


def _response(answer: Answer) -> Response[bytes]:
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers), media_type=MediaType.JSON)

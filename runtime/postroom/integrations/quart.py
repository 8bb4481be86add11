"""postroom in a service on Quart: on asyncio, and with Quart-Trio on trio. Extra: `quart`."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import attrs
from quart import Quart, Response, request
from quart.wrappers.response import ResponseBody
from werkzeug.exceptions import RequestEntityTooLarge

from .asgi import STREAM_HEADERS, SUBSCRIBED, Carrier, Lifespan
from .feeds import DEFAULT_LIMIT, Feed, Overflow
from .service import LIVE, READY, Service
from .webhooks import Answer, TooLarge, Webhook

View = Callable[[], Awaitable[Response]]


@attrs.define(eq=False)
class _StreamBody(ResponseBody):
    """The body of a stream: Quart enters it, and leaves it however the response ends."""

    service: Service
    patterns: tuple[str | type[Any], ...]
    feed: Feed
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False)
    _has_begun: bool = attrs.field(default=False, init=False)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.service.open_feed(self.feed, self.patterns))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            return SUBSCRIBED
        chunk = await self.feed.take()
        if chunk is None:
            raise StopAsyncIteration
        return chunk


@attrs.define(eq=False)
class Postroom(Service):
    """A runtime in a Quart or QuartTrio application.

    Attributes:
        carry, most_streams: As in `Service`.

    Raises:
        InvalidOption: it is given neither a runtime nor a function that makes one.
    """

    def install(self, app: Quart) -> None:
        """Add all of it to an application that has not started: lifespan, headers, and the routes of health."""

        async def live() -> Response:
            return _response(self.live())

        async def ready() -> Response:
            return _response(self.ready())

        app.add_url_rule(LIVE, "postroom_live", live)
        app.add_url_rule(READY, "postroom_ready", ready)
        # Around the application, not as its `while_serving`: a generator can't hold a nursery that may be cancelled.
        inner: Any = app.asgi_app
        app.asgi_app = Lifespan(Carrier(inner, self), self)  # type: ignore[method-assign, assignment]  # as Quart says

    async def stream(
        self, *patterns: str | type[Any], limit: int = DEFAULT_LIMIT, overflow: Overflow = "drop_oldest"
    ) -> Response:
        """A response with the events that match, as server-sent events, until the client goes.

        Args:
            limit: Events that wait for a client that is slow.
            overflow: What happens to one more: `drop_oldest`, `drop_newest` or `coalesce`. The client is told how many
                it missed, as an event `postroom-missed`.

        Raises:
            InvalidOption: a limit or a policy that is none.

        Cancellation: nothing was done.
        """
        feed = self.feed(limit=limit, overflow=overflow)
        if not self.has_room:
            return _response(Answer(503, {"error": "too many streams"}, {"retry-after": "1"}))
        response = Response(b"", 200, dict(STREAM_HEADERS))
        response.headers.pop("content-length", None)
        response.timeout = None  # a stream lasts
        response.response = _StreamBody(self, patterns, feed)
        return response

    def webhook(self, webhook: Webhook) -> View:
        """A view that takes in webhooks: `app.post("/hooks")(postroom.webhook(…))`."""

        async def receive_webhook() -> Response:
            headers = {name.lower(): value for name, value in request.headers.items()}
            return _response(await self.take_in(webhook, headers, _body(request.body)))

        return receive_webhook


async def _body(body: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The body as it comes."""
    try:
        async for chunk in body:
            yield chunk
    except RequestEntityTooLarge:
        raise TooLarge from None


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), content_type="application/json")

"""The doors of a service in the language that all asynchronous servers and frameworks speak: ASGI 3.

Source: the ASGI specification, HTTP and lifespan, version 2.5.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

import anyio
import attrs

from .feeds import Feed
from .service import Service
from .webhooks import Answer, CutOff

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

STREAM_HEADERS: Final = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),  # a proxy that keeps it until there is more would keep it for good
)


SUBSCRIBED: Final = b": subscribed\n\n"
"""Sent at once, so that a client knows that it misses nothing from then on."""


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request, their names in lower case; of one that came twice, the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def body_of(receive: Receive) -> AsyncGenerator[bytes]:
    """The body of a request, as it comes.

    Raises:
        CutOff: the client has gone.

    Cancellation: what was read is lost.
    """
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CutOff
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def send_answer(answer: Answer, send: Send) -> None:
    """Send a whole answer.

    Cancellation: some of it was sent.
    """
    body = answer.body
    headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
    await send({"type": "http.response.start", "status": answer.status, "headers": raw_headers(headers)})
    await send({"type": "http.response.body", "body": body})


def raw_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as they are sent."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


@attrs.frozen(eq=False)
class Carrier:
    """Middleware: what requests lead to carries their headers."""

    app: App
    service: Service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on.

        Cancellation: as that of what is passed on to.
        """
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        with self.service.carrying.request(headers_of(scope).items()):
            await self.app(scope, receive, send)


@attrs.frozen(eq=False)
class Lifespan:
    """Middleware: the runtime is open before the application starts, and until after it has stopped."""

    app: App
    service: Service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is not about the life of the application.

        Cancellation: as that of what is passed on to, and of a runtime's block.
        """
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        is_open = False
        completed: Message | None = None

        async def hold_back(message: Message) -> None:
            nonlocal completed
            if message["type"] == "lifespan.shutdown.complete":  # the server may end at once when it hears of it
                completed = message
            else:
                await send(message)

        try:
            async with self.service.running():
                is_open = True
                await self.app(scope, receive, hold_back)
        except Exception as error:
            if is_open:
                raise
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        if completed is not None:
            await send(completed)


@attrs.frozen(eq=False)
class EventStream:
    """A response that is a stream of server-sent events, for as long as its client stays."""

    service: Service
    patterns: tuple[str | type[Any], ...]
    feed: Feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Cancellation: the subscription ends.
        """
        if not self.service.has_room:
            await send_answer(Answer(503, {"error": "too many streams"}, {"retry-after": "1"}), send)
            return
        async with self.service.open_feed(self.feed, self.patterns), anyio.create_task_group() as tasks:

            async def stop_when_gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop_when_gone)
            await send({"type": "http.response.start", "status": 200, "headers": raw_headers(dict(STREAM_HEADERS))})
            await send({"type": "http.response.body", "body": SUBSCRIBED, "more_body": True})
            while (chunk := await self.feed.take()) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            tasks.cancel_scope.cancel()

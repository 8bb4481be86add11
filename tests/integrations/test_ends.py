"""How services end otherwise than by being told to, and what else servers and clients may do."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import Quart
from starlette.applications import Starlette

from postroom import Event, Runtime, subscriber
from postroom.integrations import quart, starlette
from postroom.integrations.asgi import Lifespan
from postroom.integrations.service import Service
from postroom.integrations.webhooks import Webhook

from .test_receiving import HOOK, SECRET, headers

Told = list[dict[str, Any]]


async def start() -> dict[str, str]:
    return {"type": "lifespan.startup"}


async def test_an_application_that_fails_while_the_runtime_is_open_fails_as_it_would_without() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    told: Told = []

    async def send(message: Any) -> None:
        told.append(message)

    service = Service(Runtime())
    with pytest.raises(ZeroDivisionError):
        await Lifespan(app, service)({"type": "lifespan"}, start, send)
    assert told == []
    assert service.ready().content == {"status": "closed"}


async def test_an_application_that_returns_without_a_word_of_its_end_closes_the_runtime() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    told: Told = []

    async def send(message: Any) -> None:
        told.append(message)

    service = Service(Runtime())
    await Lifespan(app, service)({"type": "lifespan"}, start, send)
    assert told == [{"type": "lifespan.startup.complete"}]
    assert service.ready().content == {"status": "closed"}


async def test_the_runtime_s_may_be_the_only_lifespan_of_a_starlette_application() -> None:
    service = starlette.Postroom(Runtime())
    async with service.lifespan(Starlette()):
        assert service.ready().status == 200
    assert service.ready().status == 503


async def test_a_stream_of_a_quart_application_ends_with_the_service() -> None:
    service = quart.Postroom(Runtime())
    async with service.running() as runtime:
        response: Any = await service.stream("order.**")
        async with response.response as body:
            read = [await anext(body)]
            await runtime.emit_and_wait("order.placed", 7, id="1")
            read.append(await anext(body))
            body.feed.end()
            read += [chunk async for chunk in body]
    assert read[1:] == [b"event: order.placed\nid: 1\ndata: 7\n\n"]


async def test_one_stream_too_many_of_a_quart_application_is_refused() -> None:
    service = quart.Postroom(Runtime(), most_streams=1)
    async with service.running():
        first: Any = await service.stream("**")
        async with first.response:
            second = await service.stream("**")
        third = await service.stream("**")
    assert (second.status_code, second.headers["retry-after"], third.status_code) == (503, "1", 200)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_webhook_that_quart_itself_finds_too_large_is_refused_as_such() -> None:
    service, app = quart.Postroom(Runtime()), Quart("shop")
    app.config["MAX_CONTENT_LENGTH"] = 10
    app.add_url_rule("/hooks", view_func=service.webhook(HOOK), methods=["POST"])
    signed = b'{"note": "longer than that"}'
    async with service.running():
        answered = await app.test_client().post("/hooks", data=signed, headers=headers(signed))
    assert answered.status_code == 413


async def test_a_body_may_be_anything_that_is_iterated_over() -> None:
    class Body:
        def __init__(self) -> None:
            self._chunks = iter([b'{"a"', b": 1}"])

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            for chunk in self._chunks:
                return chunk
            raise StopAsyncIteration

    seen: list[Any] = []

    @subscriber("order.placed")
    async def handle(event: Event) -> None:
        seen.append(event.data)

    hook = Webhook(name="order.placed", secret=SECRET)
    async with Runtime(subscribers=[handle]) as runtime:
        answer = await hook.receive(runtime, headers(b'{"a": 1}'), Body())
        await runtime.idle()
    assert answer.status == 202
    assert seen == [{"a": 1}]

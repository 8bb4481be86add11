"""Webhooks: what each request is answered with, and what becomes of it."""

import hashlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from postroom import Event, InvalidName, InvalidOption, Runtime, Vetoed, subscriber
from postroom.integrations.service import Service
from postroom.integrations.webhooks import Answer, CutOff, TooLarge, Webhook
from postroom.testing.reference import ReferenceModule

SECRET = "s3cret"
HOOK = Webhook(name="order.placed", secret=SECRET)


async def body(*chunks: bytes | Exception, wait: float = 0) -> AsyncGenerator[bytes]:
    for chunk in chunks:
        await anyio.sleep(wait)
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk


def headers(signed: bytes, secret: str = SECRET, id: str | None = "1", **more: str) -> dict[str, str]:
    made = {"x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}
    return {**made, **({} if id is None else {"x-github-delivery": id}), **more}


async def ask(runtime: Runtime, read: bytes, hook: Webhook = HOOK, **options: Any) -> Answer:
    return await hook.receive(runtime, headers(read, **options), body(read))


@subscriber("order.placed", capacity=1)
async def blocked(event: Event) -> None:
    await anyio.sleep(60)


@pytest.mark.parametrize("make", [Runtime, lambda: Runtime(module=ReferenceModule())])
async def test_it_is_accepted_once_and_told_when_it_was_accepted_before(make: Any) -> None:
    seen: list[Event] = []

    @subscriber("order.placed")
    async def handle(event: Event) -> None:
        seen.append(event)

    async with make() as runtime:
        await runtime.spawn(handle)
        first = await ask(runtime, b'{"a": 1}')
        again = await ask(runtime, b'{"a": 1}')
        other = await ask(runtime, b'{"a": 2}')
        await runtime.idle()
    assert [each.status for each in (first, again, other)] == [202, 200, 409]
    assert [(each.id, each.data) for each in seen] == [("1", {"a": 1})]


async def test_name_and_key_may_come_from_the_request() -> None:
    def name(headers: Mapping[str, str], data: Any) -> str:
        return f"github.{headers['x-github-event']}"

    hook = Webhook(name=name, secret=SECRET, key=lambda data: data["who"])
    async with Runtime() as runtime:
        with runtime.recording() as recording:
            await ask(runtime, b'{"who": "me"}', hook, **{"x-github-event": "push"})
    assert [(each.event.name, each.event.key) for each in recording] == [("github.push", "me")]


async def test_every_one_of_several_secrets_is_good_and_none_is_shown() -> None:
    hook = Webhook(name="order.placed", secret=("new", "old"))
    assert "new" not in repr(hook)
    async with Runtime() as runtime:
        answers = [await ask(runtime, b"1", hook, secret=secret, id=secret) for secret in ("new", "old", "older")]
    assert [each.status for each in answers] == [202, 202, 401]


@pytest.mark.parametrize(
    ("given", "chunks", "status"),
    [
        ({}, [b"1"], 401),
        ({"x-hub-signature-256": "sha256="}, [b"1"], 401),
        ({"x-hub-signature-256": "sha256=\xe9"}, [b"1"], 401),
        (headers(b"1", id=None), [b"1"], 400),
        (headers(b"1"), [b"1", CutOff()], 400),
        (headers(b"1", **{"content-length": "2"}), [b"1"], 400),
        (headers(b"1"), [b"1", TooLarge()], 413),
        (headers(b"{"), [b"{"], 400),
        (headers(b""), [], 400),
        (headers(b"1"), [b"x" * 1024 * 1024, b"x"], 413),
        (headers(b"1"), [b"x" * 8 * 1024 * 1024, RuntimeError("read on")], 413),
        (headers(b"1", id="x" * 1000), [b"1"], 422),
    ],
)
async def test_each_wrong_request_has_its_status_and_nothing_is_emitted(
    given: dict[str, str], chunks: list[Any], status: int
) -> None:
    async with Runtime() as runtime:
        answer = await HOOK.receive(runtime, given, body(*chunks))
        assert runtime.stats.accepted == 0
    assert answer.status == status
    assert set(answer.content) == {"error"}


async def test_a_body_that_takes_too_long_is_refused() -> None:
    async with Runtime() as runtime:
        began = anyio.current_time()
        answer = await HOOK.receive(runtime, headers(b"1"), body(b"1", wait=100))
        assert (answer.status, anyio.current_time() - began) == (408, 30)


async def test_a_full_mailbox_is_told_as_busy_and_the_same_again_is_the_same_event() -> None:
    async with Runtime(subscribers=[blocked], drain_within=0) as runtime:
        for number in range(2):
            assert (await ask(runtime, b"1", id=f"first-{number}")).status == 202
        began = anyio.current_time()
        busy = await ask(runtime, b"1", id="waits")
        assert (busy.status, busy.headers, anyio.current_time() - began) == (503, {"retry-after": "1"}, 5)
        await anyio.sleep(60)
        again = await ask(runtime, b"1", id="waits")
        assert again.status == 200
        assert runtime.stats.accepted == 3


async def test_while_the_service_is_closed_it_is_busy() -> None:
    service = Service(Runtime())
    assert (await service.take_in(HOOK, headers(b"1"), body(b"1"))).status == 503
    async with service.running() as runtime:
        assert (await service.take_in(HOOK, headers(b"1"), body(b"1"))).status == 202
    assert (await service.take_in(HOOK, headers(b"1"), body(b"1"))).status == 503
    assert (await HOOK.receive(runtime, headers(b"1"), body(b"1"))).status == 503


async def test_what_an_interceptor_refuses_is_refused_without_its_reason() -> None:
    def guard(event: Event) -> None:
        raise Vetoed("it is for the internal network only")

    async with Runtime(interceptors=[guard]) as runtime:
        answer = await ask(runtime, b"1")
    assert (answer.status, answer.content) == (422, {"error": "Vetoed"})


@pytest.mark.parametrize("secret", ["", (), ("good", ""), 3])
def test_a_secret_that_is_none_is_refused(secret: Any) -> None:
    with pytest.raises((InvalidOption, TypeError)):
        Webhook(name="order.placed", secret=secret)


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(InvalidName):
        Webhook(name="order..placed", secret=SECRET)

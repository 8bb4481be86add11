"""A password appears nowhere: not in texts of the module, its errors, log lines, tracebacks or dumps (goal S4)."""

import json
import logging
import traceback
from pathlib import Path
from typing import Any

import anyio
import attrs
import msgspec
import pytest
from anyio.abc import SocketAttribute, SocketStream

from postroom.errors import InvalidOption
from postroom.modules.redis import RedisModule
from postroom.modules.redis.places import Secret, place_of
from postroom.store_errors import StoreBroken
from tests.servers.redis import RedisServer, free_port

from .making import error_of, module

PASSWORD = "Tr0ub4dor%26%2F3"
PLAIN = "Tr0ub4dor&/3"


def texts_of(value: Any) -> str:
    return "\n".join([repr(value), str(value), f"{value}", repr(vars(value) if hasattr(value, "__dict__") else "")])


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert "Tr0ub4dor" not in text


def test_a_module_shows_its_url_without_the_password() -> None:
    made = RedisModule(f"redis://shop:{PASSWORD}@db.example:6380/2", sentinel_password=PLAIN)
    settings = made._settings()
    assert settings.place.password is not None
    assert settings.place.password.reveal() == PLAIN
    assert str(made.url) == "redis://shop:***@db.example:6380/2"
    assert_clean(texts_of(made), texts_of(made.url), texts_of(settings), texts_of(settings.place.password))
    assert_clean(repr(attrs.asdict(made)), json.dumps(attrs.asdict(settings.place), default=str))


def test_a_secret_is_not_written_out() -> None:
    secret = Secret(PLAIN)
    assert_clean(repr(secret.__reduce_ex__(4)))  # what any copy to elsewhere is made of
    with pytest.raises(TypeError) as refused:
        msgspec.json.encode({"password": secret})
    assert_clean(str(refused.value))


@pytest.mark.parametrize(
    "url",
    [
        f"http://shop:{PLAIN}@host/0",
        f"shop:{PLAIN}@host",
        f"redis://shop:{PLAIN}@host:port/0",
        f"redis://shop:{PASSWORD}@host:99999/0",
        f"redis://shop:{PASSWORD}@host/0/1/2",
        f"redis://shop:{PASSWORD}@host/x",
        f"redis+sentinel://shop:{PASSWORD}@host:26379",
        f"{PLAIN}",
    ],
)
def test_an_error_about_a_url_does_not_quote_it(url: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        RedisModule(url)
    text = "".join(traceback.format_exception(refused.value))
    assert_clean(str(refused.value), repr(refused.value), *text.splitlines()[-3:])


def test_a_password_comes_from_a_file_or_an_option_as_well(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PLAIN}\n", encoding="utf-8")
    for given in (file, PLAIN):
        made = RedisModule("redis://shop@host", password=given)
        found = made._settings().place.password
        assert found is not None
        assert found.reveal() == PLAIN
        assert_clean(texts_of(made))
    with pytest.raises(InvalidOption) as refused:
        RedisModule("redis://host", password=tmp_path / "none")
    assert "readable" in str(refused.value)


def test_urls_are_taken_apart() -> None:
    place = place_of("rediss+sentinel://u:p%40@[::1]:26380,b/shop/3")
    assert (place.nodes, place.service, place.db) == ((("::1", 26380), ("b", 26379)), "shop", 3)
    assert (place.username, place.password, place.has_tls) == ("u", Secret("p@"), True)
    assert place_of("redis://localhost").nodes == (("localhost", 6379),)
    assert str(place) == "rediss+sentinel://u:***@[::1]:26380,b:26379/shop/3"


def variables_of(error: BaseException) -> str:
    """Those of all frames that it came through, as collectors of errors write them down, but for those of tests."""
    texts: list[str] = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "postroom" in frame.f_globals["__name__"].split("."):
            texts += map(repr, frame.f_locals.values())
    before = error.__cause__ or error.__context__
    return "".join(texts) + ("" if before is None else variables_of(before))


@pytest.mark.parametrize("answers", [b"", b"-WRONGPASS invalid username-password pair\r\n"])
async def test_an_error_of_the_greeting_has_no_password_in_its_variables(answers: bytes) -> None:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            if answers:
                await stream.send(answers)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)

    async def use() -> None:
        async with module(f"redis://shop:{PASSWORD}@127.0.0.1:{port}/0").open("one"):
            """Not reached."""

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        error = await error_of(use)
        tasks.cancel_scope.cancel()
    assert isinstance(error, StoreBroken)
    assert_clean(variables_of(error))


async def test_what_goes_wrong_with_a_connection_does_not_tell_the_password(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for port in (server.port, free_port()):

        async def use(port: int = port) -> None:
            async with module(f"redis://shop:{PASSWORD}@127.0.0.1:{port}/0").open("one"):
                """Not reached."""

        error = await error_of(use)
        assert_clean(texts_of(error), "".join(traceback.format_exception(error)), str(error.__cause__))
    assert_clean(caplog.text, *(repr(vars(record)) for record in caplog.records))

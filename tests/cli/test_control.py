"""The control socket when one side of it goes away, or speaks another language."""

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.abc
import pytest

from postroom import Event, Runtime, subscriber
from postroom.cli.control import Client, open_control
from postroom.cli.desk import Desk
from postroom.cli.meter import Meter
from postroom.cli.statuses import NOT_DONE, Refused

BACKENDS: Final = pytest.mark.parametrize("backend", ["trio", "asyncio"])

PATIENCE: Final = 60.0

pytestmark = BACKENDS


def run(body: Callable[[], Awaitable[None]], backend: str) -> None:
    """Run a block in real time, in which sockets answer."""

    async def bounded() -> None:
        with anyio.fail_after(PATIENCE):
            await body()

    anyio.run(bounded, backend=backend)


def test_a_socket_that_was_replaced_is_left_to_its_new_owner(tmp_path: Path, backend: str) -> None:
    async def body() -> None:
        async with Runtime() as runtime, open_control(Desk(runtime), tmp_path / "c.sock"):
            (tmp_path / "other").write_text("of another process")
            os.replace(tmp_path / "other", tmp_path / "c.sock")

    run(body, backend)
    assert (tmp_path / "c.sock").read_text() == "of another process"


def test_a_socket_that_was_taken_away_is_not_missed(tmp_path: Path, backend: str) -> None:
    ended: list[bool] = []

    async def body() -> None:
        async with Runtime() as runtime:
            async with open_control(Desk(runtime), tmp_path / "c.sock"):
                (tmp_path / "c.sock").unlink()
            ended.append(True)

    run(body, backend)
    assert ended == [True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", [b"", b'{"ask": "top"'])
def test_a_client_that_goes_away_before_it_has_asked_is_forgotten(tmp_path: Path, backend: str, said: bytes) -> None:
    async def body() -> None:
        async with Runtime() as runtime, open_control(Desk(runtime, Meter()), tmp_path / "c.sock"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "c.sock"))
                client.sendall(said)
            answer = await Client(tmp_path / "c.sock").ask("top", {})
            assert answer["state"] == "open"

    run(body, backend)


def test_what_a_client_has_asked_for_is_done_though_nobody_is_left_to_be_told(tmp_path: Path, backend: str) -> None:
    async def body() -> None:
        paused = anyio.Event()

        @subscriber("order.placed")
        async def ledger(event: Event) -> None: ...

        async with Runtime(subscribers=[ledger]) as runtime, open_control(Desk(runtime), tmp_path / "c.sock"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "c.sock"))
                client.sendall(b'{"ask": "top", "arguments": {}}\n')
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "c.sock"))
                client.sendall(b'{"ask": "pause", "arguments": {"name": "ledger"}}\n')
            while not runtime.subscriptions["ledger"].stats.paused:
                await anyio.sleep(0.01)
            paused.set()
            (row,) = await Client(tmp_path / "c.sock").ask("subscriptions", {})
            assert row["paused"] is True
        assert paused.is_set()

    run(body, backend)


def test_a_question_with_other_arguments_than_this_release_knows_is_refused(tmp_path: Path, backend: str) -> None:
    async def body() -> None:
        async with Runtime() as runtime, open_control(Desk(runtime), tmp_path / "c.sock"):
            with pytest.raises(Refused, match="'pause', or not with these arguments: it is of another release"):
                await Client(tmp_path / "c.sock").ask("pause", {"name": "ledger", "gently": True})

    run(body, backend)


async def _serve(path: Path, replies: bytes, *, task_status: Any) -> None:
    """What stands at a path and gives everybody the same reply."""
    async with await anyio.create_unix_listener(path) as listener:

        async def reply(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await stream.receive()
                await stream.send(replies)

        task_status.started()
        await listener.serve(reply)


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b'{"answer": '])
def test_a_service_that_has_gone_or_speaks_another_language_is_refused(
    tmp_path: Path, backend: str, reply: bytes
) -> None:
    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(_serve, tmp_path / "c.sock", reply)
            with pytest.raises(Refused, match="has gone, or speaks another language") as caught:
                await Client(tmp_path / "c.sock").ask("top", {})
            assert caught.value.status == NOT_DONE
            tasks.cancel_scope.cancel()

    run(body, backend)


def test_a_tail_ends_with_its_service(tmp_path: Path, backend: str) -> None:
    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(_serve, tmp_path / "c.sock", b'{"answer": null}\n{"item": {"id": "1"}}\n')
            async with Client(tmp_path / "c.sock").tail("**") as events:
                assert [event async for event in events] == [{"id": "1"}]
            tasks.cancel_scope.cancel()

    run(body, backend)

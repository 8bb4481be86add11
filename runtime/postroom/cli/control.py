"""The control socket: a Unix socket by which an operator on the same machine asks a service.

It is there only where `postroom run --control PATH` asks for it, and only its owner may use it (mode 0600). A client
sends one request, a line of JSON, and gets lines of JSON: one with an `answer`, or one with an `item` for each event of
a tail; or one with an `error`.
"""

import json
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from ..errors import PostroomError
from ..quoting import quoted
from .desk import Desk
from .output import as_json
from .statuses import Refused

LONGEST_LINE: Final = 16 * 1024 * 1024
"""Bytes of a request or an answer."""

ASK_WITHIN: Final = 10.0
"""For a client to send its request."""

GONE: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead)
"""The other side has gone."""


@asynccontextmanager
async def open_control(desk: Desk, path: Path) -> AsyncGenerator[None]:
    """A block in which a control socket serves.

    Raises:
        Refused: there can be none at this path.

    Cancellation: the socket is taken away.
    """
    await _make_room(path)
    try:
        listener = await anyio.create_unix_listener(path, mode=0o600)  # which is set before it listens
    except (OSError, ValueError) as error:
        raise Refused(f"no control socket at {quoted(str(path))}: {error}") from error
    own = os.stat(path).st_ino
    try:
        async with listener, anyio.create_task_group() as tasks:

            async def serve(stream: anyio.abc.SocketStream) -> None:
                await _answer(desk, stream)

            tasks.start_soon(listener.serve, serve)
            yield
            tasks.cancel_scope.cancel()
    finally:
        try:
            if os.stat(path).st_ino == own:
                os.unlink(path)
        except OSError:
            pass  # somebody has taken it away


async def _make_room(path: Path) -> None:
    """Take away what a process that was killed has left at this path."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise Refused(f"no control socket at {quoted(str(path))}: there is something else")
    try:
        async with await anyio.connect_unix(path):
            pass
    except OSError:
        os.unlink(path)
        return
    raise Refused(f"no control socket at {quoted(str(path))}: another process serves there")


async def _answer(desk: Desk, stream: anyio.abc.SocketStream) -> None:
    """Serve one client, whose going away ends it."""
    async with stream:
        try:
            line = b""
            lines = BufferedByteReceiveStream(stream)
            with anyio.fail_after(ASK_WITHIN):
                line = await lines.receive_until(b"\n", LONGEST_LINE)
            request = json.loads(line)
            what, arguments = str(request["ask"]), dict(request["arguments"])
        except (*GONE, anyio.DelimiterNotFound, TimeoutError):
            return
        except (ValueError, TypeError, KeyError, RecursionError):
            await _send(stream, {"error": 'a request is a line of JSON: {"ask": …, "arguments": {…}}'})
            return
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_leave_with, stream, tasks.cancel_scope)
                await _reply(desk, stream, what, arguments)
                tasks.cancel_scope.cancel()
        except* GONE:
            pass  # nobody is left to tell


async def _leave_with(stream: anyio.abc.SocketStream, block: anyio.CancelScope) -> None:
    """Cancel the block once the client has gone.

    Cancellation: changes nothing.
    """
    try:
        while True:
            await stream.receive()
    except GONE:
        block.cancel()


async def _reply(desk: Desk, stream: anyio.abc.SocketStream, what: str, arguments: dict[str, Any]) -> None:
    try:
        if what == "tail":
            async with desk.tail(str(arguments.get("pattern"))) as events:
                await _send(stream, {"answer": None})
                async for event in events:
                    await _send(stream, {"item": event})
        else:
            await _send(stream, {"answer": await desk.ask(what, arguments)})
    except PostroomError as error:
        await _send(stream, {"error": str(error)})


async def _send(stream: anyio.abc.SocketStream, value: Any) -> None:
    await stream.send(f"{as_json(value)}\n".encode())


class Client:
    """The other side: a service that is asked over its control socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, what: str, arguments: Any) -> Any:
        """One answer; as `Desk.ask`.

        Raises:
            Refused: nobody serves there; or what the service says.

        Cancellation: it was done or not.
        """
        async with await self._connect() as stream:
            return (await self._first(stream, what, arguments))[1]

    @asynccontextmanager
    async def tail(self, pattern: str) -> AsyncGenerator[AsyncGenerator[Any]]:
        """A block with the events that match; as `Desk.tail`.

        Cancellation: the service takes the subscription away.
        """
        async with await self._connect() as stream:
            lines, _ = await self._first(stream, "tail", {"pattern": pattern})
            async with aclosing(self._items(lines)) as items:
                yield items

    async def _connect(self) -> anyio.abc.UNIXSocketStream:
        try:
            return await anyio.connect_unix(self._path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Refused(f"no service answers at {quoted(str(self._path))}: {reason}") from error

    async def _first(self, stream: anyio.abc.SocketStream, what: str, arguments: Any) -> tuple[Any, Any]:
        try:
            await _send(stream, {"ask": what, "arguments": arguments})
            lines = BufferedByteReceiveStream(stream)
            reply = json.loads(await lines.receive_until(b"\n", LONGEST_LINE))
        except (*GONE, anyio.DelimiterNotFound, ValueError) as error:
            raise Refused(
                f"the service at {quoted(str(self._path))} has gone, or speaks another language", 1
            ) from error
        if "error" in reply:
            raise Refused(str(reply["error"]), 1)
        return lines, reply.get("answer")

    async def _items(self, lines: BufferedByteReceiveStream) -> AsyncGenerator[Any]:
        while True:
            try:
                reply = json.loads(await lines.receive_until(b"\n", LONGEST_LINE))
            except GONE:
                return
            yield reply.get("item")

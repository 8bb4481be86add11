"""A connection: commands go out in the order in which they are asked for, and so do replies come in.

coredis packs and parses. Its own connection has a task that writes and one that reads, so a trip takes two switches of
tasks more, and a trip is most of what a single event costs. Here whoever asks writes; and of those who wait for a reply
one reads for all, and hands that on to the next one when its own reply has come.

Units: seconds.
"""

from collections import deque
from typing import Any

import anyio
import attrs
from anyio import aclose_forcefully
from anyio.abc import ByteStream, TaskStatus
from coredis._packer import Packer
from coredis.constants.resp import DataType
from coredis.exceptions import ConnectionError as ConnectionLost
from coredis.parser import NotEnoughData, Parser

from .places import Secret


class Unsent(ConnectionLost):
    """There was no connection to send on."""


@attrs.define(eq=False)
class _Reply:
    """Waits for one reply.

    Attributes:
        decode: Texts are wanted, not bytes.
        wake: Set when it is there, or when it is this one's turn to read.
    """

    decode: bool
    wake: anyio.Event | None = None
    is_there: bool = False
    value: Any = None


@attrs.define(eq=False)
class Connection:
    """A connection on a transport that stands already. Its owner is the task that runs `run`.

    Attributes:
        reply_within: How long a reply may take, unless the call says so.
    """

    _stream: ByteStream
    reply_within: float
    _username: str | None = None
    _password: Secret | None = None
    _db: int = 0
    _ready: bool = attrs.field(default=False, init=False)
    _over: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _replies: deque[_Reply] = attrs.field(factory=deque, init=False)
    _unsent: list[bytes] = attrs.field(factory=list, init=False, repr=False)  # a password may be among it
    _is_sending: bool = attrs.field(default=False, init=False)
    _is_reading: bool = attrs.field(default=False, init=False)
    _packer: Packer = attrs.field(factory=lambda: Packer("utf-8"), init=False)
    _parser: Parser = attrs.field(factory=Parser, init=False)

    @property
    def usable(self) -> bool:
        """Whether commands may be sent on it."""
        return self._ready and not self._over.is_set()

    def invalidate(self) -> None:
        """Send and read nothing more; whoever waits for a reply is told, and `run` closes it."""
        self._over.set()
        for reply in self._replies:
            if reply.wake is not None:
                reply.wake.set()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Greet the server, and hold the transport until the connection is invalidated.

        Raises:
            RedisError, TimeoutError: the server does not let us in.

        Cancellation: the transport is closed.
        """
        try:
            await self._greet()
            self._ready = True
            task_status.started()
            await self._over.wait()
        finally:
            self.invalidate()
            await aclose_forcefully(self._stream)

    async def _greet(self) -> None:
        words: list[Any] = [b"HELLO", 3]
        if self._password is not None or self._username is not None:
            words += [b"AUTH", self._username or "default", self._password or b""]
        try:
            await self._ask(words, None, False)
        except Exception as error:
            _forget_frames(error)
            raise
        if self._db:
            await self._ask([b"SELECT", self._db], None, False)

    async def ask(self, *words: Any, within: float | None = None, decode: bool = False) -> Any:
        """Send one command, and wait for its reply.

        Args:
            words: The first one may be a command of several words.

        Raises:
            Unsent: there is no connection; nothing was sent.
            ConnectionLost, TimeoutError: it was sent or not; the connection is over.
            RedisError: what the server has answered.

        Cancellation: as for a TimeoutError.
        """
        if not self.usable:
            raise Unsent("the connection is over")
        return await self._ask(words, within, decode)

    async def _ask(self, words: Any, within: float | None, decode: bool) -> Any:
        reply = _Reply(decode)
        self._replies.append(reply)
        self._unsent += self._packer.pack_command(*map(_revealed, words))
        try:
            with anyio.fail_after(within or self.reply_within):
                if not self._is_sending:
                    await self._send()
                while not reply.is_there:
                    await self._read_or_wait(reply)
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            self.invalidate()
            raise ConnectionLost("the connection was lost") from error
        except BaseException:  # a cancellation, too: the reply that comes now is nobody's
            self.invalidate()
            raise
        if isinstance(reply.value, BaseException):
            raise reply.value
        return reply.value

    async def _send(self) -> None:
        self._is_sending = True
        try:
            while self._unsent:
                data, self._unsent = b"".join(self._unsent), []
                await self._stream.send(data)
        finally:
            self._is_sending = False

    async def _read_or_wait(self, reply: _Reply) -> None:
        if self._over.is_set():
            raise ConnectionLost("the connection was lost")
        if self._is_reading:
            reply.wake = anyio.Event()
            await reply.wake.wait()
            return
        self._is_reading = True
        try:
            while not reply.is_there:
                self._take(await self._stream.receive())
        finally:
            self._is_reading = False
            if self._replies and (first := self._replies[0].wake) is not None:
                first.set()

    def _take(self, data: bytes) -> None:
        self._parser.feed(data)
        while self._replies:
            reply = self._replies[0]
            response = self._parser.parse(decode=reply.decode, encoding="utf-8")
            if isinstance(response, NotEnoughData):
                return
            kind, reply_value = response
            if kind == DataType.PUSH:
                continue
            reply.value, reply.is_there = reply_value, True
            self._replies.popleft()
            if reply.wake is not None:
                reply.wake.set()


def _revealed(word: Any) -> Any:
    return word.reveal() if isinstance(word, Secret) else word


def _forget_frames(error: BaseException | None) -> None:
    """What has sent a password has it in its variables, which some loggers and collectors of errors write down."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__

"""Where to connect to: the server of the URL, the primary that the sentinels name, or the node that has the slot."""

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import attrs
from anyio import aclose_forcefully
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream
from coredis.exceptions import RedisError

from postroom.store_errors import StoreBusy

from .connection import Connection
from .faults import MODULE
from .places import Secret
from .settings import Settings

Node = tuple[str, int]

KEEPALIVE: Final[dict[str, int]] = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds of silence, seconds between probes, and probes: a peer that is gone is found within half a minute."""


async def open_transport(node: Node, settings: Settings) -> ByteStream:
    """A socket to a node, with TLS where that is wanted, which notices within a while when its peer is gone.

    Raises:
        OSError, TimeoutError: there is none.

    Cancellation: there is none.
    """
    with anyio.fail_after(settings.connect_within):
        plain = await anyio.connect_tcp(*node)
        raw = plain.extra(SocketAttribute.raw_socket)  # noqa: S610 - no database
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if settings.tls is None:
            return plain
        try:
            return await TLSStream.wrap(plain, hostname=node[0], ssl_context=settings.tls, standard_compatible=False)
        except BaseException:
            await aclose_forcefully(plain)
            raise


@attrs.define(eq=False)
class Finder:
    """Knows where the namespace is at the moment.

    Attributes:
        moved_to: The node that a cluster has sent us to.
    """

    settings: Settings
    moved_to: Node | None = attrs.field(default=None, init=False)

    @property
    def shown(self) -> str:
        """The place, for messages."""
        return str(self.settings.place)

    async def find(self, start: Callable[[Connection], Awaitable[None]]) -> Node:
        """Host and port to connect to.

        Args:
            start: Starts a connection in the caller's task group.

        Raises:
            StoreBusy: no sentinel knows.

        Cancellation: nothing was found.
        """
        place = self.settings.place
        if self.moved_to is not None:
            return self.moved_to
        if place.service is None:
            return place.nodes[0]
        why = "none of the sentinels can be reached"
        for node in place.nodes:
            try:
                found = await self._ask_sentinel(node, place.service, start)
            except (RedisError, OSError, TimeoutError):
                continue
            if found is not None:
                return found
            why = f"the sentinels know no service {place.service!r}"
        raise StoreBusy(MODULE, f"{self.shown}: {why}")

    async def _ask_sentinel(
        self, node: Node, service: str, start: Callable[[Connection], Awaitable[None]]
    ) -> Node | None:
        username, password = self.settings.sentinel
        with anyio.fail_after(self.settings.connect_within):
            connection = await self._connect(node, username, password, 0)
            await start(connection)
            try:
                found: Any = await connection.ask(b"SENTINEL GET-MASTER-ADDR-BY-NAME", service, decode=True)
            finally:
                connection.invalidate()
        return None if found is None else (str(found[0]), int(found[1]))

    async def _connect(self, node: Node, username: str | None, password: Secret | None, db: int) -> Connection:
        transport = await open_transport(node, self.settings)
        return Connection(transport, self.settings.reply_within, username, password, db)

    async def connect(self, node: Node) -> Connection:
        """A connection to the server at a node, as the user of the URL; not started yet.

        Raises:
            OSError, TimeoutError: there is none.

        Cancellation: there is none.
        """
        place = self.settings.place
        return await self._connect(node, place.username, place.password, place.db)

    def look_again(self, moved_to: Node | None = None) -> None:
        """What was found is not it, or not any more."""
        self.moved_to = moved_to

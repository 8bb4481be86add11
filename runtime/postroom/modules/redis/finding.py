"""Where to connect to: the server of the URL, the primary that the sentinels name, or the node that has the slot."""

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import attrs
from coredis.connection import TCPConnection, TCPLocation
from coredis.exceptions import RedisError

from postroom.store_errors import StoreBusy

from .faults import MODULE
from .settings import Settings

Node = tuple[str, int]

KEEPALIVE: Final[dict[str, int]] = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds of silence, seconds between probes, and probes: a peer that is gone is found within half a minute."""


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

    async def find(self, start: Callable[[TCPConnection], Awaitable[None]]) -> Node:
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
        self, node: Node, service: str, start: Callable[[TCPConnection], Awaitable[None]]
    ) -> Node | None:
        username, password = self.settings.sentinel
        connection = self.connection(node, username, None if password is None else password.reveal(), 0)
        with anyio.fail_after(self.settings.connect_within):
            await start(connection)
            try:
                found: Any = await connection.create_request(b"SENTINEL GET-MASTER-ADDR-BY-NAME", service, decode=True)
            finally:
                connection.invalidate()
        return None if found is None else (str(found[0]), int(found[1]))

    def connection(self, node: Node, username: str | None, password: str | None, db: int) -> TCPConnection:
        """A connection to a node, not started yet."""
        options = {getattr(socket, name): value for name, value in KEEPALIVE.items() if hasattr(socket, name)}
        return TCPConnection(
            TCPLocation(*node),
            socket_keepalive=True,
            socket_keepalive_options=options,
            connect_timeout=self.settings.connect_within,
            stream_timeout=self.settings.reply_within,
            username=username,
            password=password,
            db=db,
            ssl_context=self.settings.tls,
        )

    def connection_to_server(self, node: Node) -> TCPConnection:
        """A connection to the server at a node, as the user of the URL."""
        place = self.settings.place
        password = None if place.password is None else place.password.reveal()
        return self.connection(node, place.username, password, place.db)

    def look_again(self, moved_to: Node | None = None) -> None:
        """What was found is not it, or not any more."""
        self.moved_to = moved_to

"""What a session is opened with."""

import ssl
from collections.abc import Callable

import attrs

from .places import Place, Secret


@attrs.frozen(kw_only=True)
class Settings:
    """As `RedisModule` has them, checked.

    Attributes:
        sentinel: User and password for the sentinels themselves.
        clock: Seconds since the epoch in place of the server's clock, for tests; None for the server's.
    """

    place: Place
    namespace: str
    lease: float
    window: float
    wait_for_server: float
    reply_within: float
    connect_within: float
    block: float
    tls: ssl.SSLContext | None
    sentinel: tuple[str | None, Secret | None]
    clock: Callable[[], float] | None

    @property
    def prefix(self) -> str:
        """What all keys begin with; the part in braces decides the slot of a cluster."""
        return f"{{postroom:{self.namespace}}}:"

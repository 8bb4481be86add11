"""Events: what happened, as a value.

Events and outcomes are msgspec structs where the rest of postroom uses attrs: one is made for every emit, and a
frozen attrs class takes seven times as long to make. They are also what durable modules encode.

Units: times in seconds since the epoch, UTC.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import msgspec

Priority: TypeAlias = Literal["critical", "high", "default", "low", "lowest"]

HEAD_STARTS: Final[Mapping[Priority, float]] = MappingProxyType(
    {"critical": 0.0, "high": 1.0, "default": 5.0, "low": 30.0, "lowest": 300.0}
)
"""Seconds after its acceptance at which an event's turn is, by priority: whose turn is earliest is handled first."""

LONGEST_TRAIL: Final = 16

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Event(msgspec.Struct, frozen=True):
    """Something that happened. Made by `emit`, or by the user for `emit_many`.

    Attributes:
        name: Dot-separated tokens, such as `order.placed`.
        data: What there is to tell; passed by reference in memory, so handlers must not change it.
        key: Events of one key are handled in order.
        headers: Texts beside the data, for infrastructure such as tracing.
        id: Unique; empty until the event is accepted, unless the user chose it.
        time: When it happened; the moment of the emit, unless the user says otherwise.
        accepted_at: When the runtime accepted it; None before.
        cause: Id of the event whose handler emitted this one; None where no handler did.
        depth: Number of events before it in its chain of causes.
        trail: The names of the last of those, oldest first.
        priority: Its head start over other events in the same mailbox.
        delay: Seconds between its acceptance and its way to the mailboxes.
        expires_after: Seconds after its acceptance from which on nobody handles it any more.
    """

    name: str
    data: Any = None
    key: str | None = None
    headers: Mapping[str, str] = NO_HEADERS
    id: str = ""
    time: float | None = None
    accepted_at: float | None = None
    cause: str | None = None
    depth: int = 0
    priority: Priority = "default"
    delay: float | None = None
    expires_after: float | None = None
    trail: tuple[str, ...] = ()

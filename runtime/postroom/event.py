"""Events: what happened, as a value.

Events and outcomes are msgspec structs where the rest of postroom uses attrs: one is made for every emit, and a
frozen attrs class takes seven times as long to make. They are also what durable modules encode.

Units: times in seconds since the epoch, UTC.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias

import msgspec

from .retry import Backoff

if TYPE_CHECKING:  # type checkers know it; at run time nobody asks for the default
    from typing_extensions import TypeVar

    Data = TypeVar("Data", covariant=True, default=Any)
else:
    from typing import TypeVar

    Data = TypeVar("Data")

Priority: TypeAlias = Literal["critical", "high", "default", "low", "lowest"]

HEAD_STARTS: Final[Mapping[Priority, float]] = MappingProxyType(
    {"critical": 0.0, "high": 1.0, "default": 5.0, "low": 30.0, "lowest": 300.0}
)
"""Seconds after its acceptance at which an event's turn is, by priority: whose turn is earliest is handled first."""

LONGEST_TRAIL: Final = 16

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Origin(msgspec.Struct, frozen=True):
    """Where in a chain of causes an event stands. Apart, since most events begin one and share the same.

    Attributes:
        cause: Id of the event whose handler emitted this one; None where no handler did.
        depth: Number of events before it in its chain of causes.
        trail: The names of the last of those, oldest first.
    """

    cause: str | None = None
    depth: int = 0
    trail: tuple[str, ...] = ()


FIRST: Final = Origin()


class Event(msgspec.Struct, Generic[Data], frozen=True):
    """Something that happened. Made by `emit`, or by the user for `emit_many`.

    Attributes:
        name: Dot-separated tokens, such as `order.placed`.
        data: What there is to tell; passed by reference in memory, so handlers must not change it.
        key: Events of one key are handled in order.
        headers: Texts beside the data, for infrastructure such as tracing.
        id: Unique; empty until the event is accepted, unless the user chose it.
        time: When it happened; the moment of the emit, unless the user says otherwise.
        accepted_at: When the runtime accepted it; None before.
        priority: Its head start over other events in the same mailbox.
        delay: Seconds between its acceptance and its way to the mailboxes.
        expires_after: Seconds after its acceptance from which on nobody handles it any more.
        attempts, backoff, timeout, quiet: What it, or the call that emitted it, wants of its deliveries' policy; None
            leaves it to others.
        origin: The runtime's own: its place in a chain of causes.
    """

    name: str
    data: Data = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] - no data is data of any type
    key: str | None = None
    headers: Mapping[str, str] = NO_HEADERS
    id: str = ""
    time: float | None = None
    accepted_at: float | None = None
    priority: Priority = "default"
    delay: float | None = None
    expires_after: float | None = None
    attempts: int | None = None
    backoff: Backoff | None = None
    timeout: float | None = None
    quiet: bool | None = None
    origin: Origin = FIRST

    @property
    def cause(self) -> str | None:
        """Id of the event whose handler emitted this one; None where no handler did."""
        return self.origin.cause

    @property
    def depth(self) -> int:
        """Number of events before it in its chain of causes."""
        return self.origin.depth

    @property
    def trail(self) -> tuple[str, ...]:
        """The names of the last of those, oldest first."""
        return self.origin.trail

"""What the reference store keeps.

Units: seconds on the event loop's clock.
"""

import itertools
from collections.abc import Iterator
from typing import Final

import anyio
import attrs

from postroom.contract import Notice, Published, StoredEvent

EPOCH: Final = 1_700_000_000.0
"""What the event loop's time 0 is, in seconds since the epoch."""


@attrs.define(eq=False)
class KeptEvent:
    """An event that was accepted. Kept while a delivery of it is not over, and as long as its id is remembered."""

    stored: StoredEvent
    at: float
    targets: tuple[str, ...]
    watchers: list[str]
    outcomes: dict[str, bytes] = attrs.field(factory=dict)

    @property
    def published(self) -> Published:
        return Published(EPOCH + self.at, self.targets, dict(self.outcomes), self.stored.body)


@attrs.define(eq=False)
class KeptDelivery:
    """One event for one subscription, until it is over.

    Attributes:
        number: In the order of acceptance.
        due: When it may be lent for the first time.
        not_before: When it may be lent again.
        token, session: Of the loan that it is in.
    """

    number: int
    event: KeptEvent
    subscription: str
    due: float
    not_before: float = 0.0
    token: int | None = None
    session: str | None = None
    attempts: int = 0
    losses: int = 0

    @property
    def place(self) -> tuple[float, int]:
        """Within its key."""
        return (self.due, self.number)

    @property
    def rank(self) -> tuple[float, float, int]:
        return (self.due + self.event.stored.head_start, self.due, self.number)

    @property
    def key(self) -> str | None:
        return self.event.stored.key


@attrs.define(eq=False)
class Session:
    """A session.

    Attributes:
        last: The last numbered call, and the last settlement, each with its result.
        lost: The number of the news that its lease had run out; None where it has not, or has been heard.
    """

    lease_until: float
    serves: set[str] = attrs.field(factory=set)
    last: dict[str, tuple[int, object]] = attrs.field(factory=dict)
    notices: list[tuple[int, Notice]] = attrs.field(factory=list)
    numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))
    mail: bool = False
    room: bool = False
    routes: bool = False
    lost: int | None = None
    was_refused_room: bool = False
    changed: anyio.Event = attrs.field(factory=anyio.Event)

    def tell(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


@attrs.define(eq=False)
class KeptGroup:
    expires_at: float
    events: list[tuple[StoredEvent, str]] = attrs.field(factory=list)

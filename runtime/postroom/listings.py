"""What there is for an operator to see: subscriptions that are registered, groups that are staged."""

import msgspec


class StoredSubscription(msgspec.Struct, frozen=True):
    """A subscription as it stands in a store.

    Attributes:
        waiting: Deliveries that may be lent now.
        delayed: Deliveries that are due later.
        lent: Deliveries that sessions have.
        dead: Its dead letters.
        served_by: Sessions that serve it now.
        paused: Nothing is lent.
    """

    name: str
    patterns: tuple[str, ...]
    waiting: int
    delayed: int
    lent: int
    dead: int
    served_by: tuple[str, ...]
    paused: bool


class StagedGroup(msgspec.Struct, frozen=True):
    """A group of which something is staged.

    Attributes:
        events: How many are staged.
        expires_in: Seconds until they are dropped, unless the group is released before; None for never.
    """

    id: str
    events: int
    expires_in: float | None

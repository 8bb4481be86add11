"""Counters at one moment, as users see them.

Units: seconds; the rest are counts.
"""

import attrs


@attrs.frozen(kw_only=True)
class RuntimeStats:
    """Counters of a whole runtime at one moment, subscriptions that have ended included.

    `deliveries` is always the sum of `succeeded`, `failed`, `dropped`, `expired`, `cancelled`, `returned` and
    `pending`.

    Attributes:
        accepted: Events accepted.
        unrouted: Those of them that matched no subscription.
        staged: Events in groups, which are not accepted yet.
        deliveries: One for each event and subscription that it matched; on a durable module those that were fetched.
        returned: Those that went back to the store of a durable module.
    """

    accepted: int
    unrouted: int
    staged: int
    deliveries: int
    succeeded: int
    failed: int
    dropped: int
    expired: int
    cancelled: int
    retried: int
    returned: int
    pending: int


@attrs.frozen(kw_only=True)
class SubscriptionStats:
    """Counters of one subscription at one moment.

    `accepted` is always the sum of `succeeded`, `failed`, `dropped`, `expired`, `cancelled`, `returned` and `pending`.

    Attributes:
        accepted: Deliveries taken in.
        retried: Attempts that were made again.
        returned: Deliveries that went back to the store of a durable module, to be handled later or elsewhere.
        pending: Deliveries not settled: waiting, in hand, in line or until their next attempt.
        waiting: Deliveries in the mailbox.
        in_line: Deliveries that wait for room in the mailbox.
        in_hand: Deliveries that the handler has now.
        stuck: Workers whose handler goes on although its attempt was cancelled; see `Subscriber.timeout`.
        paused: Whether it was paused by `Subscription.pause`.
        breaker: The state of its breaker: `closed`, `open` or `probing`; None where it has none.
        restarts: Fresh instances that were made by supervision, or are about to be.
        high_water_mark: The most that the mailbox ever held.
        busy_seconds: Time spent in the handler.
        waited_seconds: Time spent in the mailbox by the deliveries that succeeded, all together.
    """

    accepted: int
    succeeded: int
    failed: int
    dropped: int
    expired: int
    cancelled: int
    retried: int
    returned: int
    pending: int
    waiting: int
    in_line: int
    in_hand: int
    stuck: int
    paused: bool
    breaker: str | None
    restarts: int
    high_water_mark: int
    busy_seconds: float
    waited_seconds: float

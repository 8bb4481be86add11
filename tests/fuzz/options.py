"""What every option may well be, so that one that may not be stands among sound ones."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from postroom import (
    Actor,
    Batch,
    Breaker,
    Context,
    Event,
    Policy,
    Rate,
    Retry,
    Supervision,
    constant,
    exponential,
    on,
    subscriber,
)

from .nasties import nasty

Given = dict[str, Any]
Good = Mapping[str, Callable[[Random], Any]]


async def handler(event: Event) -> None: ...
async def with_context(event: Event, context: Context) -> None: ...
def plain(event: Event) -> None: ...
async def interceptor(context: Context, call_next: Callable[[], Any]) -> Any: ...


class Till(Actor):
    """An actor."""

    @on("n")
    async def handle(self, event: Event) -> None: ...


declared: Final = subscriber("n", name="declared")(handler)


def one_of(*values: Any) -> Callable[[Random], Any]:
    """A choice."""
    return lambda random: random.choice(values)


NAME: Final = one_of("n", "order.placed", "a.b.c", "order-1_x")
PATTERN: Final = one_of("n", "*", "**", "order.*", "a.**")
SECONDS: Final = one_of(0.001, 1, 2.5, 100)
COUNT: Final = one_of(1, 2, 100)

EMIT: Final[Good] = {
    "key": one_of("k", "l", None),
    "headers": one_of({"a": "b"}, {}, None),
    "id": lambda random: f"id-{random.randrange(50)}",
    "priority": one_of("critical", "high", "default", "low", "lowest"),
    "delay": one_of(0, 0.5, -1, None),
    "expires_after": SECONDS,
    "require": one_of(True, False),
    "group": one_of("g", "h"),
    "attempts": COUNT,
    "backoff": one_of(constant(1), exponential(1)),
    "timeout": SECONDS,
    "quiet": one_of(True, False),
}

SUBSCRIBER: Final[Good] = {
    "capacity": COUNT,
    "overflow": one_of("wait", "drop_oldest", "drop_newest", "coalesce"),
    "concurrency": COUNT,
    "batch": one_of(None, Batch(size=2)),
    "retry": one_of(Retry(), Retry(attempts=3)),
    "timeout": one_of(None, 1.0),
    "quiet": one_of(None, True),
    "supervision": one_of(None, Supervision()),
    "breaker": one_of(None, Breaker()),
    "rate": one_of(None, Rate(10)),
    "name": NAME,
}

RUNTIME: Final[Good] = {
    "subscribers": one_of((), [declared], (Till,)),
    "drain_within": SECONDS,
    "cleanup_within": SECONDS,
    "watchdog": one_of(None, 1.0),
    "dead_letter_limit": COUNT,
    "interceptors": one_of((), [interceptor]),
    "portable": one_of(True, False),
    "defaults": one_of(Policy(), Policy(attempts=2)),
    "causation_depth": COUNT,
}

POLICY: Final[Good] = {name: EMIT[name] for name in ("attempts", "backoff", "timeout", "quiet")}
RETRY: Final[Good] = {"attempts": COUNT, "backoff": EMIT["backoff"], "on": one_of(Exception, (ValueError, KeyError))}
BREAKER: Final[Good] = {"failures": COUNT, "within": SECONDS, "probe_after": SECONDS, "on": RETRY["on"]}
RATE: Final[Good] = {"attempts": COUNT, "per": SECONDS, "burst": COUNT}
BATCH: Final[Good] = {"size": COUNT, "within": SECONDS}
SUPERVISION: Final[Good] = {
    "on": one_of({}, {ValueError: "stop"}),
    "default": one_of("resume", "restart", "stop", "escalate"),
    "intensity": one_of(0, 3),
    "within": SECONDS,
    "beyond": one_of("stop", "escalate"),
    "backoff": one_of(None, constant(1)),
}
SIBLINGS: Final[Good] = {
    "members": one_of([Till], (Till,)),
    "strategy": one_of("one_for_one", "one_for_all", "rest_for_one"),
    "intensity": one_of(0, 3),
    "within": SECONDS,
    "beyond": one_of("stop", "escalate"),
}
EVENT: Final[Good] = {
    "name": NAME,
    "data": one_of(None, 1, {"a": [1, "b"]}),
    "time": one_of(None, 1.0),
    "accepted_at": one_of(None, None, 1.0),
    **{name: good for name, good in EMIT.items() if name not in ("require", "group", "id")},
    "id": one_of("", "e"),
}


def some(random: Random, good: Good, *, always: tuple[str, ...] = (), unknown: bool = False) -> Given:
    """Some of the options, all but one or two of them sound; with `unknown` now and then one that does not exist."""
    names = [name for name in good if name in always or random.random() < 0.3]
    given = {name: good[name](random) for name in names}
    for _ in range(random.choice((0, 1, 1, 1, 2))):
        given[random.choice(list(good))] = nasty(random)
    if unknown and random.random() < 0.03:
        given["no_such_option"] = 1
    return given

"""The table of what is measured, beside what, and with which goal.

Only what postroom has had from its first version is used here: `--against` runs this with older ones.
"""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from postroom import Retry, exponential

from .sides import (
    Side,
    floor_acknowledged,
    floor_bursts,
    floor_singly,
    floor_stream,
    postroom_acknowledged,
    postroom_bursts,
    postroom_singly,
    postroom_stream,
    with_few,
)
from .workload import Size, never_seen, one_name, one_of_many_names, spread

BUS: Final = "hand-written bus"


@attrs.frozen
class Goal:
    """The largest ratio that is good enough; None where nobody has set one.

    Attributes:
        first: For the first version.
        on_trio: For good, on trio.
        on_asyncio: For good, on asyncio; uvloop is held to it too.
    """

    first: float | None = None
    on_trio: float | None = None
    on_asyncio: float | None = None

    def final(self, backend: str) -> float | None:
        """The goal that counts in the end."""
        return self.on_trio if backend == "trio" else self.on_asyncio


@attrs.frozen(kw_only=True)
class Scenario:
    """One comparison.

    Attributes:
        name: For `--only`.
        title: For people.
        beside: What the floor is.
        per: What one operation is, `event` or `delivery`.
        table: The heading under which it is shown.
    """

    name: str
    title: str
    floor: Side
    postroom: Side
    size: Size
    beside: str = BUS
    per: str = "event"
    goal: Goal = attrs.field(factory=Goal)
    table: str = "ratios to the floor"

    def operations(self, size: Size) -> int:
        """How many operations a turn of that size has."""
        return size.events * size.subscribers if self.per == "delivery" else size.events


FEATURES: Final[Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
    "retry": ({"retry": Retry(attempts=5, backoff=exponential(0.1, limit=30))}, {}),
    "timeout": ({"timeout": 30.0}, {}),
    "key": ({}, {"key": "k"}),
    "key-and-workers": ({"concurrency": 4}, {"key": "k"}),
    "priority": ({}, {"priority": "high"}),
}
"""Options of the subscriber and of the emit that put a feature to use; nothing fails or times out meanwhile."""


def _with_and_without(feature: str, options: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Scenario:
    subscriber, emit = options
    return Scenario(
        name=f"with-{feature}",
        title=f"emit until handled, with {feature.replace('-', ' ')}",
        floor=postroom_stream(one_name),
        postroom=postroom_stream(one_name, subscriber=subscriber, emit=emit),
        size=Size(20_000),
        beside=f"postroom without {feature.replace('-', ' ')}",
        table="what a feature costs where it is used",
    )


SCENARIOS: Final = (
    Scenario(
        name="emit",
        title="emit until handled",
        floor=floor_stream(one_name),
        postroom=postroom_stream(one_name),
        size=Size(20_000),
        goal=Goal(0.6, 0.40, 0.40),
    ),
    Scenario(
        name="emit-nowait",
        title="emit_nowait until handled, in bursts",
        floor=floor_stream(one_name),
        postroom=postroom_bursts(one_name),
        size=Size(20_000),
        beside=f"{BUS}, awaited send",
        goal=Goal(0.6, 0.40, 0.40),
    ),
    Scenario(
        name="emit-nowait-both",
        title="emit_nowait until handled, in bursts",
        floor=floor_bursts(one_name),
        postroom=postroom_bursts(one_name),
        size=Size(20_000),
        beside=f"{BUS}, send_nowait",
    ),
    Scenario(
        name="acknowledged",
        title="acknowledged emits, one at a time",
        floor=floor_acknowledged(one_name),
        postroom=postroom_acknowledged(one_name),
        size=Size(6_000),
        goal=Goal(1.5, 1.1, 1.3),
    ),
    Scenario(
        name="fan-out",
        title="fan-out to 100 subscribers, emitted in a row",
        floor=floor_stream(one_name),
        postroom=postroom_stream(one_name),
        size=Size(100, 100),
        per="delivery",
        goal=Goal(None, 0.35, 0.35),
    ),
    Scenario(
        name="fan-out-singly",
        title="fan-out to 100, one event at a time",
        floor=floor_singly(one_name),
        postroom=postroom_singly(one_name),
        size=Size(100, 100),
        per="delivery",
        goal=Goal(None, 0.35, 0.35),
    ),
    Scenario(
        name="fan-out-acknowledged",
        title="acknowledged fan-out to 100, one at a time",
        floor=floor_acknowledged(one_name),
        postroom=postroom_acknowledged(one_name),
        size=Size(100, 100),
        per="delivery",
    ),
    Scenario(
        name="names",
        title="1,000 names of which one matches",
        floor=floor_stream(one_of_many_names),
        postroom=postroom_stream(one_of_many_names),
        size=Size(20_000, 1_000),
        goal=Goal(None, 0.45, 0.45),
    ),
    Scenario(
        name="actors",
        title="2,000 actors, events spread over them",
        floor=floor_stream(spread),
        postroom=postroom_stream(spread),
        size=Size(20_000, 2_000),
        goal=Goal(None, 0.45, 0.45),
    ),
    Scenario(
        name="routes",
        title="one match among 10,000 subscriptions",
        floor=with_few(postroom_stream(one_of_many_names), 10),
        postroom=postroom_stream(one_of_many_names),
        size=Size(10_000, 10_000),
        beside="postroom, among 10",
        goal=Goal(None, 1.2, 1.2),
    ),
    Scenario(
        name="routes-new-names",
        title="the same, a name never seen before each time",
        floor=with_few(postroom_stream(never_seen), 10),
        postroom=postroom_stream(never_seen),
        size=Size(10_000, 10_000),
        beside="postroom, among 10",
        goal=Goal(None, 1.2, 1.2),
    ),
    *(_with_and_without(feature, options) for feature, options in FEATURES.items()),
)

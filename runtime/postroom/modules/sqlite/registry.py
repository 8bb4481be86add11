"""Who subscribes to what and who serves it, as the file says; read again only when that has changed."""

from typing import Final

import apsw
import attrs
import msgspec

from postroom.names import tokens_of_pattern
from postroom.routes import MOST_NAMES_REMEMBERED, Routes

_SUBSCRIPTIONS: Final = """
SELECT id, name, patterns, backlog, overflow, paused, interval, burst
FROM subscriptions LEFT JOIN rates ON subscription = id ORDER BY id
"""

_patterns: Final = msgspec.json.Decoder(tuple[str, ...])


def droppable(backlog: int | None, overflow: str) -> int | None:
    """What marks the deliveries of a subscription that overflow may drop."""
    return None if backlog is None else {"drop_oldest": 1, "coalesce": 2}.get(overflow)


@attrs.frozen(eq=False)
class Known:
    """A subscription that is registered.

    Attributes:
        bounded: How many may wait for it; None for any number.
        interval, burst: Of its rate; `interval` is None where it has none.
        droppable: 1 where the oldest that waits may be dropped, 2 where the newest of a key; else None.
    """

    id: int
    name: str
    patterns: tuple[str, ...]
    bounded: int | None
    overflow: str
    paused: bool
    interval: float | None = None
    burst: int = 1
    droppable: int | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "droppable", droppable(self.bounded, self.overflow))


@attrs.frozen(eq=False)
class Match:
    """Who gets events of one name.

    Attributes:
        names: Of the subscriptions, in the order of their registration.
        bounded: Those that have a backlog.
        alone: The one that gets them, where it is the only one, and has no backlog.
    """

    targets: tuple[Known, ...]
    names: tuple[str, ...] = attrs.field(init=False)
    bounded: tuple[Known, ...] = attrs.field(init=False)
    alone: Known | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(each.name for each in self.targets))
        object.__setattr__(self, "bounded", tuple(each for each in self.targets if each.bounded is not None))
        is_alone = len(self.targets) == 1 and not self.bounded
        object.__setattr__(self, "alone", self.targets[0] if is_alone else None)


@attrs.define(eq=False)
class Registry:
    """What was read at one version of the registry.

    Attributes:
        sessions: Names of those that live, by their ids.
        lingering: Ids of those whose lease has run out, and that may come back.
        servers: Ids of the sessions that serve a subscription, by its id.
    """

    version: int
    routes: Routes[Known] = attrs.field(factory=Routes)
    by_name: dict[str, Known] = attrs.field(factory=dict)
    by_id: dict[int, Known] = attrs.field(factory=dict)
    sessions: dict[int, str] = attrs.field(factory=dict)
    lingering: set[int] = attrs.field(factory=set)
    servers: dict[int, list[int]] = attrs.field(factory=dict)
    _matches: dict[str, Match] = attrs.field(factory=dict)

    def match(self, name: str) -> Match:
        """Who gets events of this name."""
        found = self._matches.get(name)
        if found is None:
            if len(self._matches) >= MOST_NAMES_REMEMBERED:
                self._matches.clear()
            found = self._matches[name] = Match(self.routes.match(name))
        return found


def read_registry(db: apsw.Connection, version: int) -> Registry:
    """The registry as it is in this transaction."""
    registry = Registry(version)
    for id, name, patterns, backlog, overflow, paused, interval, burst in db.execute(_SUBSCRIPTIONS):
        known = Known(id, name, _patterns.decode(patterns), backlog, overflow, bool(paused), interval, burst or 1)
        registry.by_name[name] = known
        registry.by_id[id] = known
        registry.routes.add(tuple(tokens_of_pattern(pattern) for pattern in known.patterns), known)
    for session, name, over_at in db.execute("SELECT id, name, over_at FROM sessions"):
        if over_at is None:
            registry.sessions[session] = name
        else:
            registry.lingering.add(session)
    for session, subscription in db.execute("SELECT session, subscription FROM serves ORDER BY session"):
        registry.servers.setdefault(subscription, []).append(session)
    return registry

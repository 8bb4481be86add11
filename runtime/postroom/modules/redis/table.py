"""Who subscribes to what, as the store had it at one version; and events, with whom they go to, for a script.

Patterns are matched here, since that is quick here; the script that publishes checks that the version is still the
store's, so who receives an event is decided there, at one moment.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import msgspec

from postroom.codec import encode_outcome
from postroom.contract import Binding
from postroom.names import tokens_of_pattern
from postroom.outcomes import Dropped
from postroom.routes import MOST_NAMES_REMEMBERED, Routes

DROPPING: Final = {"drop_oldest", "drop_newest", "coalesce"}
INDEXED: Final = {"drop_oldest", "coalesce"}
"""Policies that look for a certain one among those that wait."""

REASONS: Final = {
    "coalesce": "a newer one of the same key took its place (overflow: coalesce)",
    "drop_newest": "the backlog was full (overflow: drop_newest)",
    "drop_oldest": "the backlog was full, and a newer one took its place (overflow: drop_oldest)",
}

_MARK: Final = 1_999_999_999


class Registered(msgspec.Struct, frozen=True, array_like=True):
    """A subscription, as it is written in the store."""

    name: str
    patterns: tuple[str, ...]
    backlog: int | None
    overflow: str


def registered_of(binding: Binding) -> Registered:
    """How a binding is written."""
    return Registered(binding.name, binding.patterns, binding.backlog, binding.overflow)


def is_indexed(binding: Binding) -> bool:
    """Whether its deliveries are kept by age as well."""
    return binding.backlog is not None and binding.overflow in INDEXED


def rate_of(binding: Binding) -> str | bool:
    """How a rate is written: microseconds between two attempts, and how many may begin at once; False for none."""
    return False if binding.interval is None else f"{max(1, round(binding.interval * 1_000_000))}:{binding.burst}"


@attrs.frozen(eq=False)
class Target:
    """A subscription, as a script takes it.

    Attributes:
        fields: For the script. Where it drops: the outcome of what is dropped, before and after its attempts.
    """

    sid: int
    name: str
    fields: tuple[Any, ...]


@attrs.frozen(eq=False)
class Match:
    """Who gets events of one name."""

    targets: tuple[Target, ...]
    names: tuple[str, ...]


@attrs.define(eq=False)
class Table:
    """The routes at one version."""

    version: int
    _routes: Routes[Target] = attrs.field(factory=Routes, init=False)
    _matches: dict[str, Match] = attrs.field(factory=dict, init=False)

    def add(self, sid: int, own: Registered) -> None:
        """Take up a subscription; in the order of their registration."""
        fields: tuple[Any, ...] = (sid, own.name, False, own.overflow)
        if own.backlog is not None:
            before, after = _halves(own) if own.overflow in DROPPING else ("", "")
            fields = (sid, own.name, own.backlog, own.overflow, before, after)
        self._routes.add(tuple(tokens_of_pattern(each) for each in own.patterns), Target(sid, own.name, fields))

    def match(self, name: str) -> Match:
        """Who gets events of this name."""
        found = self._matches.get(name)
        if found is None:
            if len(self._matches) >= MOST_NAMES_REMEMBERED:
                self._matches.clear()
            targets = self._routes.match(name)
            found = self._matches[name] = Match(targets, tuple(each.name for each in targets))
        return found


def table_of(version: int, subscriptions: Iterable[tuple[int, Registered]]) -> Table:
    """The table of what the store has told."""
    table = Table(version)
    for sid, own in sorted(subscriptions, key=lambda each: each[0]):
        table.add(sid, own)
    return table


def _halves(own: Registered) -> tuple[str, str]:
    """The outcome of a dropped delivery, before and after the number of its attempts, which the store knows."""
    text = encode_outcome(Dropped(own.name, REASONS[own.overflow], _MARK, 0.0)).decode()
    before, _, after = text.partition(str(_MARK))
    return before, after


@attrs.define(eq=False)
class Directory:
    """The targets of one call, each once: what a script takes beside the events."""

    table: Table
    targets: list[tuple[Any, ...]] = attrs.field(factory=list, init=False)
    sets: list[list[int]] = attrs.field(factory=list, init=False)
    _positions: dict[int, int] = attrs.field(factory=dict, init=False)
    _by_name: dict[str, tuple[int, Match]] = attrs.field(factory=dict, init=False)

    def find(self, name: str) -> tuple[int, Match]:
        """The number of the set of who gets events of a name, from 1 as in Lua; and who that is."""
        found = self._by_name.get(name)
        if found is None:
            match = self.table.match(name)
            self.sets.append(self._positions_of(match.targets))
            found = self._by_name[name] = (len(self.sets), match)
        return found

    def _positions_of(self, targets: Sequence[Target]) -> list[int]:
        positions = []
        for target in targets:
            position = self._positions.get(target.sid)
            if position is None:
                self.targets.append(target.fields)
                position = self._positions[target.sid] = len(self.targets)
            positions.append(position)
        return positions

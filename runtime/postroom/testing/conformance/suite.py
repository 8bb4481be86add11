"""The suite: which checks are for which module."""

from collections.abc import Collection, Iterable

from postroom.capabilities import Capability

from . import (
    backlogs,
    deduplication,
    delivering,
    endings,
    failing,
    groups,
    keys,
    loans,
    numbered,
    operating,
    processes,
    rates,
    roles,
    runs_beginning,
    runs_ending,
    runs_lending,
    runs_writing,
    subscriptions,
    telling,
)
from .check import Check
from .refusals import refusals

MODULES = (
    delivering,
    failing,
    keys,
    deduplication,
    groups,
    backlogs,
    rates,
    subscriptions,
    endings,
    processes,
    roles,
    loans,
    numbered,
    telling,
    operating,
    runs_beginning,
    runs_lending,
    runs_writing,
    runs_ending,
)


def checks(
    capabilities: Iterable[Capability],
    *,
    has_store: bool = True,
    kills: bool = False,
    stalls: bool = False,
    forgets: bool = False,
) -> list[Check]:
    """The checks for a module, one for each promise.

    Args:
        capabilities: What the module declares. What it does not is checked to be refused.
        has_store: Whether it keeps events in a store, as all do but Local.
        kills, stalls, forgets: Whether the worlds that the checks will get can show that.
    """
    declared = frozenset(capabilities)
    suitable = [each for each in all_checks() if each.suits(declared, has_store, kills, stalls, forgets)]
    return [*suitable, *refusals(declared, has_store)]


def all_checks() -> Collection[Check]:
    """Every check of a promise, in the order of the files."""
    return [thing for module in MODULES for thing in vars(module).values() if isinstance(thing, Check)]

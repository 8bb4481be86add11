"""Capabilities: what an event module can promise, declared, so that asking for more is an error at the door."""

import enum
from collections.abc import Collection, Iterable
from typing import Any, Final

import attrs

from .errors import InvalidOption, Rejected


class Capability(enum.StrEnum):
    """One thing that a module promises."""

    DURABLE = "durable"
    """An event that was accepted survives the end of its process."""
    SHARED = "shared"
    """Several processes work on the same events at the same time, and acknowledgements cross between them."""
    NOWAIT = "nowait"
    """An event is accepted without waiting: `emit_nowait`. Local alone has it: a store has to be asked."""
    DELAY = "delay"
    """An event may be due later."""
    PRIORITY = "priority"
    """Events have head starts."""
    KEYS = "keys"
    """Events of one key are handled in order, one at a time."""
    DEDUPLICATION = "deduplication"
    """The same id within a window is the same event."""
    GROUPS = "groups"
    """Events are staged, and released or cleared together."""
    BACKLOG = "backlog"
    """What waits for a subscription may be bounded beyond its mailboxes."""
    RATES = "rates"
    """A subscription's rate holds for all its processes together."""
    WORKFLOWS = "workflows"
    """It keeps a journal of workflows (`postroom.journal`)."""


@attrs.define
class Unsupported(Rejected):
    """The runtime's event module does not promise what was asked for. Nothing was done."""

    module: str
    capability: str
    wanted_by: str

    def __str__(self) -> str:
        return (
            f"{self.wanted_by} needs the capability {self.capability!r}, which the event module {self.module!r} does "
            "not have. Leave it out, or use a module that has it."
        )


def as_capabilities(value: Any) -> frozenset[Capability]:
    """A set of capabilities, by their names or as members.

    Raises:
        InvalidOption: something in it is none.
    """
    known = ", ".join(Capability)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidOption("requires", value, f"must be a set of capabilities: {known}")
    try:
        return frozenset(Capability(each) for each in value)
    except ValueError:
        raise InvalidOption("requires", value, f"must hold capabilities only: {known}") from None


def check_capability(module: str, has: Collection[Capability], wanted: Capability, by: str) -> None:
    """Raises Unsupported where a module does not have what is `wanted`."""
    if wanted not in has:
        raise Unsupported(module, wanted.value, by)


OF_OPTIONS: Final = {
    "delay": Capability.DELAY,
    "priority": Capability.PRIORITY,
    "key": Capability.KEYS,
    "id": Capability.DEDUPLICATION,
    "group": Capability.GROUPS,
}
"""What options of an emit need."""

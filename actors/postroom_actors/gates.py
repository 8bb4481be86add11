"""Gates: what decides whether anything may be taken from a mailbox now.

A gate stands before the lanes (see `lanes`), so a mailbox without gates knows nothing of them, and one that is shut
keeps filling, in order, and holds its writers back as any other.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:  # hands take from mailboxes, which have gates: only the types go round
    from .actor import Hand


class Gate(Protocol):
    """Something that lets messages through or does not. Whoever opens one calls `Mailbox.reopened`."""

    @property
    def held_by(self) -> "Hand[Any] | None":
        """The hand that has to be done before it opens; None where it is open, or time or somebody else opens it."""
        ...

    def is_open(self) -> bool:
        """Whether one message may be taken now."""
        ...

    def passed(self) -> None:
        """One message was taken."""
        ...


@attrs.define(eq=False)
class Shut:
    """A gate that lets nothing through for as long as it stands."""

    held_by: None = attrs.field(default=None, init=False)

    def is_open(self) -> bool:
        return False

    def passed(self) -> None:
        raise AssertionError("nothing passes a gate that is shut")


def all_open(gates: Sequence[Gate]) -> bool:
    """Whether every gate lets a message through."""
    return all(gate.is_open() for gate in gates)

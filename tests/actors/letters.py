"""What the kernel's tests put into mailboxes, and an owner that writes down what it is told."""

import math

import attrs

from postroom_actors import Order, Owner


@attrs.frozen(kw_only=True)
class Letter:
    """A message with its place in order."""

    number: int
    rank: float = 0.0
    key: str | None = None
    expires_at: float = math.inf
    urgent: bool = False


@attrs.define(eq=False)
class Clerk(Owner[Letter]):
    """Writes down what becomes of letters that are not taken.

    Attributes:
        hands: Letters that were taken and are not finished.
    """

    hands: list[Letter] = attrs.field(factory=list)
    drops: list[tuple[int, str]] = attrs.field(factory=list)
    expirations: list[int] = attrs.field(factory=list)
    refusals: list[int] = attrs.field(factory=list)

    def in_hand(self) -> list[Letter]:
        return self.hands

    def order_of(self, message: Letter) -> Order:
        return Order(message.rank, message.key, message.expires_at, message.urgent)

    def dropped(self, message: Letter, reason: str) -> None:
        self.drops.append((message.number, reason))

    def expired(self, message: Letter) -> None:
        self.expirations.append(message.number)

    def refused(self, message: Letter) -> None:
        self.refusals.append(message.number)

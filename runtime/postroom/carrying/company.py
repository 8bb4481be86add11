"""Who else serves what this process serves, and so which waits of its handlers may end from outside.

What nobody else serves comes about here or not at all: by the workers of this process, as far as they get something
to do. A worker that is idle gets nothing more where all that it may hold waits behind keys.
"""

from collections.abc import Sequence
from typing import Any

import attrs

from postroom_actors import Every, Hand, Need, Wait, find_circle

from ..behaviour import SubscriptionBehaviour
from ..contract import StoredSubscription
from ..deadlock import ROOM, refuse_circles
from ..loans import LoanReceipt
from ..needs import held_keys, need_to_settle
from ..receipt import Receipt
from .fetching import Fetcher
from .receipts import NOBODY


@attrs.define(eq=False)
class Company:
    """The other processes, as one session knows them.

    Attributes:
        elsewhere: Subscriptions that they serve, as far as is known.
        patterns: What each subscription subscribes to, likewise.
    """

    session: str
    fetcher: Fetcher
    elsewhere: frozenset[str] = attrs.field(default=frozenset(), init=False)
    patterns: dict[str, tuple[str, ...]] = attrs.field(factory=dict, init=False)

    def learn(self, found: Sequence[StoredSubscription]) -> None:
        """See who serves what by now. Where others have gone, handlers may have come to wait for each other."""
        self.patterns = {each.name: each.patterns for each in found}
        before = self.elsewhere
        self.elsewhere = frozenset(each.name for each in found if set(each.served_by) - {self.session})
        if before - self.elsewhere:
            refuse_circles(hand for each in self.fetcher.served.values() for hand in each.actor.hands)

    def need(self, name: str, receipt: Receipt) -> Need:
        """Who must move before a delivery settles; nobody, where another process may handle it, now or later."""
        behaviour = self._alone(name)
        if behaviour is None:
            return NOBODY
        need = need_to_settle(behaviour.actor, receipt)
        if any(_is_of(delivery.receipt, receipt) for delivery in behaviour.in_hand() + behaviour.mailbox.waiting()):
            return need
        return Every((*need.needs, *self._needs_to_fetch(behaviour)))

    def patterns_of(self, name: str) -> tuple[str, ...] | None:
        """What a subscription subscribes to, so that others wait behind those who wait for room; None if not known.

        Nobody does where an event takes the place of another one of its key, which needs no room.
        """
        served = self.fetcher.served.get(name)
        if served is not None and served.subscriber.overflow == "coalesce":
            return ()
        return self.patterns.get(name) if served is None else served.subscriber.patterns

    def room_in(self, name: str) -> Wait:
        """A wait for room in a backlog."""

        def needs() -> Sequence[Need]:
            behaviour = self._alone(name)
            return () if behaviour is None else [behaviour.actor, *self._needs_to_fetch(behaviour)]

        return Wait(ROOM, f"room in the backlog of {name}", needs)

    def look_at(self, behaviour: SubscriptionBehaviour) -> None:
        """One that asks for nothing more: its handlers may have come to wait for what it would get next.

        They are told if so. Where one of them can go on they all can, in time, so the first stands for all; but of one
        that leaves each keeps it from its end.
        """
        if behaviour.leaving is not None:
            refuse_circles(hand for each in self.fetcher.served.values() for hand in each.actor.hands)
            return
        hands = [hand for hand in behaviour.actor.hands if hand.message is not None]
        first = hands[0].wait if hands else None
        if (
            first is not None
            and all(hand.wait is not None for hand in hands)
            and self._alone(behaviour.name) is behaviour
            and self._needs_to_fetch(behaviour)
            and find_circle(hands[0], first) is not None
        ):
            refuse_circles(hands)

    def _alone(self, name: str) -> SubscriptionBehaviour | None:
        return None if name in self.elsewhere else self.fetcher.served.get(name)

    def _needs_to_fetch(self, behaviour: SubscriptionBehaviour) -> list[tuple[Hand[Any], ...]]:
        """Who must move before more is asked for, beside that somebody takes it; nobody, where time may help."""
        actor = behaviour.actor
        if behaviour.leaving is not None:  # the next one of its name may fetch, after its end
            if self.fetcher.is_settling or self._has_more_than_its_hands(behaviour):
                return []
            return [(hand,) for hand in actor.hands if hand.message is not None]
        if not self.fetcher.is_sated(behaviour.name) or actor.mailbox.has_mail:
            return []
        held = held_keys(actor)
        if any(delivery.event.key not in held for delivery in actor.mailbox.waiting()):
            return []  # behind a gate, or behind what waits for its next attempt
        return [tuple(hand for hand in actor.hands if hand.message is not None)]

    def _has_more_than_its_hands(self, behaviour: SubscriptionBehaviour) -> bool:
        """Whether something that was lent is neither in hand nor in the mailbox: it waits for its next attempt."""
        held = behaviour.in_hand() + behaviour.mailbox.waiting()
        tokens = {each.receipt.token for each in held if isinstance(each.receipt, LoanReceipt)}
        return any(name == behaviour.name and token not in tokens for token, name in self.fetcher.loans.items())


def _is_of(own: Receipt, receipt: Receipt) -> bool:
    return own.event.id == receipt.event.id

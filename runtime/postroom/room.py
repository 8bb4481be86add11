"""Room for what is about to be emitted: refused where the wait for it would close a circle."""

from collections.abc import Iterable

from postroom_actors import Port, SingleNeed, Wait

from .behaviour import SubscriptionBehaviour
from .deadlock import ROOM, check, own_hand
from .event import Event
from .needs import needs_of_delay, needs_of_room


def check_room(port: Port, wanted: Iterable[tuple[Event, tuple[SubscriptionBehaviour, ...]]]) -> None:
    """Before anything is placed: raises WouldDeadlock where the caller would wait in a circle for room.

    Args:
        wanted: The events, in order, each with the subscriptions that it is for.
    """
    hand = own_hand(port)
    if hand is None:
        return
    keys: dict[SubscriptionBehaviour, list[str | None]] = {}
    needed: dict[SubscriptionBehaviour, list[SingleNeed]] = {}
    for event, targets in wanted:
        for target in targets:
            if event.delay is None:
                keys.setdefault(target, []).append(event.key)
            elif target not in needed and (needs := needs_of_delay(target.actor, target.delays)):
                needed[target] = needs
    for target, coming in keys.items():
        if target.mailbox.would_wait(*coming):
            needed[target] = [*needed.get(target, ()), *needs_of_room(target.actor, coming)]
    if needed:
        label = f"room in {', '.join(target.name for target in needed)}"
        check(hand, Wait(ROOM, label, lambda: [need for needs in needed.values() for need in needs]))

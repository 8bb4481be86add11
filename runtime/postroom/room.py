"""Room for what is about to be emitted: refused where the wait for it would close a circle."""

from collections.abc import Iterable

from postroom_actors import Port, Wait

from .behaviour import SubscriptionBehaviour
from .deadlock import ROOM, check, own_hand
from .event import Event
from .needs import needs_of_room


def check_room(port: Port, wanted: Iterable[tuple[Event, tuple[SubscriptionBehaviour, ...]]]) -> None:
    """Before anything is placed: raises WouldDeadlock where the caller would wait in a circle for room.

    Args:
        wanted: The events, in order, each with the subscriptions that it is for.
    """
    hand = own_hand(port)
    if hand is None:
        return
    keys: dict[SubscriptionBehaviour, list[str | None]] = {}
    for event, targets in wanted:
        if event.delay is None:
            for target in targets:
                keys.setdefault(target, []).append(event.key)
    full = [target for target in keys if target.mailbox.would_wait(*keys[target])]
    if full:
        label = f"room in {', '.join(target.name for target in full)}"
        needs = [need for each in full for need in needs_of_room(each.actor, keys[each])]
        check(hand, Wait(ROOM, label, lambda: needs))

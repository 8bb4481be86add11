"""Who has to move at an actor, before there is room in its mailbox, a delivery settles, or all of them have.

What this asks of the hands in `Actor.hands` is what each holds and whose key that has; the rest is `find_circle`'s.
Where time alone may help, such as while a retry waits, nobody is named: no alarm is better than a false one.
"""

from typing import Any

from postroom_actors import Actor, Hand, Need

from .delivery import Delivery
from .receipt import Receipt


def need_for_room(actor: Actor[Delivery]) -> Need:
    """Whoever could take a message out of the mailbox."""
    mailbox = actor.mailbox
    if mailbox.lanes is None or mailbox.has_mail:
        return actor
    # All that waits is behind keys: a free hand helps nobody, only those who hold such a key do.
    blocked = mailbox.lanes.blocked_keys()
    holders = tuple(hand for hand in actor.hands if _keys_in(hand) & blocked)
    held_here = set[str]().union(*(_keys_in(hand) for hand in holders))
    return holders if blocked <= held_here else ()  # another key is held by a retry that waits for its time


def need_to_settle(actor: Actor[Delivery], receipt: Receipt) -> Need:
    """The hand that holds the delivery of `receipt`; or who must be done before it is taken."""
    for hand in actor.hands:
        if any(delivery.receipt is receipt for delivery in _deliveries_in(hand)):
            return hand
    key, lanes = receipt.event.key, actor.mailbox.lanes
    if key is not None and lanes is not None and lanes.holds(key):
        return tuple(hand for hand in actor.hands if key in _keys_in(hand))
    return actor


def needs_to_settle_all(actor: Actor[Delivery], pending: int) -> list[Need]:
    """Every hand that holds something, and any hand where something waits."""
    busy = [hand for hand in actor.hands if hand.message is not None]
    needs: list[Need] = [*busy]
    if pending > sum(len(_deliveries_in(hand)) for hand in busy):
        needs.append(actor)
    return needs


def _deliveries_in(hand: Hand[Any]) -> list[Delivery]:
    message = hand.message
    if message is None:
        return []
    return message if isinstance(message, list) else [message]


def _keys_in(hand: Hand[Any]) -> set[str]:
    return {delivery.event.key for delivery in _deliveries_in(hand) if delivery.event.key is not None}

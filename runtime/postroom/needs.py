"""Who has to move at an actor, before there is room in its mailbox, a delivery settles, or all of them have.

What this asks of the hands in `Actor.hands` is what each holds, and whose key that has; the rest is `find_circle`'s.
Where time alone may help, such as while a retry waits, nobody is named: no alarm is better than a false one.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from postroom_actors import Actor, Admission, Every, Hand, Overflow, Schedule, SingleNeed

from .delivery import Delivery
from .loans import LoanReceipt
from .receipt import Receipt

Key = str | None


def needs_of_room(actor: Actor[Delivery], coming: Sequence[Key]) -> list[SingleNeed]:
    """Who must move before messages of these keys, put in line behind what is there now, are all in the mailbox."""
    line = [delivery for delivery, _ in actor.mailbox.line]
    return _needs_of_takes(actor, [*_keys_of(line), *coming[:-1]]) if coming else []


def needs_of_admission(actor: Actor[Delivery], admission: Admission) -> list[SingleNeed]:
    """Who must move before what `admission` has in line is in the mailbox."""
    line = list(actor.mailbox.line)
    while line and line[-1][1] is not admission:
        line.pop()
    return _needs_of_takes(actor, _keys_of([delivery for delivery, _ in line[:-1]])) if line else []


def needs_of_delay(
    actor: Actor[Delivery], delays: Schedule[Delivery] | None, admission: Admission | None = None
) -> list[SingleNeed]:
    """Who must move before one more can be delayed, or what `admission` has in line for that.

    Only where some that were delayed stand in line in front of the mailbox; else time makes room.
    """
    if delays is None or not delays.kept or not (delays.has_in_line(admission) if admission else delays.is_full):
        return []
    return _needs_to_take(actor)


def need_to_settle(actor: Actor[Delivery], receipt: Receipt) -> Every:
    """The hand that holds the delivery of `receipt`; or who must be done before it is taken."""
    for hand in actor.hands:
        if any(_is_of(delivery, receipt) for delivery in _deliveries_in(hand)):
            return Every((hand,))
    key, overflow = receipt.event.key, actor.mailbox.overflow
    if overflow is Overflow.DROP_OLDEST or (overflow is Overflow.COALESCE and key is not None):
        return Every(())  # a newer event, from anywhere, may take its place
    needs = _needs_to_take(actor)
    if key is not None and key in held_keys(actor):
        needs.append(tuple(hand for hand in actor.hands if key in _keys_of(_deliveries_in(hand))))
    ahead = list(takewhile(lambda delivery: not _is_of(delivery, receipt), (each for each, _ in actor.mailbox.line)))
    if len(ahead) < len(actor.mailbox.line):
        needs += _needs_of_takes(actor, _keys_of(ahead))
    return Every(tuple(needs))


def _is_of(delivery: Delivery, receipt: Receipt) -> bool:
    """Whether `receipt` waits for this delivery. One out of a store has a receipt of its own, and the same event."""
    own = delivery.receipt
    return own is receipt or (isinstance(own, LoanReceipt) and own.event.id == receipt.event.id)


def needs_to_settle_all(actor: Actor[Delivery], pending: int) -> list[SingleNeed]:
    """Every hand that holds something, and any hand where something waits."""
    busy = [hand for hand in actor.hands if hand.message is not None]
    needs: list[SingleNeed] = [*busy]
    if pending > sum(len(_deliveries_in(hand)) for hand in busy):
        needs += _needs_to_take(actor)
    return needs


def _needs_of_takes(actor: Actor[Delivery], in_line: Sequence[Key]) -> list[SingleNeed]:
    """Who must move before so many messages have been taken that one behind these in line gets in.

    Any hand takes those that are free. Those behind a key that is held are taken only after its holder is done, so a
    free hand does not help where too few others are ahead.
    """
    mailbox = actor.mailbox
    ahead = [*_keys_of(mailbox.waiting()), *in_line]
    if mailbox.overflow is Overflow.COALESCE:  # one of each key is all that will ever need a place
        ahead = [*{key for key in ahead if key is not None}, *(key for key in ahead if key is None)]
    held = held_keys(actor)
    missing = len(ahead) + 1 - mailbox.capacity
    if missing <= 0:
        return []
    behind = {hand: _count(ahead, hand, held) for hand in actor.hands}
    missing -= len(ahead) - sum(behind.values())
    if missing <= 0:
        return _needs_to_take(actor)
    holders = tuple(hand for hand, count in behind.items() if count)
    needed = [hand for hand in holders if sum(behind.values()) - behind[hand] < missing]
    return [*_needs_to_take(actor), holders, *needed]


def _needs_to_take(actor: Actor[Delivery]) -> list[SingleNeed]:
    """Who must move before anything more is taken: any hand, and those that hold gates."""
    return [actor, *(gate.held_by for gate in actor.mailbox.gates if gate.held_by is not None)]


def _count(ahead: Sequence[Key], hand: Hand[Any], held: set[str]) -> int:
    """How many of the messages ahead wait for what `hand` holds. What a retry's key holds back, time sets free."""
    keys = held.intersection(_keys_of(_deliveries_in(hand)))
    return sum(key in keys for key in ahead)


def held_keys(actor: Actor[Delivery]) -> set[str]:
    """The keys of which nothing can be taken now."""
    mailbox = actor.mailbox
    if mailbox.lanes is None and not mailbox.by_key:
        return set()
    keys = {key for hand in actor.hands for key in _keys_of(_deliveries_in(hand)) if key is not None}
    return keys if mailbox.lanes is None else {key for key in keys if mailbox.lanes.holds(key)}


def _deliveries_in(hand: Hand[Any]) -> list[Delivery]:
    message = hand.message
    if message is None:
        return []
    return message if isinstance(message, list) else [message]


def _keys_of(deliveries: Sequence[Delivery]) -> list[Key]:
    return [delivery.event.key for delivery in deliveries]

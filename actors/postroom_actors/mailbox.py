"""Mailboxes: the one way into an actor.

A mailbox is a first-in first-out queue with many writers. It is bounded, so that a slow actor holds back those
who write to it instead of filling memory. Who finds it full waits in line in front of it, first come first
served: the message itself stands in the line, so that whoever takes a message out lets the next one in, without
waking anybody in between, and a writer that goes away can leave its message in its place.

Where a message asks for another order than that, by a priority, a key or an expiry, what waits moves into lanes
(see `lanes`), and back into the plain queue once they are empty: nobody pays for what nobody uses.

Units: capacity counts messages; seconds on the kernel's stopwatch.
Source: the mail queue of Agha, *Actors* (1986), here with a bound.
"""

import enum
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeAlias, TypeVar

import attrs
from attrs.validators import ge

from .admission import ABANDONED, Admission
from .gates import Gate, all_open
from .lanes import Lanes, Order

M = TypeVar("M")

InLine: TypeAlias = tuple[M, Admission | None]
"""A message that waits for room, with the admission it belongs to."""

OLDEST: Final = "the mailbox was full, and a newer one took its place (overflow: drop_oldest)"
NEWEST: Final = "the mailbox was full (overflow: drop_newest)"
REPLACED: Final = "a newer one of the same key took its place (overflow: coalesce)"


class Overflow(enum.Enum):
    """What happens to a message that finds the mailbox full."""

    WAIT = "wait"
    """It waits in line, and so does its writer."""
    DROP_OLDEST = "drop_oldest"
    """It takes the place of the one that has waited longest."""
    DROP_NEWEST = "drop_newest"
    """It is dropped itself."""
    COALESCE = "coalesce"
    """It waits in line; but full or not, it takes the place of one of the same key that still waits."""


class Owner(Generic[M]):
    """What a mailbox tells and asks whoever it belongs to. This one, of a mailbox of its own, takes no notice."""

    __slots__ = ()

    def in_hand(self) -> Iterable[M]:
        """The messages that have been taken and are not finished."""
        return ()

    def order_of(self, message: M) -> Order:
        """Where a message belongs in the lanes."""
        return Order(0.0)

    def dropped(self, message: M, reason: str) -> None:
        """A message was removed for lack of room."""

    def expired(self, message: M) -> None:
        """A message's turn came too late."""

    def refused(self, message: M) -> None:
        """A message came after the mailbox was closed."""

    def reopened(self) -> None:
        """A gate may have opened."""


def _nobody() -> None:
    """A mailbox that no actor serves yet wakes nobody."""


@attrs.define(eq=False, on_setattr=attrs.setters.NO_OP)  # a hook on every count would cost more than the count
class Mailbox(Generic[M]):
    """A bounded queue of messages for one actor, and the line of those that wait for room.

    Attributes:
        owner: Told of what becomes of messages that are not taken.
        capacity: Messages that it holds; those in line and those in hand are not counted.
        by_key: Messages of one key are handled one at a time even without retries: more than one hand takes them.
        queue: The messages, oldest first, while they are in plain order. Never replaced by another object.
        lanes: The messages, while they are not, or there is a gate; the queue is empty then.
        gates: Nothing is taken unless all of them are open.
        line: Messages that wait for room with the admission they belong to, first come first. Not empty only
            while the mailbox is full. A tuple until the first one comes, as few mailboxes ever have one, and an empty
            deque takes 760 bytes.
        room: How many messages `offer` lets into the queue: all, or none while it is not that simple.
        high_water_mark: The largest number of messages that ever stood in the mailbox.
        abandoned: Messages in line whose writer has gone.
        idle_hands: How many of the actor's hands sleep for lack of mail.
        ready: Called at the step from idle to mail, the one place where an actor is woken.
    """

    owner: Owner[M]
    capacity: int = attrs.field(validator=ge(1))
    overflow: Overflow = Overflow.WAIT
    by_key: bool = False
    queue: deque[M] = attrs.field(factory=deque, init=False, repr=False)
    lanes: Lanes[M] | None = attrs.field(default=None, init=False, repr=False)
    gates: list[Gate] = attrs.field(factory=list, init=False, repr=False)
    line: "deque[InLine[M]] | tuple[()]" = attrs.field(default=(), init=False, repr=False)
    room: int = attrs.field(init=False)
    closed: bool = attrs.field(default=False, init=False)
    high_water_mark: int = attrs.field(default=0, init=False)
    abandoned: int = attrs.field(default=0, init=False)
    idle_hands: int = attrs.field(default=0, init=False)
    _just_taken: M | None = attrs.field(default=None, init=False, repr=False)
    ready: Callable[[], None] = attrs.field(default=_nobody, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.room = self.capacity

    def __len__(self) -> int:
        return len(self.queue) if self.lanes is None else len(self.lanes)

    @property
    def gates_are_open(self) -> bool:
        """Whether something could be taken now, if there is something."""
        return all_open(self.gates)

    @property
    def has_mail(self) -> bool:
        """Whether there is something to take now."""
        return bool(self.queue) or (self.lanes is not None and self.lanes.can_take())

    def offer(self, message: M) -> bool:
        """Append `message` if there is room and order is plain; whether that was so, or else `put` must do it."""
        length = len(self.queue)
        if length >= self.room:
            return False
        self.queue.append(message)
        if length >= self.high_water_mark:
            self.high_water_mark = length + 1
        if self.idle_hands:
            self.ready()
        return True

    def put(self, message: M) -> bool:
        """Take `message` in, whatever its order, as the overflow policy says where there is no room.

        Returns:
            Whether that is all; else the message has to stand in line.
        """
        if self.closed:
            self.owner.refused(message)
            return True
        if self.overflow is Overflow.COALESCE:
            if self.line and self._line_has(self.owner.order_of(message).key):
                return False  # behind that one, or it would overtake it in the mailbox, and be replaced by it later
            if self._coalesce(message):
                return True
        if len(self) >= self.capacity:
            if self.overflow is Overflow.DROP_NEWEST:
                self.owner.dropped(message, NEWEST)
                return True
            if self.overflow is not Overflow.DROP_OLDEST:
                return False
            oldest = self.queue.popleft() if self.lanes is None else self.lanes.take_oldest()
            self.owner.dropped(oldest, OLDEST)
        self._append(message)
        return True

    def stand_in_line(self, message: M, admission: Admission | None = None) -> None:
        """Let `message` wait for room; `admission`, where given, is told when it gets in."""
        assert len(self) >= self.capacity, "only a full mailbox has a line"
        if admission is not None:
            admission.stand_in_line(self.abandon)
        line = self.line or deque()
        line.append((message, admission))
        self.line = line

    def put_back(self, message: M) -> None:
        """Take in a message once more that has not been finished.

        One that holds its key, and one that finds no room, needs none. In line it might stand behind what waits for
        somebody who waits for this very message.
        """
        if self.closed:
            self.owner.refused(message)
            return
        order = self.owner.order_of(message)
        holds_key = self.lanes is not None and order.key is not None and self.lanes.holds(order.key)
        if holds_key or not self.put(message):
            self._use_lanes().put_back(message, order)
            self._entered()

    def hand_back(self, message: M) -> None:
        """Take in a message that was taken before, in front of all others, whether there is room or not."""
        if self.closed:
            self.owner.refused(message)
            return
        order = self.owner.order_of(message)
        # In lanes, which know that it has come back: it takes up no room, and is not the one to be dropped for others.
        self._use_lanes(holding=order.key).put_back(message, order, first=True)
        self.reopened()

    def add_gate(self, gate: Gate) -> None:
        """Let nothing more be taken unless `gate`, too, is open."""
        self.gates.append(gate)
        self._use_lanes()

    def remove_gate(self, gate: Gate) -> None:
        """Forget a gate; does nothing where it does not stand."""
        if gate in self.gates:
            self.gates.remove(gate)
            self._leave_lanes()
            self.reopened()

    def reopened(self) -> None:
        """A gate may have opened: wake as many hands as may find something."""
        while self.idle_hands and self.has_mail:
            self.ready()
        self.owner.reopened()

    def would_wait(self, *keys: str | None) -> bool:
        """Whether one of some messages, of these keys and put in one after the other, would have to stand in line."""
        if self.closed or self.overflow in (Overflow.DROP_OLDEST, Overflow.DROP_NEWEST):
            return False
        new = len(keys)
        if self.overflow is Overflow.COALESCE:
            lanes = self.lanes
            if self.line and any(map(self._line_has, keys)):
                return True
            distinct = {key for key in keys if key is not None and not (lanes is not None and lanes.has_waiting(key))}
            new = len(distinct) + keys.count(None)
        return new > 0 and len(self) + new > self.capacity

    def take(self, now: float) -> M | None:
        """Remove the message whose turn it is, and let the first one in line in; None where there is none.

        In lanes the key of the message is held until `release`.
        """
        if self.queue:
            message = self._just_taken = self.queue.popleft()
            if self.line:
                self.admit_next()
            self._just_taken = None
            return message
        while self.lanes is not None and (entry := self.lanes.take()) is not None:
            if self.line:
                self.admit_next()
            if now < entry.order.expires_at:
                for gate in self.gates:
                    gate.passed()
                return entry.message
            if entry.order.key is not None:
                self.lanes.release(entry.order.key)
            self.owner.expired(entry.message)
        self._leave_lanes()
        return None

    def waiting(self) -> list[M]:
        """The messages in it, in no order that means anything."""
        return list(self.queue) if self.lanes is None else self.lanes.waiting()

    def expire(self, batch: list[M], now: float) -> None:
        """Let go of those of `batch`, all of them taken, whose time has passed meanwhile."""
        for message in [each for each in batch if self.owner.order_of(each).expires_at <= now]:
            batch.remove(message)
            key = self.owner.order_of(message).key
            if key is not None:
                self.release(key)
            self.owner.expired(message)

    def admit_next(self) -> None:
        """Let those first in line in, as far as there is room; the caller may just have made some."""
        while self.line and len(self) < self.capacity:  # more than one where one coalesces on its way in
            message, admission = self.line.popleft()
            if not self._coalesce(message):
                self._append(message)
            if admission is not None:
                if admission.abandoned:
                    self.abandoned -= 1
                admission.admit()

    def hold(self, key: str) -> None:
        """Let nothing more of `key` be taken until `release`: a message of it waits to be put back."""
        self._use_lanes(holding=key).hold(key)

    def release(self, key: str) -> None:
        """The message that held `key` is finished."""
        if self.lanes is not None:
            self.lanes.release(key)
            self._leave_lanes()
            if self.idle_hands and self.has_mail:
                self.ready()

    def abandon(self, admission: Admission) -> None:
        """Keep the messages of a writer that goes away in line, as far as the bound on such messages allows.

        Without a bound, writers that come and are cancelled could fill memory one by one. So at most `capacity`
        abandoned messages stay; the newest of `admission` beyond that are dropped.
        """
        kept: deque[InLine[M]] = deque()
        removed: list[M] = []
        for entry in self.line:
            if entry[1] is admission:
                if self.abandoned >= self.capacity:
                    removed.append(entry[0])
                    admission.waiting -= 1
                    continue
                self.abandoned += 1
            kept.append(entry)
        self.line = kept
        for message in removed:
            self.owner.dropped(message, ABANDONED)

    def close(self) -> None:
        """Refuse whatever comes from now on."""
        self.closed = True
        self.room = 0

    def clear(self) -> list[M]:
        """Remove everything, the line included; its writers go on.

        Returns:
            The messages removed, oldest first.
        """
        removed = list(self.queue) if self.lanes is None else self.lanes.clear()
        self.queue.clear()
        while self.line:
            message, admission = self.line.popleft()
            removed.append(message)
            if admission is not None:
                admission.admit()
        self.abandoned = 0
        self._leave_lanes()
        return removed

    def _line_has(self, key: str | None) -> bool:
        """Whether a message of this key stands in line; never of none."""
        return key is not None and any(self.owner.order_of(each).key == key for each, _ in self.line)

    def _coalesce(self, message: M) -> bool:
        """Let `message` take the place of one of its key, where that is the policy; whether it did."""
        if self.overflow is not Overflow.COALESCE or self.lanes is None:
            return False
        replaced = self.lanes.replace(message, self.owner.order_of(message))
        if replaced is None:
            return False
        self.owner.dropped(replaced, REPLACED)
        return True

    def _append(self, message: M) -> None:
        order = self.owner.order_of(message)
        if self.lanes is None and not order.needs_lanes(self.by_key or self.overflow is Overflow.COALESCE):
            self.queue.append(message)
        else:
            self._use_lanes().put(message, order)
        self._entered()

    def _entered(self) -> None:
        length = len(self)
        if length > self.high_water_mark:
            self.high_water_mark = length
        if self.idle_hands and self.has_mail:
            self.ready()

    def _use_lanes(self, holding: str | None = None) -> Lanes[M]:
        """Move from the plain queue into lanes; the keys of messages in hand are held, and `holding`."""
        if self.lanes is None:
            self.lanes = Lanes(self.gates)
            self.room = 0
            taken = [*self.owner.in_hand(), *([] if self._just_taken is None else [self._just_taken])]
            held = {key for message in taken if (key := self.owner.order_of(message).key) is not None}
            for key in held if holding is None else held | {holding}:
                self.lanes.hold(key)
            for message in self.queue:
                self.lanes.put(message, self.owner.order_of(message))
            self.queue.clear()
        return self.lanes

    def _leave_lanes(self) -> None:
        """Move back to the plain queue, if nothing is left in the lanes."""
        if self.lanes is not None and self.lanes.unused:
            self.lanes = None
            self.room = 0 if self.closed else self.capacity

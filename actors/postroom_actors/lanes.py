"""Lanes: the order of what waits in a mailbox when first come is not simply first served.

Messages are taken by rank, a time: when they came in plus their priority's head start. So the order within one
priority is first come first served, and whatever waits long enough is earliest in the end: nothing starves.
Messages of one key form a lane of their own: only its first one can be taken, and no other until that one is
finished. Keys that nobody uses any more leave nothing behind.

Units: ranks and expiry in seconds, on the kernel's stopwatch.
Source: the virtual clock of Zhang (1990) for ranks; keyed lanes as in Kafka's partitions, one for each live key.
"""

import heapq
import itertools
import math
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import attrs

from .gates import Gate, all_open

M = TypeVar("M")


class Order(NamedTuple):
    """Where a message belongs.

    Attributes:
        rank: The smaller, the earlier it is taken.
        key: The lane; None for a message that depends on no other.
        expires_at: It is not worth handling any more from then on.
        urgent: It has another head start than the others, so its rank differs from the order of coming; or what is
            done with it changes what its behaviour does to receive it, which only the reader of lanes looks up anew.
    """

    rank: float
    key: str | None = None
    expires_at: float = math.inf
    urgent: bool = False

    def needs_lanes(self, by_key: bool) -> bool:
        """Whether a plain queue could not keep this order."""
        return self.urgent or self.expires_at != math.inf or (by_key and self.key is not None)


@attrs.define(eq=False)
class Entry(Generic[M]):
    """A message that waits, with its place.

    Attributes:
        number: Counts messages as they came.
        gone: It was removed out of turn; whoever meets it passes on.
        returned: It was taken before, and has come back to be taken again.
    """

    number: int
    message: M
    order: Order
    returned: bool = False
    gone: bool = attrs.field(default=False, init=False)


@attrs.define(eq=False)
class Lanes(Generic[M]):
    """Messages by rank, and within a key one at a time in the order in which they came.

    Attributes:
        gates: Nothing can be taken unless all of them are open. The mailbox's own list.
    """

    gates: Sequence[Gate] = ()
    # Ready to be taken: what has no key, and the first of each lane that nobody holds.
    _heap: list[tuple[float, int, Entry[M]]] = attrs.field(factory=list, init=False, repr=False)
    # A key is here while its first message is in the heap or held; what comes after that one waits in its deque.
    _lanes: dict[str, deque[Entry[M]]] = attrs.field(factory=dict, init=False, repr=False)
    _held: set[str] = attrs.field(factory=set, init=False, repr=False)
    _waiting: "OrderedDict[int, Entry[M]]" = attrs.field(factory=OrderedDict, init=False, repr=False)
    _newest: dict[str, Entry[M]] = attrs.field(factory=dict, init=False, repr=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False, repr=False)
    _returned: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        """How many messages wait. Those that came back are not counted: their keys are held, as if still in hand."""
        return len(self._waiting) - self._returned

    @property
    def unused(self) -> bool:
        """Whether nothing waits, no key is held, and there is no gate."""
        return not self._waiting and not self._lanes and not self.gates

    @property
    def keys(self) -> int:
        """How many keys are alive."""
        return len(self._lanes)

    def put(self, message: M, order: Order) -> None:
        """Append a message to what waits."""
        entry = Entry(next(self._numbers), message, order)
        self._waiting[entry.number] = entry
        key = order.key
        if key is None:
            self._make_ready(entry)
            return
        self._newest[key] = entry
        lane = self._lanes.get(key)
        if lane is None:
            self._lanes[key] = deque()
            self._make_ready(entry)
        else:
            lane.append(entry)

    def put_back(self, message: M, order: Order, *, first: bool = False) -> None:
        """Put the message that holds its key in front of its lane again; with `first`, of all of its rank."""
        number = next(self._numbers)
        entry = Entry(-number if first else number, message, order, returned=True)
        self._returned += 1
        self._waiting[entry.number] = entry
        if order.key is not None:
            self._held.discard(order.key)
            self._lanes.setdefault(order.key, deque())
        self._make_ready(entry)

    def replace(self, message: M, order: Order) -> M | None:
        """Let `message` take the place of the newest one that waits under its key.

        Returns:
            The message that it replaced; None where there was none, and nothing was done.
        """
        entry = None if order.key is None else self._newest.get(order.key)
        if entry is None:
            return None
        replaced, entry.message = entry.message, message
        entry.order = entry.order._replace(expires_at=order.expires_at)
        return replaced

    def has_waiting(self, key: str) -> bool:
        """Whether a message of `key` waits."""
        return key in self._newest

    def can_take(self) -> bool:
        """Whether `take` would find something."""
        heap = self._heap
        if self.gates and not all_open(self.gates):
            return False
        while heap and heap[0][2].gone:
            entry = heapq.heappop(heap)[2]
            if entry.order.key is not None:
                self._advance(entry.order.key)
        return bool(heap)

    def take(self) -> Entry[M] | None:
        """Remove the first message in order; its key, if it has one, is held until `release`."""
        if not self.can_take():
            return None
        entry = heapq.heappop(self._heap)[2]
        self._remove(entry)
        if entry.order.key is not None:
            self._held.add(entry.order.key)
        return entry

    def take_oldest(self) -> M:
        """Remove the message that came first, wherever it stands; one that came back has not come."""
        entry = next(entry for entry in self._waiting.values() if not entry.returned)
        message = entry.message
        self._remove(entry)
        entry.gone = True
        del entry.message  # it may stand in the heap for long
        if len(self._heap) > 2 * len(self._waiting) + 16:
            self._compact()
        return message

    def _compact(self) -> None:
        """Forget what is gone."""
        gone = [item[2] for item in self._heap if item[2].gone]
        self._heap = [item for item in self._heap if not item[2].gone]
        heapq.heapify(self._heap)
        for entry in gone:
            if entry.order.key is not None:
                self._advance(entry.order.key)

    def hold(self, key: str) -> None:
        """Let nothing of `key` be taken until `release`: a message of it has left, and is not finished."""
        if key in self._held:
            return
        self._held.add(key)
        lane = self._lanes.setdefault(key, deque())
        ready = [item for item in self._heap if item[2].order.key == key]
        if ready:  # its first message could have been taken
            self._heap = [item for item in self._heap if item[2].order.key != key]
            heapq.heapify(self._heap)
            lane.extendleft(item[2] for item in ready)

    def holds(self, key: str) -> bool:
        """Whether a message of `key` has left and is not finished."""
        return key in self._held

    def waiting(self) -> list[M]:
        """The messages, as they came."""
        return [entry.message for entry in self._waiting.values()]

    def release(self, key: str) -> None:
        """The message that held `key` is finished."""
        if key in self._held:
            self._held.remove(key)
            self._advance(key)

    def clear(self) -> list[M]:
        """Remove all messages; keys that are held stay so.

        Returns:
            The messages, as they came.
        """
        messages = self.waiting()
        self._heap.clear()
        self._waiting.clear()
        self._returned = 0
        self._newest.clear()
        self._lanes = {key: deque() for key in self._held}
        return messages

    def _make_ready(self, entry: Entry[M]) -> None:
        heapq.heappush(self._heap, (entry.order.rank, entry.number, entry))

    def _remove(self, entry: Entry[M]) -> None:
        del self._waiting[entry.number]
        self._returned -= entry.returned
        key = entry.order.key
        if key is not None and self._newest.get(key) is entry:
            del self._newest[key]

    def _advance(self, key: str) -> None:
        """Make the next message of a lane ready, or forget the lane."""
        lane = self._lanes[key]
        while lane:
            entry = lane.popleft()
            if not entry.gone:
                self._make_ready(entry)
                return
        del self._lanes[key]

"""Emitting: from a call of the user's to an accepted event whose deliveries are in mailboxes."""

import enum
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from postroom_actors import Admission, Kernel, current_hand

from .behaviour import SubscriptionBehaviour
from .clock import Clock
from .deduplication import Deduplication, check_same
from .delivery import Delivery
from .dispatcher import Dispatcher
from .errors import CausationTooDeep, InvalidOption, MailboxFull, RuntimeClosed, WrongThread
from .event import NO_HEADERS, Event, check_id, check_key, checked_headers
from .outcomes import Report
from .receipt import Receipt

Targets = tuple[SubscriptionBehaviour, ...]


class State(enum.Enum):
    """Where a runtime is in its life."""

    NEW = "not entered yet"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


@attrs.define(eq=False)
class Emitter:
    """The emitting half of a runtime; `Runtime` adds its life.

    An event is accepted at one instant: which subscriptions it is for is decided then, and never changes.
    """

    _ids: Callable[[], str] = attrs.field(init=False)
    _clock: Clock = attrs.field(init=False)
    _causation_depth: int = attrs.field(init=False)
    _state: State = attrs.field(default=State.NEW, init=False)
    _thread: int = attrs.field(default=0, init=False)
    _kernel: Kernel = attrs.field(init=False)
    _dispatcher: Dispatcher = attrs.field(init=False)
    _deduplication: Deduplication = attrs.field(factory=Deduplication, init=False)
    _accepted: int = attrs.field(default=0, init=False)

    async def emit(
        self,
        name: str | Event,
        data: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
    ) -> Receipt:
        """Emit an event to every subscription that matches its name.

        Takes the name and its data, or an `Event`. In a handler the new event is linked to the one in hand as its
        cause. Returns once the event is accepted and every matching mailbox has taken it, however long a full one
        takes; await the receipt for the outcomes.

        With an `id` that was accepted before, within 10 minutes, nothing new happens and the first event's
        receipt is returned.

        Raises:
            InvalidName, InvalidOption, ConflictingEvent, CausationTooDeep, WrongThread, RuntimeClosed: nothing
                was accepted.

        Cancellation: noticed where it waits for room, and where it yields because its task has held the loop for
        a millisecond. While it yields nothing has been accepted; while it waits for room the event has been, and
        goes on without its emitter: pass `id` and emit again to learn its fate.
        """
        await self._kernel_of_open_runtime().yield_if_slice_is_over()
        accepted = self._accept(name, data, key, headers, id, None)
        if accepted[1] is not None:
            await self._dispatcher.wait_for_room(accepted[1], accepted[2])
        return accepted[0]

    async def emit_caused(
        self,
        cause: Event,
        name: str | Event,
        data: Any,
        *,
        key: str | None,
        headers: Mapping[str, str] | None,
        id: str | None,
    ) -> Receipt:
        """`emit` with its cause named: what `Context.emit` calls.

        Cancellation: as `emit`.
        """
        await self._kernel_of_open_runtime().yield_if_slice_is_over()
        receipt, admission, targets = self._accept(name, data, key, headers, id, cause)
        if admission is not None:
            await self._dispatcher.wait_for_room(admission, targets)
        return receipt

    async def emit_and_wait(
        self,
        name: str | Event,
        data: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
    ) -> Report:
        """Emit, and wait until every subscription has settled; arguments and errors as `emit`.

        Cancellation: as `emit`, then as `Receipt.wait`: an event that was accepted goes on.
        """
        receipt = await self.emit(name, data, key=key, headers=headers, id=id)
        return await receipt.wait()

    def emit_nowait(
        self,
        name: str | Event,
        data: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
    ) -> Receipt:
        """`emit` without waiting or yielding.

        Raises:
            MailboxFull: a matching mailbox has no room; the event was delivered to nobody.
        """
        receipt, _, _ = self._accept(name, data, key, headers, id, None, must_fit=True)
        return receipt

    async def emit_many(self, events: Iterable[Event]) -> list[Receipt]:
        """Emit several events: all of them are accepted, or none.

        They enter each mailbox in their order, as room permits; other emitters' events may come in between.

        Returns:
            One receipt for each, in the same order, once every mailbox has taken its share.

        Raises:
            As `emit`, for the first event that is refused, with a note of its position; none was accepted.

        Cancellation: while it checks them, nothing is accepted; afterwards all are, as with `emit`.
        """
        checked: list[tuple[Event, Targets, Receipt | None]] = []
        first: dict[str, Event] = {}
        for position, draft in enumerate(events):
            await self._kernel_of_open_runtime().yield_if_slice_is_over()
            try:
                if not isinstance(draft, Event):
                    raise InvalidOption("events", draft, f"must hold Event(…)s, not {type(draft).__name__}")
                event, targets, earlier = self._check(draft, None, None, None, None, None)
                if event.id in first:
                    check_same(first[event.id], event)
                first.setdefault(event.id, event)
            except Exception as error:
                error.add_note(f"in emit_many, event number {position} (from 0); none of them was accepted")
                raise
            checked.append((event, targets, earlier))
        return await self._place_all(checked)

    async def _place_all(self, checked: list[tuple[Event, Targets, Receipt | None]]) -> list[Receipt]:
        """Place events that were checked. They are accepted together, before the first wait."""
        self._check_open()
        now = self._kernel.port.now()
        admission = self._kernel.admission()
        receipts: list[Receipt] = []
        given: dict[str, Receipt] = {}
        everyone: dict[SubscriptionBehaviour, None] = {}
        for event, targets, earlier in checked:
            # The targets are taken anew: subscriptions may have come and gone while the rest was checked.
            targets = self._targets(event.name)
            receipt = earlier or given.get(event.id)
            if receipt is None:
                receipt, _ = self._dispatcher.dispatch(event, targets, admission)
                given[event.id] = receipt
                self._accepted += 1
                everyone.update(dict.fromkeys(targets))
                self._deduplication.remember(receipt, now)
            receipts.append(receipt)
        if admission.waiting:
            await self._dispatcher.wait_for_room(admission, tuple(everyone))
        return receipts

    def _accept(
        self,
        name: str | Event,
        data: Any,
        key: str | None,
        headers: Mapping[str, str] | None,
        id: str | None,
        cause: Event | None,
        *,
        must_fit: bool = False,
    ) -> tuple[Receipt, Admission | None, Targets]:
        """Check, accept and place one event; never waits.

        Returns:
            Its receipt; what to wait for where a mailbox was full; and where it went.
        """
        event, targets, earlier = self._check(name, data, key, headers, id, cause)
        if earlier is not None:
            return earlier, None, ()
        if must_fit:
            for target in targets:
                if len(target.mailbox.queue) >= target.mailbox.capacity:
                    raise MailboxFull(target.name, target.mailbox.capacity)
        receipt, admission = self._dispatcher.dispatch(event, targets)
        self._accepted += 1
        if id is not None or type(name) is not str:
            self._deduplication.remember(receipt, self._kernel.port.now())
        return receipt, admission, targets

    def _check(
        self,
        name: str | Event,
        data: Any,
        key: str | None,
        headers: Mapping[str, str] | None,
        id: str | None,
        cause: Event | None,
    ) -> tuple[Event, Targets, Receipt | None]:
        """Make the event that would be accepted, without accepting it.

        Returns:
            The event; for whom it is; and the receipt of the same event where it was accepted before.
        """
        self._check_open()
        if type(name) is not str:
            return self._check_draft(name, data, key, headers, id, cause)
        targets = self._dispatcher.routes.remembered.get(name)
        if targets is None:
            targets = self._dispatcher.routes.match(name)
        if key is not None:
            check_key(key)
        checked = NO_HEADERS if headers is None else checked_headers(headers)
        if cause is None:
            hand = current_hand()
            if hand is not None and isinstance(hand.message, Delivery):
                cause = hand.message.event
        now = self._clock.time()
        if cause is None:
            event = Event(name, data, key, checked, id or self._ids(), now, now)
        else:
            depth = cause.depth + 1
            if depth > self._causation_depth:
                raise CausationTooDeep(name, depth, cause.id)
            event = Event(name, data, key, checked, id or self._ids(), now, now, cause.id, depth)
        if id is None:
            return event, targets, None
        check_id(id)
        return event, targets, self._deduplication.find(event, self._kernel.port.now())

    def _check_draft(
        self,
        draft: object,
        data: Any,
        key: str | None,
        headers: Mapping[str, str] | None,
        id: str | None,
        cause: Event | None,
    ) -> tuple[Event, Targets, Receipt | None]:
        """`_check` of an `Event`. One that was accepted before is emitted as a new event, under a new id."""
        if not isinstance(draft, Event):
            self._dispatcher.routes.match(draft)  # raises InvalidName, unless it is a str of some subclass
            return self._check(str(draft), data, key, headers, id, cause)
        if data is not None:
            raise InvalidOption("data", data, "comes with the Event; emit either an Event or a name with data")
        if id is None and draft.id and draft.accepted_at is None:
            id = draft.id
        event, targets, earlier = self._check(
            draft.name,
            draft.data,
            draft.key if key is None else key,
            draft.headers if headers is None else headers,
            id,
            cause,
        )
        if draft.time is not None and draft.accepted_at is None:
            event = _with_time(event, draft.time)
        return event, targets, earlier

    def _targets(self, name: str) -> Targets:
        targets = self._dispatcher.routes.remembered.get(name)
        return self._dispatcher.routes.match(name) if targets is None else targets

    def _kernel_of_open_runtime(self) -> Kernel:
        self._check_open()
        return self._kernel

    def _check_open(self) -> None:
        if self._state is not State.OPEN:
            # Handlers may go on emitting while the runtime drains: what they do belongs to what is drained.
            hand = current_hand()
            from_handler = hand is not None and hand.message is not None and hand.turn is self._kernel.turn
            if self._state is not State.DRAINING or not from_handler:
                raise RuntimeClosed(self._state.value)
        if threading.get_ident() != self._thread:
            raise WrongThread("emit")


def _with_time(event: Event, time: float) -> Event:
    """The same event with another time of happening."""
    return Event(
        event.name, event.data, event.key, event.headers, event.id, time, event.accepted_at, event.cause, event.depth
    )

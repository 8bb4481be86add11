"""Emitting: from a call of the user's to an accepted event whose deliveries are in mailboxes."""

import enum
import math
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any, Unpack

import attrs
import msgspec

from postroom_actors import Kernel, TimeSlice, current_hand

from .checks import check_number
from .clock import Clock
from .deadlock import check_here, waiting
from .deduplication import Deduplication, check_same
from .delivery import Delivery
from .dispatcher import Dispatcher, Targets
from .errors import (
    CausationTooDeep,
    ForkedProcess,
    InvalidOption,
    MailboxFull,
    NoSubscriber,
    PostroomError,
    RuntimeClosed,
    WrongThread,
)
from .event import LONGEST_TRAIL, NO_HEADERS, Event, Origin
from .event_types import Emitted, declaration_of
from .names import tokens_of_name
from .options import EmitOptions, checked, is_special, with_own
from .outcomes import Report
from .portable import portable_copy
from .receipt import Receipt, wait_for_room
from .room import check_room
from .threads import Inbox, ThreadReceipt, accept_for_thread


class State(enum.Enum):
    """Where a runtime is in its life."""

    NEW = "not entered yet"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"
    FORKED = "forked"


@attrs.define(eq=False)
class Emitter:
    """The emitting half of a runtime; `Runtime` adds its life.

    An event is accepted at one instant: which subscriptions it is for is decided then, and never changes.
    """

    portable: bool = attrs.field(default=False, init=False)
    _ids: Callable[[], str] = attrs.field(init=False)
    _clock: Clock = attrs.field(init=False)
    _causation_depth: int = attrs.field(init=False)
    _state: State = attrs.field(default=State.NEW, init=False)
    _open_in: int | None = attrs.field(default=None, init=False)  # the thread, while the runtime is open
    _until: float = attrs.field(default=math.inf, init=False)  # when handlers, too, may emit no more
    _thread: int = attrs.field(default=0, init=False)
    _kernel: Kernel = attrs.field(init=False)
    _turn: TimeSlice = attrs.field(factory=TimeSlice, init=False)
    _stopwatch: Callable[[], float] = attrs.field(default=float, init=False)
    _wall_time: Callable[[], float] = attrs.field(default=float, init=False)
    _dispatcher: Dispatcher = attrs.field(init=False)
    _inbox: Inbox | None = attrs.field(default=None, init=False)
    _deduplication: Deduplication = attrs.field(factory=Deduplication, init=False)

    async def emit(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt:
        """Emit an event to every subscription that matches its name.

        Takes the name and its data, an `Event`, or a typed event (see `event_type`); the options are those of
        `EmitOptions`. In a handler the new
        event is linked to the one in hand as its cause. Returns once the event is accepted and every matching
        mailbox has taken it, however long a full one takes; await the receipt for the outcomes.

        With an `id` that was accepted before, within 10 minutes, nothing new happens and the first event's
        receipt is returned.

        Raises:
            InvalidName, InvalidOption, InvalidPayload, ConflictingEvent, CausationTooDeep, WrongThread,
                RuntimeClosed: nothing was accepted.

        Cancellation: noticed where it waits for room, and where it yields because its task has held the loop for
        a millisecond. While it yields nothing has been accepted; while it waits for room the event has been, and
        goes on without its emitter: pass `id` and emit again to learn its fate.
        """
        turn = self._turn
        turn.left -= 1
        now = self._stopwatch()
        if turn.left <= 0 or now >= turn.ends_at:
            now = await self._breathe()
        receipt = self._accept(now, name, data, options, None)
        if receipt.admission is not None:
            await receipt.admitted()
        return receipt

    async def emit_caused(self, cause: Event, name: Emitted, data: Any, options: EmitOptions) -> Receipt:
        """`emit` with its cause named: what `Context.emit` calls.

        Cancellation: as `emit`.
        """
        now = self._stopwatch()
        if self._turn.is_over(now):
            now = await self._breathe()
        receipt = self._accept(now, name, data, options, cause)
        if receipt.admission is not None:
            await receipt.admitted()
        return receipt

    async def emit_and_wait(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Report:
        """Emit, and wait until every subscription has settled; arguments and errors as `emit`.

        Cancellation: as `emit`, then as `Receipt.wait`: an event that was accepted goes on.
        """
        receipt = await self.emit(name, data, **options)
        return await receipt.wait()

    async def request(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Any:
        """Emit, and wait for the first subscription that succeeds; the others go on. Arguments as `emit`.

        Returns:
            What that one's handler returned.

        Raises:
            NoSubscriber: nobody subscribes to it; nothing was accepted.
            ExceptionGroup: all have settled and none succeeded, as `Report.raise_for_failures`.
            WouldDeadlock: in a handler that would wait for itself.
            Exception: as `emit`.

        Cancellation: as `emit_and_wait`.
        """
        options["require"] = True
        receipt = await self.emit(name, data, **options)
        if not receipt.targets:  # accepted before under its id, and heard by nobody then
            raise NoSubscriber(receipt.event.name)
        return await receipt.answer()

    def emit_from_thread(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> ThreadReceipt:
        """`emit` from a thread that is not the event loop's: blocks it until every mailbox has taken the event.

        Returns:
            A receipt whose `wait` blocks.

        Raises:
            NotFromHere: this is the event loop's thread.
            InvalidName, InvalidOption, ConflictingEvent, CausationTooDeep, NoSubscriber, RuntimeClosed,
                WouldDeadlock, ForkedProcess: nothing was accepted.
        """
        if self._inbox is None or self._state is State.FORKED:
            raise self._closed_error()
        return accept_for_thread(self._inbox, lambda: self._accept(self._stopwatch(), name, data, options, None))

    def emit_nowait(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt:
        """`emit` without waiting or yielding.

        Raises:
            MailboxFull: a matching mailbox has no room; the event was delivered to nobody.
        """
        return self._accept(self._stopwatch(), name, data, options, None, must_fit=True)

    async def emit_many(self, events: Iterable[Emitted]) -> list[Receipt]:
        """Emit several events, each an `Event` or a typed one: all of them are accepted, or none.

        They enter each mailbox in their order, as room permits; other emitters' events may come in between. Accepting
        them takes a few microseconds an event in which nothing else runs: emit very many in several calls.

        Returns:
            One receipt for each, in the same order, once every mailbox has taken its share.

        Raises:
            As `emit`, for the first event that is refused, with a note of its position; none was accepted.

        Cancellation: while it checks them, nothing is accepted; afterwards all are, as with `emit`.
        """
        checked: list[tuple[Event, bool]] = []
        chosen: dict[str, Event] = {}
        for position, draft in enumerate(events):
            if self._turn.is_over(self._stopwatch()):
                await self._breathe()
            try:
                if not isinstance(draft, Event) and declaration_of(type(draft)) is None:
                    raise InvalidOption(
                        "events", draft, f"must hold Event(…)s or typed events, not {type(draft).__name__}"
                    )
                event, has_chosen_id = self._event(draft, None, {}, None)
                self._dispatcher.routes.match(event.name)
                if has_chosen_id:
                    check_same(chosen.setdefault(event.id, event), event)
            except Exception as error:
                error.add_note(f"in emit_many, event number {position} (from 0); none of them was accepted")
                raise
            checked.append((event, has_chosen_id))
        self._check_open()
        return await self._place_all(checked)

    async def _place_all(self, checked: list[tuple[Event, bool]]) -> list[Receipt]:
        """Accept events that were checked, all of them or none, and place them in order.

        Without a yield in between, or something else might be accepted in the middle that conflicts with the rest.

        Cancellation: while it waits for room; all of them are accepted.
        """
        now, since = self._kernel.port.now(), self._stopwatch()
        routed: list[tuple[Event, Targets, bool]] = []
        wanted: list[tuple[Event, Targets]] = []
        known: dict[str, Receipt | None] = {}  # by ids that were chosen; None for those that are new
        for event, chosen in checked:
            targets = self._dispatcher.routes.match(event.name)
            routed.append((event, targets, chosen))
            if chosen and event.id in known:
                continue
            if chosen:  # `find` raises where an event conflicts, before any is accepted
                known[event.id] = self._deduplication.find(event, now)
            if not chosen or known[event.id] is None:
                wanted.append((event, targets))
        check_room(self._kernel.port, wanted)
        admission = self._kernel.admission()
        receipts: list[Receipt] = []
        for event, targets, chosen in routed:
            receipt = known[event.id] if chosen else None
            if receipt is None:
                receipt = self._dispatcher.dispatch(
                    event, targets, since, special=is_special(event), admission=admission
                )
                if chosen:
                    known[event.id] = receipt
                    self._deduplication.remember(receipt, now)
            receipts.append(receipt)
        if admission.waiting:
            full = dict.fromkeys(target for _, targets in wanted for target in targets)
            with waiting(self._kernel.port, lambda: wait_for_room(full, admission)):
                await admission.wait()
        return receipts

    def _accept(
        self,
        since: float,
        name: Emitted,
        data: Any,
        options: EmitOptions,
        cause: Event | None,
        *,
        must_fit: bool = False,
    ) -> Receipt:
        """Check, accept and place one event; never waits. The way of every emit, so the plain case comes first."""
        if get_ident() != self._open_in:
            self._check_open()
            if self.portable and isinstance(name, str):
                name, data = Event(name, data), None  # a draft takes the careful way
        chosen = special = False
        hand = current_hand()
        if options or cause is not None or name.__class__ is not str or hand is not None:
            event, chosen = self._event(name, data, options, cause)
            if chosen:
                earlier = self._deduplication.find(event, self._kernel.port.now())
                if earlier is not None:
                    return earlier
            special = is_special(event)
        else:
            now = self._wall_time()
            event = Event(name, data, None, NO_HEADERS, self._ids(), now, now)  # pyright: ignore[reportArgumentType] - a str, as just seen
        dispatcher = self._dispatcher
        targets = dispatcher.routes.remembered.get(event.name)
        if targets is None:
            targets = dispatcher.routes.match(event.name)
        if options and not targets and options.get("require"):
            raise NoSubscriber(event.name)
        if must_fit:
            timers = dispatcher.timers
            if event.delay is not None and targets and len(timers) + len(targets) > timers.capacity:
                raise MailboxFull(targets[0].name, timers.capacity)
            for target in targets:
                mailbox = target.mailbox
                if len(mailbox.queue) >= mailbox.room and event.delay is None and mailbox.would_wait(event.key):
                    raise MailboxFull(target.name, mailbox.capacity)
        elif hand is not None:
            check_room(self._kernel.port, [(event, targets)])
        receipt = dispatcher.dispatch(event, targets, since, special=special)
        if chosen:
            self._deduplication.remember(receipt, self._kernel.port.now())
        return receipt

    def _event(self, name: Emitted, data: Any, options: EmitOptions, cause: Event | None) -> tuple[Event, bool]:
        """Make the event that would be accepted, without accepting it; and whether its user chose its id."""
        time: float | None = None
        if isinstance(name, Event):
            if data is not None:
                raise InvalidOption("data", data, "comes with the Event; emit either an Event or a name with data")
            draft = name
            if draft.accepted_at is None:  # one that was accepted before is emitted as a new event
                time = draft.time
                if time is not None:
                    check_number("time", time, "seconds", least=-math.inf)
            name, data, options = draft.name, draft.data, with_own(draft, options)
            declared = declaration_of(type(data))
            if declared is not None and declared.name != name:
                declared = None  # by another name it is plain data
        else:
            declared = declaration_of(type(name))
            if declared is not None:
                if data is not None:
                    raise InvalidOption("data", data, "comes with a typed event; emit either that or a name with data")
                name, data = declared.name, name
        if declared is not None:
            declared.check(data)
        if self.portable:
            data = portable_copy(data)
        if name.__class__ is not str:
            tokens_of_name(name)
            assert isinstance(name, str), "as just checked"
            name = str.__str__(name)  # the text of a subclass, such as a member of an enumeration
        chosen = checked(options)
        headers = chosen.get("headers") or NO_HEADERS
        now = self._wall_time()
        event = Event(
            name,  # pyright: ignore[reportArgumentType] - a str by now
            data,
            chosen.get("key"),
            headers if declared is None else declared.headers_with(headers),
            chosen.get("id") or self._ids(),
            now if time is None else time,
            now,
            chosen.get("priority") or ("lowest" if chosen.get("quiet") else "default"),
            chosen.get("delay"),
            chosen.get("expires_after"),
            chosen.get("attempts"),
            chosen.get("backoff"),
            chosen.get("timeout"),
            chosen.get("quiet"),
        )
        if cause is None:
            hand = current_hand()
            if hand is not None:
                cause = _event_in_hand(hand.message)
        if cause is not None:
            event = self._caused(event, cause)
        return event, "id" in chosen

    def _caused(self, event: Event, cause: Event) -> Event:
        """`event` with its cause named. A delayed one begins a new chain: a job that plans its next run is no loop."""
        depth = 0 if event.delay is not None else cause.depth + 1
        trail = () if depth == 0 else (*cause.trail[1 - LONGEST_TRAIL :], cause.name)
        if depth > self._causation_depth:
            raise CausationTooDeep(event.name, depth, cause.id, (*trail, event.name))
        return msgspec.structs.replace(event, origin=Origin(cause.id, depth, trail))

    async def _breathe(self) -> float:
        """Let other tasks run, if this runtime is one that may be used from here; returns the stopwatch's time."""
        if get_ident() != self._open_in:
            self._check_open()
        check_here(self._kernel.port)
        return await self._kernel.breathe()

    def _check_open(self, call: str = "emit") -> None:
        """Raises RuntimeClosed or WrongThread, naming `call`; not in a handler while the runtime drains."""
        if self._state is State.OPEN or self._state is State.DRAINING:
            if get_ident() != self._thread:
                raise WrongThread(call)
            if self._state is State.OPEN:
                return
            # Handlers may go on emitting while the runtime drains: what they do belongs to what is drained.
            hand = current_hand()
            in_hand = hand is not None and hand.message is not None and hand.turn is self._turn
            if in_hand and self._kernel.port.now() < self._until:
                return
        raise self._closed_error()

    def _check_thread(self, call: str) -> None:
        """Raises WrongThread, naming `call`, outside of the thread in which the runtime is open, if it is."""
        if self._state in (State.OPEN, State.DRAINING) and get_ident() != self._thread:
            raise WrongThread(call)

    def _closed_error(self) -> PostroomError:
        return ForkedProcess() if self._state is State.FORKED else RuntimeClosed(self._state.value)


def _event_in_hand(message: object) -> Event | None:
    """The event that is being handled; of a batch the one that ends the longest chain of causes."""
    if isinstance(message, Delivery):
        return message.event
    if isinstance(message, list):
        return max((delivery.event for delivery in message), key=lambda event: event.depth, default=None)
    return None

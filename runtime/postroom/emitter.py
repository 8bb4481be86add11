"""Emitting: from a call of the user's to an accepted event whose deliveries are in mailboxes."""

import enum
import math
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any, TypeAlias, Unpack

import attrs
import msgspec

from postroom_actors import Admission, Kernel, TimeSlice, current_hand

from .clock import Clock
from .deadlock import check_here, waiting
from .deduplication import Deduplication, check_same
from .dispatcher import Dispatcher, Targets
from .drafts import caused, event_in_hand, event_of
from .errors import (
    ForkedProcess,
    InvalidOption,
    MailboxFull,
    NoSubscriber,
    PostroomError,
    RuntimeClosed,
    WrongThread,
)
from .event import NO_HEADERS, Event
from .event_types import Emitted, declaration_of
from .interceptors import Interception
from .options import EmitOptions, is_special
from .outcomes import Report
from .portable import portable_copy
from .receipt import Receipt, wait_for_room
from .room import check_room
from .staging import Stages
from .threads import Inbox, ThreadReceipt, accept_for_thread

Draft: TypeAlias = tuple[Event, Event | None]
"""An event that was checked; and, where its user chose its id, the same as the user gave it."""


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
    _open_in: int | None = attrs.field(default=None, init=False)  # the thread, while open and nothing is intercepted
    _until: float = attrs.field(default=math.inf, init=False)  # when handlers, too, may emit no more
    _thread: int = attrs.field(default=0, init=False)
    _kernel: Kernel = attrs.field(init=False)
    _turn: TimeSlice = attrs.field(factory=TimeSlice, init=False)
    _stopwatch: Callable[[], float] = attrs.field(default=float, init=False)
    _wall_time: Callable[[], float] = attrs.field(default=float, init=False)
    _dispatcher: Dispatcher = attrs.field(init=False)
    _inbox: Inbox | None = attrs.field(default=None, init=False)
    _deduplication: Deduplication = attrs.field(factory=Deduplication, init=False)
    _stages: Stages = attrs.field(init=False)
    _interception: Interception = attrs.field(factory=Interception, init=False)

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
        if options:
            _refuse_group(options)
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
        _refuse_group(options)
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
        checked: list[Draft] = []
        chosen: dict[str, Event] = {}
        for position, draft in enumerate(events):
            if self._turn.is_over(self._stopwatch()):
                await self._breathe()
            try:
                if not isinstance(draft, Event) and declaration_of(type(draft)) is None:
                    raise InvalidOption(
                        "events", draft, f"must hold Event(…)s or typed events, not {type(draft).__name__}"
                    )
                given, has_chosen_id = self._event(draft, None, {}, None)
                is_new = not has_chosen_id or given.id not in chosen
                if has_chosen_id:
                    check_same(chosen.setdefault(given.id, given), given)
                    is_new = is_new and self._deduplication.find(given, self._kernel.port.now()) is None
                event = self._intercept(given, None) if is_new else given
                self._dispatcher.routes.match(event.name)
            except Exception as error:
                error.add_note(f"in emit_many, event number {position} (from 0); none of them was accepted")
                raise
            checked.append((event, given if has_chosen_id else None))
        self._check_open()
        receipts, admission = self._accept_all(checked)
        await self._admitted(receipts, admission)
        return receipts

    def _accept_all(self, checked: list[Draft]) -> tuple[list[Receipt], Admission]:
        """Accept events that were checked, all of them or none, and place them in order.

        Without a yield in between, or something else might be accepted in the middle that conflicts with the rest.

        Returns:
            The receipts, and what to wait for room by.
        """
        now, since = self._kernel.port.now(), self._stopwatch()
        routed: list[tuple[Event, Targets, Event | None]] = []
        wanted: list[tuple[Event, Targets]] = []
        known: dict[str, Receipt | None] = {}  # by ids that were chosen; None for those that are new
        for event, given in checked:
            targets = self._dispatcher.routes.match(event.name)
            routed.append((event, targets, given))
            if given is not None and event.id in known:
                continue
            if given is not None:  # `find` raises where an event conflicts, before any is accepted
                known[event.id] = self._deduplication.find(given, now)
            if given is None or known[event.id] is None:
                wanted.append((event, targets))
        self._dispatcher.catch_up_first()
        check_room(self._kernel.port, wanted)
        admission = self._kernel.admission()
        receipts: list[Receipt] = []
        for event, targets, given in routed:
            receipt = None if given is None else known[event.id]
            if receipt is None:
                receipt = self._dispatcher.dispatch(
                    event, targets, since, special=is_special(event), admission=admission
                )
                if given is not None:
                    known[event.id] = receipt
                    self._deduplication.remember(given, receipt, now)
            receipts.append(receipt)
        return receipts, admission

    async def _admitted(self, receipts: list[Receipt], admission: Admission) -> None:
        """Wait until every mailbox has taken its share of what was accepted together.

        Cancellation: all of it stays accepted.
        """
        if admission.waiting:
            full = dict.fromkeys(target for receipt in receipts for target in receipt.targets)
            with waiting(self._kernel.port, lambda: wait_for_room(full, admission)):
                await admission.wait()

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
        given: Event | None = None
        special = intercepted = False
        if get_ident() != self._open_in:
            self._check_open()
            intercepted = bool(self._interception.emits)
            if self.portable and isinstance(name, str):
                name, data = Event(name, data), None  # a draft takes the careful way
        hand = current_hand()
        if options or cause is not None or name.__class__ is not str or hand is not None or intercepted:
            event, chosen = self._event(name, data, options, cause)
            group = options.get("group") if options else None
            if chosen:
                earlier = self._deduplication.find(event, self._kernel.port.now(), group)
                if earlier is not None:
                    return earlier
                given = event
            if group is not None:
                event = msgspec.structs.replace(event, accepted_at=None)
            if intercepted:
                event = self._intercept(event, group)
            if group is not None:
                return self._stages.add(event, given, bool(options.get("require")), group)
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
            dispatcher.catch_up_first()
            timers = dispatcher.timers
            if event.delay is not None and targets and len(timers) + len(targets) > timers.capacity:
                raise MailboxFull(targets[0].name, timers.capacity)
            for target in targets:
                mailbox = target.mailbox
                if len(mailbox.queue) >= mailbox.room and event.delay is None and mailbox.would_wait(event.key):
                    raise MailboxFull(target.name, mailbox.capacity)
        elif hand is not None:
            dispatcher.catch_up_first()
            check_room(self._kernel.port, [(event, targets)])
        receipt = dispatcher.dispatch(event, targets, since, special=special)
        if given is not None:
            self._deduplication.remember(given, receipt, self._kernel.port.now())
        return receipt

    def _event(self, name: Emitted, data: Any, options: EmitOptions, cause: Event | None) -> tuple[Event, bool]:
        """Make the event that would be accepted, without accepting it; and whether its user chose its id."""
        event, has_chosen_id = event_of(name, data, options, self._ids, self._wall_time(), self.portable)
        if cause is None:
            hand = current_hand()
            if hand is not None:
                cause = event_in_hand(hand.message)
        if cause is not None:
            event = caused(event, cause, self._causation_depth)
        return event, has_chosen_id

    def _intercept(self, event: Event, group: str | None) -> Event:
        """What the interceptors make of an event that is about to be accepted, or staged."""
        changed = self._interception.outgoing(event, group)
        if self.portable and changed.data is not event.data:
            changed = msgspec.structs.replace(changed, data=portable_copy(changed.data))
        return changed

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


def _refuse_group(options: EmitOptions) -> None:
    group = options.get("group")
    if group is not None:
        raise InvalidOption(
            "group", group, "what is staged has no outcome before the release: emit it, and await later"
        )

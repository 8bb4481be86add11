"""Emitting: from a call of the user's to an accepted event whose deliveries are in mailboxes."""

import enum
import math
from collections.abc import Callable
from threading import get_ident
from typing import Any, Unpack

import attrs
import msgspec

from postroom_actors import Kernel, TimeSlice, current_hand, current_message

from .carrying import Outbox
from .checks import word
from .clock import Clock
from .contract import EventModule
from .deadlock import check_here
from .deduplication import Deduplication
from .dispatcher import Dispatcher
from .drafts import caused, event_in_hand, event_of, run_in_hand
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
from .event_types import Emitted
from .interceptors import Interception
from .local import Local
from .options import EmitOptions, is_special
from .outcomes import Report
from .portable import portable_copy
from .receipt import Receipt
from .room import check_room
from .staging import Stages
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
    _outbox: Outbox | None = attrs.field(default=None, init=False)  # where events go into a store
    _has_runs: bool = attrs.field(default=False, init=False)  # workflows may run, whose steps emit
    _module: "Local | EventModule" = attrs.field(factory=Local, init=False)

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
        turn = self._turn  # from here on as `emit`, which would be one more coroutine
        turn.left -= 1
        now = self._stopwatch()
        if turn.left <= 0 or now >= turn.ends_at:
            now = await self._breathe()
        receipt = self._accept(now, name, data, options, None)
        if receipt.admission is not None:
            return await receipt.wait_from_the_start()
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
            intercepted = bool(self._interception.emits) or self._outbox is not None or self._has_runs
            if self.portable and isinstance(name, str):
                name, data = Event(name, data), None  # a draft takes the careful way
        hand = current_hand()
        if options or cause is not None or name.__class__ is not str or hand is not None or intercepted:
            if cause is None and hand is None and not self._has_runs:  # as where nobody has caused it
                event, chosen = event_of(name, data, options, self._ids, self._wall_time(), self.portable)
            else:
                event, chosen = self._event(name, data, options, cause)
            group = word(options["group"]) if options and "group" in options else None
            if self._outbox is not None:
                if must_fit:
                    self._outbox.refuse_nowait()
                self._outbox.check(event, chosen, group)
                sent = self._intercept(event, group)
                return self._outbox.send(sent, event if chosen else None, group, bool(options.get("require")))
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
        if not targets and options and options.get("require"):
            raise NoSubscriber(event.name)
        if must_fit:
            if dispatcher.actor.mailbox.queue:
                dispatcher.catch_up_first()
            for target in targets:
                mailbox = target.mailbox
                if event.delay is not None:
                    if target.delays.is_full:
                        raise MailboxFull(target.name, target.delays.capacity)
                elif len(mailbox.queue) >= mailbox.room and mailbox.would_wait(event.key):
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
            cause = self._cause()
        if cause is not None:
            event = caused(event, cause, self._causation_depth)
        return event, has_chosen_id

    def _cause(self) -> Event | None:
        """What causes whatever the caller emits."""
        return event_in_hand(current_message()) or (run_in_hand.get() if self._has_runs else None)

    def _intercept(self, event: Event, group: str | None) -> Event:
        """What the interceptors make of an event that is about to be accepted, or staged."""
        changed = self._interception.outgoing(event, group)
        if self._outbox is not None and changed is not event:
            self._outbox.check(changed, False, group)
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

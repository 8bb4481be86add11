"""The side of a runtime that its workflows use: the journal of its event module, and events that wait for a run.

On Local the journal is in memory, and a run's events are accepted in the step that concludes it; else both are the
store's, whose session the runtime has already.

Units: seconds.
"""

import itertools
import math
import time as wall
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, Final, Literal, TypeVar, cast

import anyio
import attrs
import msgspec

from postroom_actors import Port, current_message

from .capabilities import Capability, check_capability
from .carried import Carried
from .carrying.storing import stored_event
from .codec import decode_event
from .contract import Answer, Emit, Notice, Published, StoredEvent
from .drafts import caused, event_in_hand, run_in_hand
from .errors import InvalidOption, NoSubscriber, PostroomError
from .event import Event, Origin
from .event_types import Emitted
from .journal import HasJournal, Journal, NewRun, RunLoan, RunState, StoredRun, Taken
from .local_journal import LocalJournal
from .log import Log
from .options import EmitOptions
from .receipt import Receipt
from .services import Events, Scope
from .store_errors import UnknownResult

T = TypeVar("T")

_VIRTUAL_EPOCH: Final = wall.time()
"""When virtual time begins: the same for all runtimes of a process, since they may share a store."""

ANSWER_WITHIN: Final = 30.0
"""How long a run that is begun waits for the store's answer, once it is asked."""


class RunEvent(msgspec.Struct, frozen=True):
    """An event that waits for the end of a run.

    Attributes:
        given: The same as its user gave it, where the user chose its id.
    """

    event: Event
    given: Event | None
    require: bool = False

    def stored(self) -> StoredEvent:
        """As a store takes it.

        Raises:
            NotPortable, BackoffNotPortable: it can't be stored.
        """
        return stored_event(self.event, self.given, self.require)


@attrs.define(eq=False)
class Listener:
    """Those workflows of a runtime that one block runs.

    Attributes:
        heard: Told of a run that was written to from outside, is over, or has stopped.
        mail: Told that there may be runs to take up.
        lost: Told that the session was taken for dead: its tokens are worth nothing.
        holding: The tokens of its loans.
    """

    heard: Callable[[str], None]
    mail: Callable[[], None]
    lost: Callable[[], None]
    holding: set[int] = attrs.field(factory=set, init=False)


@attrs.define(eq=False)
class Backstage:
    """A runtime, as its workflows use it.

    Attributes:
        journal: Of its event module.
        local: The same, where that is Local: what it does, it does at once.
        is_durable: Whether runs go on in another process.
        numbers: Of calls of `begin`.
    """

    _runtime: "Journalling"
    journal: Journal = attrs.field(init=False)
    local: LocalJournal | None = attrs.field(default=None, init=False)
    listeners: list[Listener] = attrs.field(factory=list, init=False)
    numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)
    _epoch: float | None = attrs.field(init=False)
    _begins: int = attrs.field(default=0, init=False)
    _begun: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _in_doubt: bool = attrs.field(default=False, init=False)
    _reclaiming: anyio.Event | None = attrs.field(default=None, init=False)
    _passing: dict[str, RunEvent] = attrs.field(factory=dict, init=False)  # on their way into Local, by id
    _accepted: dict[str, Receipt] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        runtime = self._runtime
        is_virtual = runtime._clock.time is wall.time and self.port.stopwatch is not wall.perf_counter
        self._epoch = _VIRTUAL_EPOCH if is_virtual else None
        if runtime._outbox is None:
            self.journal = self.local = LocalJournal(self._accept, self._notice, self._mail, self.time, self.port.now)
            return
        module = runtime._outbox.module
        check_capability(module.name, module.capabilities, Capability.WORKFLOWS, "`Workflows`")
        carrier = runtime._outbox.carrier
        self.journal = cast(HasJournal, carrier.store).journal
        carrier.run_heard, carrier.runs_mail, carrier.runs_lost = self._heard, self._mail, self._lost

    @property
    def is_durable(self) -> bool:
        return self._runtime._outbox is not None

    @property
    def port(self) -> Port:
        return self._runtime._kernel.port

    @property
    def random(self) -> Random:
        return self._runtime._random

    @property
    def log(self) -> Log:
        return self._runtime._log

    @property
    def losses(self) -> int:
        return self._runtime.losses

    @property
    def portable(self) -> bool:
        return self._runtime.portable

    def time(self) -> float:
        """Seconds since the epoch. In virtual time the machine's clock stands, so the loop's is added to it."""
        return self._runtime._clock.time() if self._epoch is None else self._epoch + self.port.now()

    def new_id(self) -> str:
        """A new unique id."""
        return self._runtime._ids()

    def scope(self, owner: str, events: Events) -> Scope:
        """A scope for services."""
        return self._runtime._services.scope(owner, events)

    def check_open(self, call: str) -> None:
        """Raises RuntimeClosed or WrongThread, naming `call`."""
        self._runtime._check_open(call)

    def fall(self, interrupt: BaseException) -> None:
        """End the runtime, and have it raise `interrupt`."""
        self._runtime._around.fall(interrupt)

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """A block in which a listener is told of what concerns runs."""
        self.listeners.append(listener)
        self._runtime._has_runs = True
        self._runtime._open_in = None  # emits take the careful way, and look for the run that they belong to
        try:
            yield
        finally:
            self.listeners.remove(listener)

    async def breathe(self) -> None:
        """Let the other tasks run, where this one has held the loop for a slice."""
        kernel = self._runtime._kernel
        if kernel.turn.is_over(kernel.port.stopwatch()):
            await kernel.breathe()

    async def ask(self, what: str, ask: Callable[[], Awaitable[T]], patience: float = math.inf) -> T:
        """Ask the journal for something that is harmless when asked twice, until it is done.

        Args:
            patience: On a durable module, seconds for which it is asked, whoever is cancelled meanwhile.

        Raises:
            UnknownResult: its patience is at an end.

        Cancellation: it was done or not; with `patience`, does not come in.
        """
        outbox = self._runtime._outbox
        return await (ask() if outbox is None else outbox.carrier.ask(what, ask, patience))

    def origin(self, workflow: str, id: str) -> Origin:
        """Where in a chain of causes a run stands that is begun here.

        Raises:
            CausationTooDeep: the chain would get too long.
        """
        cause = event_in_hand(current_message()) or run_in_hand.get()
        if cause is None:
            return Origin()
        return caused(Event(workflow, id=id), cause, self._runtime._causation_depth).origin

    async def begin(self, new: NewRun, lend: bool, listener: Listener) -> RunLoan | StoredRun | None:
        """Begin a run, as `Journal.begin`.

        Raises:
            UnknownResult: the store did not answer within 30 seconds.

        Cancellation: noticed once it was begun.
        """
        number = next(self.numbers)
        if self.local is not None:
            return await self.local.begin(number, new, lend=lend)
        while self._reclaiming:
            await self._reclaiming.wait()
        if not self._begins:
            self._begun = anyio.Event()
        self._begins += 1
        try:
            found = await self.ask(
                "begin a workflow", lambda: self.journal.begin(number, new, lend=lend), ANSWER_WITHIN
            )
            if isinstance(found, RunLoan):
                listener.holding.add(found.token)
            return found
        except UnknownResult:
            self._in_doubt = True
            raise
        finally:
            self._begins -= 1
            if not self._begins:
                self._begun.set()

    async def take(self, workflows: Mapping[str, int], listener: Listener) -> Taken:
        """Have runs that wait, as `Journal.take`.

        Cancellation: what was lent is lent to nobody here; the end of the session gives it back.
        """

        async def ask() -> Taken:
            if self._in_doubt:
                await self._reclaim()
            self._in_doubt = True
            taken = await self.journal.take(workflows)
            self._in_doubt = False
            return taken

        taken = await self.ask("lend workflows", ask)
        listener.holding.update(loan.token for loan in taken.loans)
        return taken

    async def _reclaim(self) -> None:
        """Give back what was lent in an answer that got lost."""
        self._reclaiming = anyio.Event()
        try:
            if self._begins:
                await self._begun.wait()
            await self.journal.reclaim({token for each in self.listeners for token in each.holding})
            self._in_doubt = False
        finally:
            self._reclaiming.set()
            self._reclaiming = None

    # Events

    def draft(self, name: Emitted, data: Any, options: EmitOptions, cause: Event, id: str, run: str) -> RunEvent:
        """An event that is to wait for the end of a run, checked as any emit; what interceptors made of it.

        Raises:
            PostroomError: it can't be emitted.
        """
        group = options.get("group")
        if group is not None:
            raise InvalidOption("group", group, "an event in a workflow waits for the end of its run")
        runtime = self._runtime
        event, has_chosen_id = runtime._event(name, data, options, cause)
        if not has_chosen_id:
            event = msgspec.structs.replace(event, id=id)
        if runtime._outbox is not None:
            runtime._outbox.check(event, has_chosen_id)
        given = event if has_chosen_id else None
        sent = runtime._intercept(msgspec.structs.replace(event, accepted_at=None), run)
        draft = RunEvent(sent, given, bool(options.get("require")))
        draft.stored()  # refused now rather than at the end
        return draft

    async def conclude(
        self,
        token: int,
        state: RunState,
        result: bytes,
        events: Sequence[RunEvent],
        keep: float,
        patience: float = math.inf,
        unless: tuple[str, str] | None = None,
    ) -> list[Receipt] | PostroomError | Literal[False] | None:
        """End a run, or lay it asleep, and let its events out, all or none; as `Journal.conclude`, with the patience of
        `ask`.

        Returns:
            Receipts of the events.

        Cancellation: it is over or not.
        """
        stored = [each.stored() for each in events]
        self._passing.update((each.event.id, each) for each in events)
        try:
            if self.local is not None:
                answer = self.local.conclude_now(token, state, result, stored, keep, unless)
            else:
                answer = await self.ask(
                    "conclude a workflow",
                    lambda: self.journal.conclude(token, state, result, stored, keep, unless),
                    patience,
                )
            if not isinstance(answer, list):
                return answer
            return self._receipts(events, answer)
        finally:
            for each in events:
                self._passing.pop(each.event.id, None)
                self._accepted.pop(each.event.id, None)

    async def admitted(self, receipts: Sequence[Receipt]) -> None:
        """Wait until every mailbox has taken its share of a run's events.

        Cancellation: they stay accepted.
        """
        if receipts and self._runtime._outbox is None:
            await self._runtime._admitted(list(receipts), receipts[0].admission)

    def _receipts(self, events: Sequence[RunEvent], answer: Sequence[Published]) -> list[Receipt]:
        outbox = self._runtime._outbox
        if outbox is None:
            return [self._accepted[each.event.id] for each in events]
        receipts = [outbox.carrier.receipt_of(each.event) for each in events]
        outbox.carrier.accepted(receipts, answer, [None] * len(receipts))
        return list(receipts)

    def _accept(self, events: Emit) -> Answer:
        """On Local: accept events together, or say why not."""
        runtime, now = self._runtime, self._runtime._wall_time()
        checked: list[tuple[Event, Event | None]] = []
        for stored in events:
            if stored.require and not runtime._dispatcher.routes.match(stored.name):
                return NoSubscriber(stored.name)
            passing = self._passing.get(stored.id)
            event = decode_event(stored.body, stored.id, now) if passing is None else passing.event
            given = None if passing is None else passing.given
            checked.append((msgspec.structs.replace(event, accepted_at=now), given))
        try:
            receipts, _ = runtime._accept_all(checked)
        except PostroomError as error:
            return error
        for receipt in receipts:
            self._accepted[receipt.event.id] = receipt
        return [Published(now, tuple(each.name for each in receipt.targets)) for receipt in receipts]

    # What is heard

    def _notice(self, notice: Notice) -> None:
        self._heard(notice.run)

    def _heard(self, run: str) -> None:
        for listener in self.listeners:
            listener.heard(run)

    def _mail(self) -> None:
        for listener in self.listeners:
            listener.mail()

    def _lost(self) -> None:
        for listener in self.listeners:
            listener.lost()


@attrs.define(eq=False, repr=False)
class Journalling(Carried):
    """A runtime that has a journal for workflows."""

    _backstage: Backstage | None = attrs.field(default=None, init=False)

    def backstage(self) -> Backstage:
        """What `Workflows` asks for; not for others.

        Raises:
            Unsupported: the event module keeps no journal.
            RuntimeClosed, WrongThread: it is not open here.
        """
        self._check_open("Workflows")
        if self._backstage is None:
            self._backstage = Backstage(self)
        return self._backstage

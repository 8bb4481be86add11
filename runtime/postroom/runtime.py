"""The runtime: the block inside which subscriptions are at work."""

import math
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.lowlevel
import attrs
import msgspec

from postroom_actors import Kernel, Timers, cancellation_was_asked_for, current_port, open_kernel

from . import log
from .capabilities import Capability, as_capabilities, check_capability
from .changes import Change, ChangeKind
from .checks import count_of, seconds
from .clock import Clock, SystemClock
from .context import Context
from .contract import EventModule
from .dead_letters import DeadLetter, DeadLetters
from .delivery import fields_of
from .dispatcher import Dispatcher
from .emitter import State
from .endings import raise_what_ended_it
from .errors import DuplicateSubscription, InvalidOption, RuntimeReentered, UnknownSubscription
from .identity import unique_ids
from .interceptors import Interception, Interceptor, interceptors_of
from .journalling import Journalling
from .local import Local
from .overtime import alarms_on
from .policy import SILENT, Policy
from .portable import copy_for_handler
from .processes import tell
from .reading import reader_of
from .receipt import Receipt
from .room import check_room
from .services import Services, check_registry
from .settings import (
    DEFAULT_CAUSATION_DEPTH,
    DEFAULT_CLEANUP,
    DEFAULT_DEAD_LETTERS,
    DEFAULT_DRAIN,
    DEFAULT_LOSSES,
    DEFAULT_WATCHDOG,
    Role,
    check_defaults,
    check_flag,
    check_module,
    check_role,
    check_suits,
)
from .siblings import Siblings, as_declarations, members_of
from .staging import Stages
from .subscriber import Subscriber
from .supervised import CLOSED
from .supervisor import Turns
from .surroundings import Surroundings
from .taps import listen
from .threads import Inbox
from .watchdog import open_watchdog

if TYPE_CHECKING:
    import svcs


@attrs.define(eq=False, repr=False, kw_only=True, on_setattr=attrs.setters.NO_OP)
class Runtime(Journalling):
    """Runs subscribers, each as an actor with a mailbox of its own, for as long as its `async with` block.

    Leaving the block stops intake, lets the mailboxes drain for `drain_within` seconds (retries that are due by
    then included), cancels what is left, and returns when every handler has ended. An error in the block, or its
    cancellation, cancels at once. Nothing runs after the block.

    Attributes:
        module: What carries the events: `Local()`, in memory, or a durable one, such as `SqliteModule(path)`.
        role: `both`; `emit`, by which the subscribers are registered in the store and others handle their events; or
            `handle`, by which only handlers emit.
        requires: Capabilities that the event module must have, or making the runtime is an error.
        losses: After how many times that a delivery was lost with its process it is given up on.
        subscribers: What is at work from the start: subscribers, `Actor` classes, `Siblings`. `spawn` adds more.
        drain_within: Seconds that handlers have to finish what was accepted.
        cleanup_within: Seconds that cancelled handlers have to clean up. One that takes longer cannot be abandoned:
            it is named in the log, and waited for.
        watchdog: Seconds that a handler may block the event loop before the log names it, with the line it is at; None
            for no watch. A thread looks four times as often; in virtual time nobody does.
        dead_letter_limit: Dead letters that are kept; older ones go.
        interceptors: Functions around each emit (`def`) and each attempt (`async def`); see `Interceptor`.
        defaults: What holds for failures, time and the log where neither an event nor its subscriber says otherwise.
        causation_depth: How long a chain of events that cause each other may get.
        portable: Refuse payloads that a durable module could not carry, and give each handler a copy of its own, as
            one would. Costs some microseconds an event; `postroom.testing` has it on.
        services: A `svcs.Registry` of what `context.get` makes for handlers and for steps of workflows.
        clock, ids, random: What a simulation replaces: wall time, a source of ids, and randomness.

    Raises:
        InvalidOption, InvalidName, InvalidHandler: when it is made.
        RuntimeReentered: entered a second time.

    Source: nurseries (N. J. Smith, "Notes on structured concurrency", 2018); actors (Agha, 1986).
    """

    subscribers: tuple[Subscriber[..., Any] | Siblings, ...] = attrs.field(default=(), converter=as_declarations)
    _module: "Local | EventModule" = attrs.field(factory=Local, validator=check_module, alias="module")
    role: Role = attrs.field(default="both", validator=check_role)
    requires: frozenset[Capability] = attrs.field(default=frozenset(), converter=as_capabilities)
    losses: int = attrs.field(default=DEFAULT_LOSSES, validator=count_of("losses"))
    drain_within: float = attrs.field(default=DEFAULT_DRAIN, validator=seconds(finite=False))
    cleanup_within: float = attrs.field(default=DEFAULT_CLEANUP, validator=seconds(finite=False))
    watchdog: float | None = attrs.field(default=DEFAULT_WATCHDOG, validator=seconds(above=True, optional=True))
    dead_letter_limit: int = attrs.field(default=DEFAULT_DEAD_LETTERS, validator=count_of("dead letters"))
    interceptors: tuple[Interceptor, ...] = attrs.field(default=(), converter=interceptors_of)
    portable: bool = attrs.field(default=False, validator=check_flag)
    defaults: Policy = attrs.field(default=SILENT, validator=check_defaults)
    services: "svcs.Registry | None" = attrs.field(default=None, validator=check_registry)
    _causation_depth: int = attrs.field(
        default=DEFAULT_CAUSATION_DEPTH, validator=count_of("events"), alias="causation_depth"
    )
    _clock: Clock = attrs.field(factory=SystemClock, alias="clock")
    _ids: Callable[[], str] = attrs.field(factory=unique_ids, alias="ids")
    _random: Random = attrs.field(factory=Random, alias="random")
    _fallen: list[BaseException] = attrs.field(factory=list, init=False)
    _block: "AbstractAsyncContextManager[None] | None" = attrs.field(default=None, init=False)

    @property
    def module(self) -> "Local | EventModule":
        """What carries the events."""
        return self._module

    def __attrs_post_init__(self) -> None:
        for capability in self.requires:
            check_capability(self._module.name, self._module.capabilities, capability, "`requires`")
        names: set[str] = set()
        for each in members_of(self.subscribers):
            if each.name in names:
                raise DuplicateSubscription(each.name)
            names.add(each.name)
            reader_of(each)
            check_suits(self._module, each)
        self._interception = Interception(self.interceptors, self._log)
        self.dead_letters = DeadLetters(self.dead_letter_limit, self._place_again)

    def intercept(self, *interceptors: Interceptor | Callable[..., Any]) -> None:
        """Put interceptors around those that the runtime was made with: for whoever gets a runtime, and enters it.

        Raises:
            InvalidOption: one can't be called as an interceptor is; or the runtime was entered already.
        """
        if self._state is not State.NEW or self._block is not None:
            raise InvalidOption("interceptors", interceptors, "come too late: the runtime was entered already")
        self.interceptors = (*interceptors_of(interceptors), *self.interceptors)
        self._interception = Interception(self.interceptors, self._log)

    async def __aenter__(self) -> Self:
        if self._state is not State.NEW or self._block is not None:
            raise RuntimeReentered
        self._block = self._life()
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._block is not None
        return await self._block.__aexit__(kind, error, traceback)

    @asynccontextmanager
    async def _life(self) -> AsyncGenerator[None]:
        """The whole life of the runtime, from its entry to the end of its last task."""
        bodys_error: BaseException | None = None
        others: BaseException | None = None
        is_real = current_port().stopwatch is time.perf_counter
        watchdog = open_watchdog(
            self.watchdog if is_real else None,
            self._is_busy,
            lambda: self._turn.ends_at,
            self._log,
            lambda hand: fields_of(hand.message, hand.actor.name),
        )
        try:
            async with AsyncExitStack() as stack:
                await self._open_store(stack)
                stack.enter_context(watchdog)
                async with open_kernel() as kernel:
                    self._open(kernel)
                    try:
                        await self._begin()
                        yield
                        await self._drain()
                    except BaseException as error:
                        # Kept, and raised below: on its way through the kernel it would become one of a group.
                        bodys_error = error
                        self._stop_intake(drain_until=-math.inf)
                    kernel.cancel()
        except BaseException as error:
            others = error
        finally:
            if self._state is not State.NEW:  # the store could not be opened
                self._close()
        raise_what_ended_it(bodys_error, others, self._fallen)

    def _is_busy(self) -> bool:
        """Whether a handler is at work. Called in the watchdog's thread, hence the copies."""
        return any(
            hand.message is not None
            for behaviour in tuple(self._roster.behaviours.values())
            for hand in tuple(behaviour.actor.hands)
        )

    def _open(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._services = Services(
            self.services,
            {Runtime: self, EventModule: self._module},
            lambda name, data, options: self.emit(name, data, **options),
            self.cleanup_within,
            self._log,
        )
        self._thread = threading.get_ident()
        self._inbox = Inbox(kernel.port)
        tell(self)
        self._turn = kernel.turn
        self._stopwatch = kernel.port.stopwatch
        self._wall_time = self._clock.time
        self._dispatcher = Dispatcher(kernel)
        self._around = Surroundings(
            kernel=kernel,
            schedule_of=self._dispatcher.schedule_of,
            alarms=Timers(kernel.port),
            grace=self.cleanup_within,
            dead_letters=self.dead_letters,
            clock=self._clock,
            random=self._random,
            context=lambda delivery, name: Context(delivery, name, self),
            fall=self._fall,
            log=self._log,
            changes=self._changes,
            copy=copy_for_handler if self.portable else None,
            turns=Turns(),
            spawn_child=self._spawn_child,
            end_child=self._roster.end_child,
            emit=self.emit,
            defaults=self.defaults,
            interception=self._interception,
            services=self._services,
            is_durable=self._outbox is not None,
        )
        if self._outbox is not None:
            self._around.reopened = self._outbox.carrier.fetcher.look
            self._around.leave = self._outbox.carrier.leave
            self._around.pause = self._outbox.carrier.pause
        self._roster.open(self._dispatcher, self._around)
        self._stages = Stages(kernel.port, alarms_on(self._around.alarms), self._deduplication, self._log)
        listen(self._dispatcher, self._recordings)
        kernel.start(self._dispatcher.actor)
        kernel.keep(self._dispatcher.timers.run, "postroom timers")
        kernel.keep(self._around.alarms.run, "postroom alarms")
        kernel.keep(self._name_the_stuck, "postroom end")
        for each in self.subscribers if self.role != "emit" else ():
            if isinstance(each, Siblings):
                self._roster.start_siblings(each)
            else:
                self._roster.start(each)
        self._state = State.OPEN
        # What is intercepted, and payloads that are checked, take the way of the calls that are looked at more closely.
        plain = not self.portable and not self._interception.emits and self._outbox is None
        self._open_in = self._thread if plain else None

    def _stop_intake(self, drain_until: float) -> None:
        """Refuse new events, but for those of handlers while there is time."""
        self._state = State.DRAINING
        self._open_in = None
        self._until = self._around.give_up_after = drain_until
        self._tell("draining")
        if self._outbox is not None:
            self._outbox.carrier.fetcher.stop()
        for behaviour in self._roster.behaviours.values():
            behaviour.leaving = behaviour.leaving or CLOSED
            behaviour.resume()
            if self._outbox is not None:
                behaviour.cancel_waiting()  # hands it back
            behaviour.cancel_retries(due_after=drain_until)

    async def _drain(self) -> None:
        """Wait until everything accepted is settled, for `drain_within` seconds at the most.

        Cancellation: ends the drain at once.
        """
        deadline = anyio.current_time() + self.drain_within
        self._stop_intake(deadline)
        with anyio.CancelScope(deadline=deadline):
            await self._wait_until_settled()

    async def _name_the_stuck(self) -> None:
        """Once everything is cancelled, say who does not end.

        Cancellation: is what it waits for; then it looks on for `cleanup_within` seconds, or until all have ended.
        """
        try:
            while True:
                try:
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    if cancellation_was_asked_for():
                        raise
                    await self._kernel.port.absorb_cancellations()
        finally:
            with anyio.move_on_after(self.cleanup_within, shield=True) as patience:
                for behaviour in tuple(self._roster.behaviours.values()):
                    await behaviour.wait_until_ended()
            if patience.cancelled_caught:
                stuck = [name for name, each in self._roster.behaviours.items() if each.actor.hands]
                self._log.write(log.STILL_RUNNING, self.cleanup_within, ", ".join(stuck))

    def _fall(self, error: BaseException) -> None:
        """End the runtime: a handler raised what ends programs."""
        self._fallen.append(error)
        self._kernel.cancel()

    def _close(self) -> None:
        """Every task has ended: settle what is left."""
        self._state = State.CLOSED
        for behaviour in self._roster.behaviours.values():
            behaviour.leaving = CLOSED
            behaviour.cancel_waiting()
        self._stages.close()
        if self._outbox is not None:
            self._outbox.groups.close("the runtime closed")
        assert self._inbox is not None, "it was open"
        self._inbox.close()
        self._tell("closed")
        self._changes.end()
        self.dead_letters.watches.end()

    def _tell(self, kind: ChangeKind) -> None:
        self._changes.tell(Change(kind=kind, time=self._clock.time()))

    def forked(self) -> None:
        """In a forked child: refuse whatever comes, since nothing of this runtime runs here."""
        if self._state is not State.NEW:
            self._state = State.FORKED
            self._open_in = None

    def outlived(self) -> None:
        """At the end of the process: say that nothing will be settled or closed, if this is still open."""
        if self._state in (State.OPEN, State.DRAINING):
            pending = self.stats.pending
            message = f"the program ends with a postroom runtime open and {pending} of its deliveries not settled"
            warnings.warn(f"{message}: leave its `async with` block first", ResourceWarning, source=self, stacklevel=2)

    def _place_again(self, letter: DeadLetter) -> Receipt:
        """Place a dead letter's event anew, for its subscription alone."""
        self._check_open("dead_letters.replay")
        behaviour = self._roster.behaviours.get(letter.subscription)
        if behaviour is None or behaviour.leaving is not None:
            raise UnknownSubscription(letter.subscription)
        if behaviour not in self._dispatcher.routes.match(letter.event.name):  # another one under the same name
            raise UnknownSubscription(letter.subscription, letter.event.name)
        self._dispatcher.catch_up_first()
        event = msgspec.structs.replace(letter.event, delay=None, expires_after=None)  # its time has come already
        check_room(self._kernel.port, [(event, (behaviour,))])
        return self._dispatcher.dispatch(event, (behaviour,), self._stopwatch(), special=event.timeout is not None)

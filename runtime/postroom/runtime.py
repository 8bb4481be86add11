"""The runtime: the block inside which subscriptions are at work."""

import logging
import math
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, Unpack

import anyio
import anyio.lowlevel
import attrs

from postroom_actors import Kernel, Timers, Wait, current_port, open_kernel

from .batching import BatchingBehaviour
from .behaviour import CLOSED, UNSUBSCRIBED, SubscriptionBehaviour, Surroundings
from .checks import count_of, seconds
from .clock import Clock, SystemClock
from .context import Context
from .dead_letters import DeadLetter, DeadLetters
from .deadlock import END, check_here, waiting
from .dispatcher import Dispatcher
from .emitter import Emitter, State
from .errors import DuplicateSubscription, InvalidOption, RuntimeReentered, UnknownSubscription
from .forks import tell_in_children
from .identity import unique_ids
from .names import tokens_of_pattern
from .overtime import Overtime
from .receipt import Receipt
from .stats import RuntimeStats
from .subscriber import Subscriber, SubscriberOptions
from .subscriber import subscriber as declare
from .subscription import Subscription
from .tally import Tally
from .threads import Inbox
from .watchdog import open_watchdog

_log: Final = logging.getLogger("postroom")

DEFAULT_DRAIN: Final = 10.0
DEFAULT_CLEANUP: Final = 5.0
DEFAULT_DEAD_LETTERS: Final = 1000
DEFAULT_CAUSATION_DEPTH: Final = 64
DEFAULT_THREADS: Final = 40
DEFAULT_WATCHDOG: Final = 1.0


def _never_dropped(_alarm: Overtime, _reason: str) -> None:
    raise AssertionError("there is room for an alarm of each subscription")


def _as_tuple(subscribers: "Iterable[Subscriber[..., Any]]") -> "tuple[Subscriber[..., Any], ...]":
    return tuple(subscribers)


def _raise_both(bodys_error: BaseException | None, others: BaseException | None) -> None:
    """Raise what ended the block and what ended the kernel, of which a cancellation is nothing to tell of."""
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(others, BaseExceptionGroup):
        others = others.split(cancelled)[1] or others
    if bodys_error is None:
        if others is not None:
            raise others
    elif others is None or isinstance(others, cancelled):
        raise bodys_error
    else:
        errors = others.exceptions if isinstance(others, BaseExceptionGroup) else (others,)
        raise BaseExceptionGroup("the runtime fell", [bodys_error, *errors])


@attrs.define(eq=False, kw_only=True, on_setattr=attrs.setters.NO_OP)
class Runtime(Emitter):
    """Runs subscribers, each as an actor with a mailbox of its own, for as long as its `async with` block.

    Leaving the block stops intake, lets the mailboxes drain for `drain_within` seconds (retries that are due by
    then included), cancels what is left, and returns when every handler has ended. An error in the block, or its
    cancellation, cancels at once. Nothing runs after the block.

    Attributes:
        subscribers: What is at work from the start; `spawn` adds more.
        drain_within: Seconds that handlers have to finish what was accepted.
        cleanup_within: Seconds that cancelled handlers have to clean up. One that takes longer cannot be abandoned:
            it is named in the log, and waited for.
        watchdog: Seconds that a handler may block the event loop before the log names it, with the line it is at; None
            for no watch. A thread looks four times as often; in virtual time nobody does.
        dead_letter_limit: Dead letters that are kept; older ones go.
        causation_depth: How long a chain of events that cause each other may get.
        clock, ids, random: What a simulation replaces: wall time, a source of ids, and randomness.

    Raises:
        InvalidOption, InvalidName, InvalidHandler: when it is made.
        RuntimeReentered: entered a second time.

    Source: nurseries (N. J. Smith, "Notes on structured concurrency", 2018); actors (Agha, 1986).
    """

    subscribers: tuple[Subscriber[..., Any], ...] = attrs.field(default=(), converter=_as_tuple)
    drain_within: float = attrs.field(default=DEFAULT_DRAIN, validator=seconds(finite=False))
    cleanup_within: float = attrs.field(default=DEFAULT_CLEANUP, validator=seconds(finite=False))
    watchdog: float | None = attrs.field(default=DEFAULT_WATCHDOG, validator=seconds(above=True, optional=True))
    dead_letter_limit: int = attrs.field(default=DEFAULT_DEAD_LETTERS, validator=count_of("dead letters"))
    _causation_depth: int = attrs.field(default=DEFAULT_CAUSATION_DEPTH, validator=count_of("events"))
    _clock: Clock = attrs.field(factory=SystemClock)
    _ids: Callable[[], str] = attrs.field(factory=unique_ids)
    _random: Random = attrs.field(factory=Random)
    dead_letters: DeadLetters = attrs.field(init=False)
    _around: Surroundings = attrs.field(init=False)
    _subscriptions: dict[str, Subscription] = attrs.field(factory=dict, init=False)
    _behaviours: dict[str, SubscriptionBehaviour] = attrs.field(factory=dict, init=False)
    _gone: Tally = attrs.field(factory=Tally, init=False)
    _fallen: list[BaseException] = attrs.field(factory=list, init=False)
    _block: "AbstractAsyncContextManager[None] | None" = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        names: set[str] = set()
        for each in self.subscribers:
            if not isinstance(each, Subscriber):
                raise InvalidOption("subscribers", each, "must hold subscribers: declare a handler with @subscriber(…)")
            if each.name in names:
                raise DuplicateSubscription(each.name)
            names.add(each.name)
        self.dead_letters = DeadLetters(self.dead_letter_limit, self._place_again)

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

    @property
    def subscriptions(self) -> Mapping[str, Subscription]:
        """What is at work, by name."""
        return MappingProxyType(self._subscriptions)

    @property
    def stats(self) -> RuntimeStats:
        """The runtime's counters now."""
        total = Tally()
        total.add(self._gone)
        for behaviour in self._behaviours.values():
            total.add(behaviour.tally)
        return RuntimeStats(
            accepted=0 if self._state is State.NEW else self._dispatcher.accepted,
            unrouted=0 if self._state is State.NEW else self._dispatcher.unrouted,
            deliveries=total.accepted,
            succeeded=total.succeeded,
            failed=total.failed,
            dropped=total.dropped,
            expired=total.expired,
            cancelled=total.cancelled,
            retried=total.retried,
            pending=total.pending,
        )

    async def spawn(
        self,
        handler: Subscriber[..., Any] | Callable[..., Any],
        *patterns: str,
        name: str | None = None,
        **options: Unpack[SubscriberOptions],
    ) -> Subscription:
        """Put one more subscriber to work: a `Subscriber`, or a handler with patterns.

        The options are those of `Subscriber`; what is given here wins over what the subscriber declares. It gets
        the events accepted from now on.

        Raises:
            DuplicateSubscription: the name is taken.
            InvalidHandler, InvalidName, InvalidOption, RuntimeClosed, WrongThread: nothing was started.

        Cancellation: only before anything was started.
        """
        self._check_open("spawn")
        if isinstance(handler, Subscriber):
            changed: dict[str, Any] = {**options}
            if patterns:
                changed["patterns"] = patterns
            if name is not None:
                changed["name"] = name
            subscriber: Subscriber[..., Any] = attrs.evolve(handler, **changed)
        else:
            subscriber = declare(*patterns, name=name, **options)(handler)
        await anyio.lowlevel.checkpoint()
        self._check_open("spawn")
        return self._start(subscriber)

    async def idle(self) -> None:
        """Wait until no delivery is pending, retries and delays included.

        With emitters at work that may never be, and in the next moment it may be over: it is meant for tests, and
        for programs that have emitted all that they will.

        Raises:
            WouldDeadlock: in a handler, whose own delivery is pending.
            RuntimeClosed, WrongThread, WrongBackend: it is not open here.

        Cancellation: changes nothing.
        """
        self._check_open("idle")
        check_here(self._kernel.port)
        await anyio.lowlevel.checkpoint()
        with waiting(self._kernel.port, self._wait_for_all):
            await self._wait_until_settled()

    def _wait_for_all(self) -> Wait:
        needs = lambda: [need for each in self._behaviours.values() for need in each.needs_to_settle_all()]  # noqa: E731 - reads as what it is
        return Wait(END, "all that is pending", needs)

    def _start(self, subscriber: Subscriber[..., Any]) -> Subscription:
        if subscriber.name in self._behaviours:
            raise DuplicateSubscription(subscriber.name)
        kind = SubscriptionBehaviour if subscriber.batch is None else BatchingBehaviour
        behaviour = kind(subscriber, self._around)
        patterns = tuple(tokens_of_pattern(pattern) for pattern in subscriber.patterns)
        routes = self._dispatcher.routes
        number = routes.add(patterns, behaviour)
        subscription = Subscription(behaviour, lambda: routes.remove(patterns, number))
        self._behaviours[subscriber.name] = behaviour
        self._subscriptions[subscriber.name] = subscription
        behaviour.when_ended.append(lambda: self._forget(behaviour))
        self._kernel.start(behaviour.actor)
        return subscription

    def _forget(self, behaviour: SubscriptionBehaviour) -> None:
        """The actor of a subscription has ended."""
        if behaviour.leaving == UNSUBSCRIBED:
            self._dispatcher.catch_up()  # a retry that was due may be on its way
            behaviour.cancel_waiting()
            self._gone.add(behaviour.tally)
            del self._behaviours[behaviour.name]
            del self._subscriptions[behaviour.name]

    @asynccontextmanager
    async def _life(self) -> AsyncGenerator[None]:
        """The whole life of the runtime, from its entry to the end of its last task."""
        bodys_error: BaseException | None = None
        others: BaseException | None = None
        is_real = current_port().stopwatch is time.perf_counter
        watchdog = open_watchdog(self.watchdog if is_real else None, self._is_busy, lambda: self._turn.ends_at)
        try:
            with watchdog:
                async with open_kernel() as kernel:
                    self._open(kernel)
                    try:
                        yield
                        await self._drain()
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        # Kept, and raised below: on its way through the kernel it would become one of a group.
                        bodys_error = error
                        self._stop_intake(drain_until=-math.inf)
                    kernel.cancel()
        except BaseException as error:
            others = error
        finally:
            self._close()
        if self._fallen:
            raise self._fallen[0]
        _raise_both(bodys_error, others)

    def _is_busy(self) -> bool:
        """Whether a handler is at work. Called in the watchdog's thread, hence the copies."""
        return any(
            hand.message is not None
            for behaviour in tuple(self._behaviours.values())
            for hand in tuple(behaviour.actor.hands)
        )

    def _open(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._thread = threading.get_ident()
        self._inbox = Inbox(kernel.port)
        tell_in_children(self)
        self._turn = kernel.turn
        self._stopwatch = kernel.port.stopwatch
        self._wall_time = self._clock.time
        self._dispatcher = Dispatcher(kernel)
        self._around = Surroundings(
            kernel=kernel,
            timers=self._dispatcher.timers,
            alarms=Timers(kernel.port, Overtime.look, sys.maxsize, _never_dropped),
            grace=self.cleanup_within,
            dead_letters=self.dead_letters,
            clock=self._clock,
            random=self._random,
            threads=anyio.CapacityLimiter(DEFAULT_THREADS),
            context=lambda delivery, name: Context(delivery, name, self),
            fall=self._fall,
        )
        kernel.start(self._dispatcher.actor)
        kernel.keep(self._dispatcher.timers.run, "postroom timers")
        kernel.keep(self._around.alarms.run, "postroom alarms")
        kernel.keep(self._name_the_stuck, "postroom end")
        for subscriber in self.subscribers:
            self._start(subscriber)
        self._state = State.OPEN
        self._open_in = self._thread

    def _stop_intake(self, drain_until: float) -> None:
        """Refuse new events, but for those of handlers while there is time."""
        self._state = State.DRAINING
        self._open_in = None
        self._until = self._around.give_up_after = drain_until
        for behaviour in self._behaviours.values():
            behaviour.leaving = behaviour.leaving or CLOSED
            behaviour.cancel_retries(due_after=drain_until)

    async def _drain(self) -> None:
        """Wait until everything accepted is settled, for `drain_within` seconds at the most.

        Cancellation: ends the drain at once.
        """
        deadline = anyio.current_time() + self.drain_within
        self._stop_intake(deadline)
        with anyio.CancelScope(deadline=deadline):
            await self._wait_until_settled()

    async def _wait_until_settled(self) -> None:
        # One subscription after the other, and again: handlers emit to each other meanwhile.
        while busy := [each for each in self._behaviours.values() if each.tally.pending]:
            for behaviour in busy:
                await behaviour.wait_until_settled()

    async def _name_the_stuck(self) -> None:
        """Once everything is cancelled, say who does not end.

        Cancellation: is what it waits for; then it looks on for `cleanup_within` seconds, or until all have ended.
        """
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.move_on_after(self.cleanup_within, shield=True) as patience:
                for behaviour in tuple(self._behaviours.values()):
                    await behaviour.wait_until_ended()
            if patience.cancelled_caught:
                stuck = [name for name, each in self._behaviours.items() if each.actor.hands]
                _log.error(
                    "%g s after their cancellation these subscriptions still run a handler that ignores it: %s. "
                    "The runtime waits for them; nothing else can be done inside one process.",
                    self.cleanup_within, ", ".join(stuck),
                )  # fmt: skip

    def _fall(self, error: BaseException) -> None:
        """End the runtime: a handler raised what ends programs."""
        self._fallen.append(error)
        self._kernel.cancel()

    def _close(self) -> None:
        """Every task has ended: settle what is left."""
        self._state = State.CLOSED
        for behaviour in self._behaviours.values():
            behaviour.leaving = CLOSED
            behaviour.cancel_waiting()
        if self._inbox is not None:
            self._inbox.close()

    def forked(self) -> None:
        """In a forked child: refuse whatever comes, since nothing of this runtime runs here."""
        if self._state is not State.NEW:
            self._state = State.FORKED
            self._open_in = None

    def _place_again(self, letter: DeadLetter) -> Receipt:
        """Place a dead letter's event anew, for its subscription alone."""
        self._check_open("dead_letters.replay")
        behaviour = self._behaviours.get(letter.subscription)
        if behaviour is None or behaviour.leaving is not None:
            raise UnknownSubscription(letter.subscription)
        self._check_room([(letter.event, (behaviour,))])
        return self._dispatcher.dispatch(letter.event, (behaviour,), self._stopwatch())

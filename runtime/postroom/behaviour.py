"""What the actor of a subscription does with its deliveries: attempts, retries, and settling each exactly once."""

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final, TypeVar

import anyio
import anyio.lowlevel
import attrs

from postroom_actors import ABANDONED, Actor, Admission, Directive, Kernel, Mailbox, Moment, Need, Order, Overflow, Owner, Phase, Port, Shut, Timers

from .actor import class_of
from .calls import UNAWAITED, call_of, close_unawaited, timed
from .clock import Clock
from .context import Context
from .dead_letters import DeadLetters
from .delivery import Delivery, LongDelivery, as_long
from .errors import HandlerAborted, SubscriptionStopped
from .event import HEAD_STARTS
from .needs import need_to_settle, needs_of_admission, needs_to_settle_all
from .outcomes import Cancelled, Dropped, Expired, Failed, Outcome, Succeeded
from .overtime import Overtime
from .pacing import BreakerAtWork, RateAtWork
from .receipt import Receipt
from .subscriber import Subscriber
from .supervision import Supervision
from .supervisor import Changes, Supervisor, Team
from .tally import Tally

_log: Final = logging.getLogger("postroom")

X = TypeVar("X")

UNSUBSCRIBED: Final = "unsubscribed"
STOPPED: Final = "stopped by its supervision"
CLOSED: Final = "the runtime closed"


@attrs.define(eq=False)
class Surroundings:
    """What all subscriptions of a runtime share.

    Attributes:
        timers: Deliveries that wait for their next attempt, each with whom it is for.
        alarms: Wake-ups for those who look for stuck handlers, and for gates.
        changes: Told of every step in the lives of actors.
        spawn_child, end_child, emit: What instances of actors ask for.
        grace: Seconds that a cancelled handler may take to clean up.
        give_up_after: When draining ends, on the loop's clock; None while nothing is being closed.
        fall: Ends the runtime with an error.
    """

    kernel: Kernel
    timers: "Timers[tuple[SubscriptionBehaviour, Delivery]]"
    alarms: Timers[Any]
    grace: float
    dead_letters: DeadLetters
    clock: Clock
    random: Random
    threads: anyio.CapacityLimiter
    context: "Callable[[Delivery, str], Context]"
    fall: Callable[[BaseException], None]
    changes: Changes
    spawn_child: Callable[..., Awaitable[Any]]
    end_child: Callable[..., Awaitable[None]]
    emit: Callable[..., Awaitable[Receipt]]
    give_up_after: float | None = None


@attrs.define(eq=False)
class SubscriptionBehaviour(Owner[Delivery]):
    """The deliveries of one subscription, from the mailbox to their outcomes.

    Attributes:
        tally: What became of its deliveries.
        busy_seconds: Spent in the handler.
        waited_seconds: Spent in the mailbox, by all that were handled successfully.
        overtime: Looks for stuck handlers, where attempts have a timeout.
        supervisor: Decides about failures; None where no directive but `resume` is possible.
        breaker: Pauses it while its dependency is down.
        unsubscribe: Takes its routes away.
        stopped_for: What its deliveries failed with where its supervision stopped it.
        leaving: No new deliveries are routed here; why, for those that are cancelled.
    """

    subscriber: Subscriber[Any, Any]
    around: Surroundings
    team: Team | None = None
    parent: "SubscriptionBehaviour | None" = None
    supervisor: Supervisor | None = attrs.field(init=False)
    breaker: BreakerAtWork | None = attrs.field(default=None, init=False)
    unsubscribe: Callable[[], None] = attrs.field(init=False)
    stopped_for: SubscriptionStopped | None = attrs.field(default=None, init=False)
    held: Shut | None = attrs.field(default=None, init=False)
    paused: Shut | None = attrs.field(default=None, init=False)
    name: str = attrs.field(init=False)
    mailbox: Mailbox[Delivery] = attrs.field(init=False)
    actor: Actor[Delivery] = attrs.field(init=False)
    overtime: Overtime | None = attrs.field(init=False)
    receive: Callable[[Delivery], Awaitable[object]] = attrs.field(init=False)
    child_call: Callable[[Delivery], Awaitable[object]] = attrs.field(init=False)
    tally: Tally = attrs.field(factory=Tally, init=False)
    busy_seconds: float = attrs.field(default=0.0, init=False)
    waited_seconds: float = attrs.field(default=0.0, init=False)
    leaving: str | None = attrs.field(default=None, init=False)
    when_settled: list[Callable[[], None]] = attrs.field(factory=list, init=False)
    when_ended: list[Callable[[], None]] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        subscriber = self.subscriber
        self.name = subscriber.name
        overflow = Overflow(subscriber.overflow)
        by_key = subscriber.concurrency > 1 or overflow is Overflow.COALESCE
        self.mailbox = Mailbox(self, subscriber.capacity, overflow, by_key)
        self.supervisor = self._supervisor()
        self.actor = self._hire()
        self.overtime = self._overtime()
        alarms, port = self.around.alarms, self.around.kernel.port
        if subscriber.breaker is not None:
            self.breaker = BreakerAtWork(subscriber.breaker, self.name, self.mailbox, port, alarms)
        if subscriber.rate is not None:
            self.mailbox.add_gate(RateAtWork(subscriber.rate, self.mailbox, port, alarms))
        self.receive = self._in_time(self._call())

    def _call(self) -> Callable[[Delivery], Awaitable[object]]:
        if self.parent is None:
            return self._call_of(self.subscriber.handler)
        self.child_call = self._call_of(self.subscriber.handler)
        return lambda delivery: self.child_call(delivery)  # its parent's next instance may bring another one

    def _call_of(self, handler: Callable[..., Any]) -> Callable[[Delivery], Awaitable[object]]:
        context, name = self.around.context, self.name
        return call_of(
            handler,
            lambda delivery: handler(delivery.event),
            lambda delivery: handler(delivery.event, context(delivery, name)),
            self.around.threads,
        )

    def take_over(self, handler: Callable[..., Any]) -> None:
        """Go on with another handler, declared alike: this is a child of an actor whose next instance has spawned it."""
        self.child_call = self._call_of(handler)

    def _supervisor(self) -> Supervisor | None:
        is_stateful = class_of(self.subscriber.handler) is not None
        policy = self.subscriber.supervision
        if policy is None and self.parent is None and not is_stateful:
            return None
        around = self.around
        phase = Phase.DOWN if is_stateful else Phase.ENDED
        supervisor = Supervisor(
            self.name,
            policy or Supervision(),
            self,
            around.kernel.port,
            around.random,
            around.changes,
            self.team,
            phase,
        )
        if self.parent is not None:
            siblings = self.parent.supervisor
            assert siblings is not None, "only actors have children"
            siblings.children.append(supervisor)
            self.when_ended.append(lambda: siblings.children.remove(supervisor))
        return supervisor

    def _hire(self) -> Actor[Delivery]:
        return Actor(self.name, self.mailbox, self, self.subscriber.concurrency)

    def _overtime(self) -> Overtime | None:
        timeout, around = self.subscriber.timeout, self.around
        if timeout is None:
            return None
        return Overtime(self.name, timeout, around.grace, self.actor, around.kernel.port, around.alarms)

    def _in_time(self, call: Callable[[X], Awaitable[object]]) -> Callable[[X], Awaitable[object]]:
        """`call` within the subscriber's timeout and watched by its breaker, if it has them."""
        timeout = self.subscriber.timeout
        if timeout is not None and self.overtime is not None:
            call = timed(call, self.name, timeout, self.overtime.expect_by)
        return call if self.breaker is None else self.breaker.around(call)

    @property
    def port(self) -> Port:
        """The event loop that its actor runs in."""
        return self.around.kernel.port

    def needs_to_admit(self, admission: Admission) -> Sequence[Need]:
        """Who must move before what `admission` has in line here gets into the mailbox."""
        return needs_of_admission(self.actor, admission)

    def need_to_settle(self, receipt: Receipt) -> Need:
        """Who must move before the delivery of `receipt` settles."""
        return need_to_settle(self.actor, receipt)

    def needs_to_settle_all(self) -> Sequence[Need]:
        """Who must move before nothing is pending here."""
        return needs_to_settle_all(self.actor, self.tally.pending)

    def in_hand(self) -> list[Delivery]:
        return self.actor.in_hand

    def order_of(self, message: Delivery) -> Order:
        event = message.event
        rank = message.since + HEAD_STARTS[event.priority]
        return Order(rank, event.key, message.expires_at, event.priority != "default")

    def succeeded(self, delivery: Delivery, result: object, started: float, ended: float) -> None:
        if result is not None and type(result) in UNAWAITED:
            kind = close_unawaited(result)
            error = HandlerAborted(self.name, f"returned a {kind} that nobody awaited (is an `await` missing?)")
            self.failed(delivery, error, started, ended)
            return
        seconds = ended - started
        self.tally.succeeded += 1
        self.busy_seconds += seconds
        self.waited_seconds += started - delivery.since
        delivery.receipt.settle(Succeeded(self.name, result, delivery.attempt, delivery.seconds + seconds))
        if self.mailbox.lanes is not None or self.when_settled:
            self._finish(delivery, was_taken=True)

    def failed(self, message: Delivery, error: BaseException, started: float, ended: float) -> Admission | None:
        delivery = self._with_time(message, started, ended)
        exception = self.as_exception(error)
        if self.breaker is not None and self.breaker.excuses(error) and self.leaving is None:
            self.mailbox.hand_back(delivery)
            return None
        if self.supervisor is None:
            return self._attempt_failed(delivery, exception, is_last=self.stopped_for is not None)
        decision = self.supervisor.decide(Moment.HANDLING, exception, delivery)
        is_last = decision.directive in (Directive.STOP, Directive.ESCALATE) or self.stopped_for is not None
        room = self._attempt_failed(delivery, exception, is_last=is_last)
        self.supervisor.apply(decision, exception)
        return room

    def _attempt_failed(self, delivery: LongDelivery, exception: Exception, *, is_last: bool) -> Admission | None:
        wait = None if is_last else self._wait_before_retry(delivery, exception)
        if isinstance(wait, Exception):
            exception, wait = wait, None
        if wait is None:
            self._give_up(delivery, exception)
            return None
        due = self.around.kernel.port.now() + wait
        if self.leaving == CLOSED and not self._is_before_the_end(due):
            self._cancel(delivery, CLOSED, delivery.attempt)
            return None
        self.tally.retried += 1
        delivery.attempt += 1
        _log.info(
            "attempt %d of %s with %s %s failed (%s); next in %.3f s",
            delivery.attempt - 1, self.name, delivery.event.name, delivery.event.id, type(exception).__name__, wait,
        )  # fmt: skip
        if delivery.event.key is not None:
            self.mailbox.hold(delivery.event.key)
        return self.around.timers.set(due, (self, delivery))

    def as_exception(self, error: BaseException) -> Exception:
        """What is told of something that a handler let out."""
        if isinstance(error, Exception):
            return error
        kind = type(error).__name__
        # By name: the class of a cancellation depends on the loop, and it is a failure here exactly when no scope
        # of the runtime asked for it.
        what = "was cancelled from inside" if kind in ("CancelledError", "Cancelled") else f"raised {kind}"
        aborted = HandlerAborted(self.name, what)
        aborted.__cause__ = error
        return aborted

    def _wait_before_retry(self, delivery: Delivery, error: Exception) -> float | Exception | None:
        """Seconds until the next attempt, None for no more, or the group of errors when the policy itself fails."""
        try:
            return self.subscriber.retry.wait_after(delivery.attempt, error, self.around.random)
        except Exception as policy_error:
            return ExceptionGroup(
                f"the handler of {self.name!r} failed, and so did its retry policy", [error, policy_error]
            )

    def _give_up(self, delivery: Delivery, error: Exception) -> None:
        reason = f"{type(error).__name__} in attempt {delivery.attempt}"
        _log.error(
            "%s gave up on %s %s after %d attempt(s): %s",
            self.name, delivery.event.name, delivery.event.id, delivery.attempt, type(error).__name__,
        )  # fmt: skip
        self.tally.failed += 1
        self._bury(delivery, reason, error, delivery.attempt)
        self._settle(delivery, Failed(self.name, error, delivery.attempt, delivery.seconds))

    def _with_time(self, delivery: Delivery, started: float, ended: float) -> LongDelivery:
        self.busy_seconds += ended - started
        delivery = as_long(delivery)
        delivery.seconds += ended - started
        return delivery

    def cancelled(self, delivery: Delivery, started: float, ended: float) -> None:
        attempts = delivery.attempt - (self.stopped_for is not None)
        self._cancel(self._with_time(delivery, started, ended), self.leaving or CLOSED, attempts)

    def interrupted(self, delivery: Delivery, interrupt: BaseException) -> None:
        # Handed back: the program ends for a reason that is not this delivery's fault.
        self._cancel(delivery, f"{type(interrupt).__name__} in a handler", delivery.attempt)
        self.around.fall(interrupt)

    def ended(self) -> None:
        self.mailbox.close()
        if self.supervisor is not None:
            self.supervisor.enter(Phase.ENDED)
        for call in self.when_ended:
            call()

    def renew(self) -> None:
        """A function has no state; but as a child of an actor it waits for its parent."""
        if self.held is None:
            self.held = Shut()
            self.mailbox.add_gate(self.held)

    def release(self) -> None:
        """The parent is there again."""
        held, self.held = self.held, None
        if held is not None:
            self.mailbox.remove_gate(held)

    def pause(self) -> None:
        """Take nothing more from the mailbox until `resume`."""
        if self.paused is None:
            self.paused = Shut()
            self.mailbox.add_gate(self.paused)

    def resume(self) -> None:
        """Undo `pause`."""
        paused, self.paused = self.paused, None
        if paused is not None:
            self.mailbox.remove_gate(paused)

    def escalate(self, error: Exception) -> None:
        """Let the runtime fall."""
        error.add_note(f"postroom: escalated by {self.name}")
        self.around.fall(error)

    def stop_for(self, error: Exception, reason: str) -> None:
        """End at once; what waits fails, its emitters go on, and what another worker has in hand goes with it."""
        if self.stopped_for is not None or not self.actor.hands:
            return
        _log.error("%s is stopped by its supervision: %s", self.name, reason)
        self.stopped_for = SubscriptionStopped(self.name, reason)
        self.stopped_for.__cause__ = error
        self.unsubscribe()
        self.leaving = STOPPED
        self.mailbox.close()
        self.cancel_waiting()
        self.actor.interrupt()

    def cancel(self, delivery: Delivery) -> None:
        """Settle a delivery that waits for its attempt, and won't have it."""
        self._cancel(delivery, self.leaving or CLOSED, delivery.attempt - 1)

    def _cancel(self, delivery: Delivery, reason: str, attempts: int) -> None:
        if self.stopped_for is not None:
            self.tally.failed += 1
            self._bury(delivery, str(self.stopped_for), self.stopped_for, attempts)
            self._settle(delivery, Failed(self.name, self.stopped_for, attempts, delivery.seconds))
            return
        self.tally.cancelled += 1
        self._settle(delivery, Cancelled(self.name, reason, attempts, delivery.seconds))

    def refused(self, message: Delivery) -> None:
        self.cancel(message)

    def expired(self, message: Delivery) -> None:
        self.tally.expired += 1
        reason = f"its turn came more than {message.event.expires_after:g} s after it was accepted"
        self._settle(message, Expired(self.name, reason, message.attempt - 1, message.seconds))

    def dropped(self, message: Delivery, reason: str) -> None:
        """Settle a delivery for which there was no room; what no policy asked to drop is kept as a dead letter."""
        self.tally.dropped += 1
        if reason is ABANDONED:
            self._bury(message, reason, None, message.attempt - 1)
        self._settle(message, Dropped(self.name, reason, message.attempt - 1, message.seconds))

    def cancel_waiting(self) -> None:
        """Settle all that is in the mailbox, in line, or waiting for its next attempt."""
        for delivery in self.mailbox.clear():
            self.cancel(delivery)
        self.cancel_retries(due_after=-math.inf)

    def cancel_retries(self, due_after: float) -> None:
        """Settle what waits for a next attempt that is due after `due_after`, on the loop's clock."""
        for _, delivery in self.around.timers.cancel(lambda message: message[0] is self, due_after):
            self.cancel(delivery)

    async def wait_until_settled(self) -> None:
        """Wait until nothing is pending here.

        Cancellation: changes nothing.
        """
        if not self.tally.pending:
            return
        settled = anyio.Event()
        self.when_settled.append(settled.set)
        try:
            await settled.wait()
        finally:
            self.when_settled.remove(settled.set)

    async def wait_until_ended(self) -> None:
        """Wait until the actor's last hand has ended.

        Cancellation: changes nothing.
        """
        if not self.actor.hands:
            await anyio.lowlevel.checkpoint()
            return
        ended = anyio.Event()
        self.when_ended.append(ended.set)
        try:
            await ended.wait()
        finally:
            self.when_ended.remove(ended.set)

    def _is_before_the_end(self, due: float) -> bool:
        end = self.around.give_up_after
        return end is None or due <= end

    def _bury(self, delivery: Delivery, reason: str, error: Exception | None, attempts: int) -> None:
        self.around.dead_letters.add(delivery.event, self.name, reason, error, attempts, self.around.clock.time())

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        delivery.receipt.settle(outcome)
        self._finish(delivery, was_taken=outcome.attempts > 0)

    def _finish(self, delivery: Delivery, *, was_taken: bool) -> None:
        """What is to be done after a delivery has settled; one that was never taken holds no key."""
        if was_taken and delivery.event.key is not None:
            self.mailbox.release(delivery.event.key)
        if self.when_settled and not self.tally.pending:
            for call in self.when_settled:
                call()

"""What the actor of a subscription does with its deliveries: attempts, retries, and settling each exactly once."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import attrs

from postroom_actors import ABANDONED, Actor, Admission, Directive, Mailbox, Moment, Need, Order, Overflow, Port

from .calls import call_of, close_unawaited, is_unawaited, timed, timed_by
from .contract import letter_id
from .dead_letters import letter_of, reason_of
from .delivery import LET_GO, Delivery, LongDelivery, as_long, deliveries_in, let_go
from .errors import HandlerAborted, UnreadableEvent
from .event import HEAD_STARTS, Event
from .loans import Grave, LoanReceipt, is_lost
from .log import printable
from .needs import need_to_settle, needs_of_admission, needs_of_delay, needs_to_settle_all
from .outcomes import Cancelled, Dropped, Expired, Failed, Outcome, Succeeded
from .overtime import Overtime
from .policy import SILENT, Decided, decide, says_nothing
from .reading import reader_of, reader_of_handler
from .receipt import Receipt
from .retry import checked_wait
from .supervised import CLOSED, Supervised

X = TypeVar("X")


@attrs.define(eq=False)
class SubscriptionBehaviour(Supervised):
    """The deliveries of one subscription, from the mailbox to their outcomes.

    Attributes:
        busy_seconds: Spent in the handler.
        waited_seconds: Spent in the mailbox, by all that were handled successfully.
        policy: Of deliveries whose event says nothing of it.
        overtime: Looks for stuck handlers, where attempts have a timeout.
        read: What makes of an event what the handler asks for; None where that is the event itself.
    """

    policy: Decided = attrs.field(init=False)
    overtime: Overtime | None = attrs.field(default=None, init=False)
    receive: Callable[[Delivery], Awaitable[object]] = attrs.field(init=False)
    busy_seconds: float = attrs.field(default=0.0, init=False)
    waited_seconds: float = attrs.field(default=0.0, init=False)
    read: Callable[[Event], Any] | None = attrs.field(init=False)
    _call: Callable[[Delivery], Awaitable[object]] = attrs.field(init=False)
    _child_call: Callable[[Delivery], Awaitable[object]] = attrs.field(init=False)
    _by_event: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        subscriber = self.subscriber
        self.name = subscriber.name
        self.find_teller()
        # Of what a store has lent nothing is dropped: the policy holds for the backlog there.
        overflow = Overflow.WAIT if self.around.is_durable else Overflow(subscriber.overflow)
        by_key = subscriber.concurrency > 1 or overflow is Overflow.COALESCE
        self.mailbox = Mailbox(self, subscriber.capacity, overflow, by_key)
        self.find_supervisor()
        self.actor = self._hire()
        self.set_gates()
        self.read = reader_of(subscriber)
        self.policy = decide(SILENT, subscriber, self.around.defaults)
        self._call = self.around.surrounded(
            self._with_copies(self._single_call()), lambda delivery: self.around.context(delivery, self.name), self
        )
        self.receive = self._in_time(self._call)

    def _hire(self) -> Actor[Delivery]:
        return Actor(self.name, self.mailbox, self, self.subscriber.concurrency)

    def _single_call(self) -> Callable[[Delivery], Awaitable[object]]:
        call = self.call_of(self.subscriber.handler, self.read)
        if self.parent is None:
            return call
        self._child_call = call
        return lambda delivery: self._child_call(delivery)  # its parent's next instance may bring another one

    def take_over(self, handler: Any) -> None:
        read = reader_of_handler(handler, self.name, in_batches=self.subscriber.batch is not None)
        self._child_call = self.call_of(handler, read)

    def call_of(
        self, handler: Callable[..., Any], read: Callable[[Event], Any] | None
    ) -> Callable[[Delivery], Awaitable[object]]:
        """A call of a function or method with what a delivery has for it."""
        context, name = self.around.context, self.name
        if read is None:
            return call_of(
                handler,
                lambda delivery: handler(delivery.event),
                lambda delivery: handler(delivery.event, context(delivery, name)),
                anyio.CapacityLimiter(self.subscriber.concurrency),  # its own, so that nobody else's hang stops it
            )
        return call_of(
            handler,
            lambda delivery: handler(read(delivery.event)),
            lambda delivery: handler(read(delivery.event), context(delivery, name)),
            anyio.CapacityLimiter(self.subscriber.concurrency),  # its own, so that nobody else's hang stops it
        )

    def _with_copies(self, call: Callable[[Delivery], Awaitable[object]]) -> Callable[[Delivery], Awaitable[object]]:
        """`call` with a copy of each delivery, in a runtime that makes copies."""
        copy = self.around.copy
        return call if copy is None else lambda delivery: call(copy(delivery))

    def _in_time(self, call: Callable[[X], Awaitable[object]]) -> Callable[[X], Awaitable[object]]:
        """`call` within the timeout that holds for all, if there is one."""
        timeout = self.policy.timeout
        if timeout != math.inf:
            call = timed(call, self.name, timeout, self.port, self._look_after().expect_by)
        return self._watched(call)

    def _watched(self, call: Callable[[X], Awaitable[object]]) -> Callable[[X], Awaitable[object]]:
        """`call`, watched by the breaker, if there is one."""
        return call if self.breaker is None else self.breaker.around(call)

    def _look_after(self) -> Overtime:
        if self.overtime is None:
            around = self.around
            self.overtime = Overtime(
                self.limit_of, around.grace, self.actor, around.kernel.port, self.alarms, self.teller.stuck
            )
        return self.overtime

    def policy_of(self, event: Event) -> Decided:
        """The policy of this event's delivery here."""
        return self.policy if says_nothing(event) else decide(event, self.subscriber, self.around.defaults)

    def limit_of(self, message: Any) -> float:
        """Seconds that an attempt at what is in hand may take; infinite for no limit."""
        return self.policy_of(message.event).timeout

    def expect_timeouts(self) -> None:
        """From now on events may have timeouts of their own. They come through the lanes, whose reader sees it."""
        if not self._by_event:
            self._by_event = True
            call = timed_by(self._call, self.name, self.limit_of, self.port, self._look_after().expect_by)
            self.receive = self._watched(call)

    @property
    def port(self) -> Port:
        """The event loop that its actor runs in."""
        return self.around.kernel.port

    def needs_to_admit(self, admission: Admission) -> Sequence[Need]:
        """Who must move before what `admission` has in line here gets into the mailbox."""
        return [*needs_of_admission(self.actor, admission), *needs_of_delay(self.actor, self._delays, admission)]

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
        # One with a timeout of its own leaves the plain queue, whose reader handles all alike.
        return Order(rank, event.key, message.expires_at, event.priority != "default" or event.timeout is not None)

    def succeeded(self, delivery: Delivery, result: object, started: float, ended: float) -> None:
        if result is not None and is_unawaited(result):
            kind = close_unawaited(result)
            error = HandlerAborted(self.name, f"returned a {kind} that nobody awaited (is an `await` missing?)")
            self.failed(delivery, error, started, ended)
            return
        seconds = ended - started
        self.tally.succeeded += 1
        self.busy_seconds += seconds
        self.waited_seconds += started - delivery.since
        receipt, delivery.receipt = delivery.receipt, LET_GO
        receipt.settle(Succeeded(self.name, result, delivery.attempt, delivery.seconds + seconds))
        if self.mailbox.lanes is not None or self.when_settled:
            self._finish(delivery, was_taken=True)

    def failed(self, message: Delivery, error: BaseException, started: float, ended: float) -> Admission | None:
        delivery = self._with_time(message, started, ended)
        exception = self.as_exception(error)
        if self.goes_back(error) and not is_lost(delivery):
            self.mailbox.hand_back(delivery)
            return None
        if self.supervisor is None:
            return self._attempt_failed(delivery, exception)
        decision = self.supervisor.decide(Moment.HANDLING, exception, delivery)
        is_last = decision.directive in (Directive.STOP, Directive.ESCALATE) or self.stopped_for is not None
        room = self._attempt_failed(delivery, exception, is_last=is_last)
        self.supervisor.apply(decision, exception)
        return room

    def goes_back(self, error: BaseException) -> bool:
        """Whether what has just failed with `error` costs no attempt, and goes to the front of the mailbox."""
        return self.breaker is not None and self.breaker.excuses(error) and self.leaving is None

    def _attempt_failed(
        self, delivery: LongDelivery, exception: Exception, *, is_last: bool = False
    ) -> Admission | None:
        if is_lost(delivery):
            self._cancel(delivery, CLOSED, delivery.attempt)
            return None
        policy = self.policy_of(delivery.event)
        try:
            wait = None if is_last else self._wait_before_retry(delivery, exception, policy)
        except (KeyboardInterrupt, SystemExit) as interrupt:  # out of a backoff
            self.interrupted(delivery, interrupt)
            return None
        if isinstance(wait, Exception):
            exception, wait = wait, None
        if wait is None:
            self._give_up(delivery, exception, policy)
            return None
        due = self.around.kernel.port.now() + wait
        if self.leaving == CLOSED and not self.has_time_until(due):
            if isinstance(delivery.receipt, LoanReceipt):  # its store remembers the attempt, and when the next is due
                delivery.receipt.due = due
                delivery.attempt += 1
            self._cancel(delivery, CLOSED, delivery.attempt)
            return None
        self.tally.retried += 1
        delivery.attempt += 1
        self.teller.retrying(delivery, delivery.attempt - 1, exception, wait, quiet=policy.quiet)
        loan = delivery.receipt
        if isinstance(loan, LoanReceipt):
            loan.desk.retrying(loan, delivery.attempt - 1, wait)
        if (key := delivery.event.key) is not None:
            self.mailbox.hold(key)
        return self.retries.set(due, delivery, key=key)

    def _wait_before_retry(self, delivery: Delivery, error: Exception, policy: Decided) -> float | Exception | None:
        """Seconds until the next attempt, None for no more, or the group of errors when the policy itself fails."""
        if delivery.attempt >= policy.attempts or not self.subscriber.retry.is_for(error):
            return None
        if isinstance(error, UnreadableEvent) and error.id == delivery.event.id:
            return None  # it will not be any more readable next time
        try:
            return checked_wait(policy.backoff, delivery.attempt, self.around.random)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as policy_error:
            return ExceptionGroup(
                f"the handler of {self.name!r} failed, and so did its retry policy",
                [error, self.as_exception(policy_error)],
            )

    def _give_up(self, delivery: Delivery, error: Exception, policy: Decided) -> None:
        is_unreadable = isinstance(error, UnreadableEvent) and error.id == delivery.event.id
        reason = printable(str(error)) if is_unreadable else reason_of(error, delivery.attempt)
        self.teller.gave_up(delivery, error, quiet=policy.quiet)
        self.tally.failed += 1
        self._bury(delivery, reason, error, delivery.attempt)
        self._settle(delivery, Failed(self.name, error, delivery.attempt, delivery.seconds))

    def _with_time(self, delivery: Delivery, started: float, ended: float) -> LongDelivery:
        self.busy_seconds += ended - started
        delivery = as_long(delivery)
        delivery.seconds += ended - started
        return delivery

    def cancelled(self, delivery: Delivery, started: float, ended: float) -> None:
        attempts = delivery.attempt - (self.stopped_for is not None)  # it failed for another one's fault
        if self.leaving == CLOSED:
            self.teller.cut_short(delivery)
        self._cancel(self._with_time(delivery, started, ended), self.leaving or CLOSED, attempts)

    def interrupted(self, delivery: Delivery, interrupt: BaseException) -> None:
        # Handed back: the program ends for a reason that is not this delivery's fault.
        self._cancel(delivery, f"{type(interrupt).__name__} in a handler", delivery.attempt)
        self.around.fall(interrupt)

    def ended(self) -> None:
        self.mailbox.close()
        self.cancel_waiting()  # at once: somebody who must end first may wait for it
        Supervised.ended(self)

    def cancel(self, delivery: Delivery) -> None:
        """Settle a delivery that waits for its attempt, and won't have it."""
        self._cancel(delivery, self.leaving or CLOSED, delivery.attempt - 1)

    def _cancel(self, delivery: Delivery, reason: str, attempts: int) -> None:
        loan = delivery.receipt
        if isinstance(loan, LoanReceipt):
            self.tally.returned += 1
            loan.desk.returned(loan, delivery.attempt - 1)
            self._finish(delivery, was_taken=True)
            return
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
        self.teller.changed("dropped", message.event, reason=reason)
        if reason is ABANDONED:
            self._bury(message, reason, None, message.attempt - 1)
        self._settle(message, Dropped(self.name, reason, message.attempt - 1, message.seconds))

    def cancel_waiting(self) -> None:
        """Settle all that is in the mailbox, in line, or waiting for its next attempt."""
        for delivery in self.mailbox.clear():
            self.cancel(delivery)
        self.cancel_retries(due_after=-math.inf)

    def cancel_retries(self, due_after: float) -> None:
        """Settle what is delayed or waits for its next attempt, and is due after `due_after`, on the loop's clock."""
        for delivery in self.take_scheduled(due_after):
            self.cancel(delivery)

    def may_take(self) -> bool:
        """Whether its gates let anything through now."""
        return self.mailbox.gates_are_open

    def reopened(self) -> None:
        self.around.reopened()

    def lose_loans(self) -> tuple[int, int]:
        """All that a store has lent is worth nothing any more: end what is in hand, forget the rest.

        Returns:
            How many were in hand, and how many waited.
        """
        in_hand = self.actor.in_hand
        waiting = self.mailbox.clear()
        waiting += self.take_scheduled()
        self.tally.returned += len(waiting)
        for delivery in waiting:
            self._finish(delivery, was_taken=True)
        taken = [delivery for message in in_hand for delivery in deliveries_in(message)]
        for delivery in taken:
            assert isinstance(delivery.receipt, LoanReceipt), "nothing else comes from a store"
            delivery.receipt.lost = True
        if in_hand:
            self.end_hands()
        return len(taken), len(waiting)

    def end_hands(self) -> None:
        """Cancel what the workers have in hand; others take their places."""
        self.around.kernel.replace(self.actor)

    def has_time_until(self, due: float) -> bool:
        """Whether something may still happen at `due`, on the loop's clock: the runtime stays open, or drains."""
        end = self.around.give_up_after
        return end is None or due <= end

    def _bury(self, delivery: Delivery, reason: str, error: Exception | None, attempts: int) -> None:
        loan = delivery.receipt
        if isinstance(loan, LoanReceipt):
            loan.grave = Grave(reason, error, attempts)
            time = self.around.clock.time()
            self.around.dead_letters.stored(
                letter_of(letter_id(loan.token), delivery.event, self.name, reason, error, attempts, time)
            )
            self.teller.buried(delivery.event, error, reason, attempts)
            return
        self.around.dead_letters.add(delivery.event, self.name, reason, error, attempts, self.around.clock.time())
        self.teller.buried(delivery.event, error, reason, attempts)

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        let_go(delivery).settle(outcome)
        self._finish(delivery, was_taken=outcome.attempts > 0)

    def _finish(self, delivery: Delivery, *, was_taken: bool) -> None:
        """What is to be done after a delivery has settled; one that was never taken holds no key."""
        key = delivery.event.key
        if was_taken and key is not None:
            if self._retries is not None and self._retries.finished(key, delivery):
                self.mailbox.hold(key)  # others of it failed together with this one, and come back before the rest
            else:
                self.mailbox.release(key)
        if self.when_settled and not self.tally.pending:
            for call in self.when_settled:
                call()

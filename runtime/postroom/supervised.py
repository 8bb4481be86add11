"""A subscription as its user and its supervisor see it: something that is paused, held, stopped, and ends."""

import math
from collections.abc import Callable
from typing import Any, Final

import anyio
import anyio.lowlevel
import attrs

from postroom_actors import Actor, Gate, Mailbox, Owner, Phase, Schedule, Shut

from .actor import class_of
from .delivery import Delivery
from .errors import HandlerAborted
from .overtime import Alarm, alarms_on
from .pacing import BreakerAtWork, RateAtWork
from .subscriber import Subscriber
from .supervision import SubscriptionStopped, Supervision
from .supervisor import Supervisor, Team
from .surroundings import Surroundings
from .tally import Tally
from .telling import Teller

UNSUBSCRIBED: Final = "unsubscribed"
CLOSED: Final = "the runtime closed"
STOPPED: Final = "stopped by its supervision"


@attrs.define(eq=False)
class Supervised(Owner[Delivery]):
    """The life of one subscription; its deliveries are the business of `SubscriptionBehaviour`.

    Attributes:
        teller: Tells the log and those who watch.
        started: When it was put to work, on the kernel's stopwatch.
        team: The siblings with which it is restarted.
        parent: The actor whose child it is.
        tally: What became of its deliveries.
        supervisor: Decides about failures; None where no directive but `resume` is possible.
        breaker: Pauses it while its dependency is down.
        rate: Lets only so many attempts begin.
        unsubscribe: Takes its routes away.
        stopped_for: What its deliveries failed with where its supervision stopped it.
        leaving: No new deliveries are routed here; why, for those that are cancelled.
    """

    subscriber: Subscriber[Any, Any]
    around: Surroundings
    team: Team | None = None
    parent: "Supervised | None" = None
    name: str = attrs.field(init=False)
    teller: Teller = attrs.field(init=False)
    mailbox: Mailbox[Delivery] = attrs.field(init=False)
    actor: Actor[Delivery] = attrs.field(init=False)
    tally: Tally = attrs.field(factory=Tally, init=False)
    supervisor: Supervisor | None = attrs.field(default=None, init=False)
    breaker: BreakerAtWork | None = attrs.field(default=None, init=False)
    rate: RateAtWork | None = attrs.field(default=None, init=False)
    unsubscribe: Callable[[], None] = attrs.field(init=False)
    stopped_for: SubscriptionStopped | None = attrs.field(default=None, init=False)
    started: float = attrs.field(default=0.0, init=False)
    leaving: str | None = attrs.field(default=None, init=False)
    when_settled: list[Callable[[], None]] = attrs.field(factory=list, init=False)
    when_ended: list[Callable[[], None]] = attrs.field(factory=list, init=False)
    _held: Gate | None = attrs.field(default=None, init=False)
    _paused: Gate | None = attrs.field(default=None, init=False)
    _retries: Schedule[Delivery] | None = attrs.field(default=None, init=False)
    _delays: Schedule[Delivery] | None = attrs.field(default=None, init=False)
    _alarms: Schedule[Alarm] | None = attrs.field(default=None, init=False)

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

    def find_teller(self) -> None:
        """Make what tells the log and those who watch."""
        around = self.around
        self.teller = Teller(self.name, around.log, around.changes, around.clock)

    def find_supervisor(self) -> None:
        """Make a supervisor where one is asked for, or needed."""
        is_stateful = class_of(self.subscriber.handler) is not None
        policy = self.subscriber.supervision
        if policy is None and self.parent is None and not is_stateful:
            return
        around = self.around
        phase = Phase.DOWN if is_stateful else Phase.ENDED
        port, random, turns = around.kernel.port, around.random, around.turns
        supervisor = Supervisor(
            self.name, policy or Supervision(), self, port, random, turns, self.teller, self.team, phase
        )
        self.supervisor = supervisor
        if self.parent is not None:
            parent = self.parent.supervisor
            assert parent is not None, "only actors have children"
            supervisor.parent = parent
            parent.children.append(supervisor)
            self.when_ended.append(lambda: parent.children.remove(supervisor))

    @property
    def retries(self) -> Schedule[Delivery]:
        """What waits for its next attempt; made when it is first asked for."""
        if self._retries is None:
            self._retries = self.around.schedule_of(self, False)
        return self._retries

    @property
    def delays(self) -> Schedule[Delivery]:
        """What is delayed; made when it is first asked for. Apart, so that emitters never hold up retries."""
        if self._delays is None:
            self._delays = self.around.schedule_of(self, True)
        return self._delays

    @property
    def scheduled(self) -> int:
        """How many deliveries are delayed or wait for their next attempt."""
        return sum(len(each) for each in (self._retries, self._delays) if each is not None)

    @property
    def scheduled_in_line(self) -> int:
        """How many wait until there is room for them to be scheduled."""
        return sum(len(each.line) for each in (self._retries, self._delays) if each is not None)

    def take_scheduled(self, due_after: float = -math.inf) -> list[Delivery]:
        """Cancel what is delayed or waits for its next attempt, and is due after `due_after`, on the loop's clock."""
        schedules = (self._retries, self._delays)
        return [delivery for each in schedules if each is not None for delivery in each.cancel(due_after)]

    @property
    def alarms(self) -> Schedule[Alarm]:
        """Its own alarms; made when they are first asked for."""
        if self._alarms is None:
            self._alarms = alarms_on(self.around.alarms)
        return self._alarms

    def set_gates(self) -> None:
        """Put up the breaker and the rate that are asked for."""
        port = self.around.kernel.port
        if self.subscriber.breaker is not None:
            self.breaker = BreakerAtWork(self.subscriber.breaker, self.mailbox, port, self.alarms, self.teller.breaker)
        if self.subscriber.rate is not None:
            self.rate = RateAtWork(self.subscriber.rate, self.mailbox, port, self.alarms)
            self.mailbox.add_gate(self.rate)

    @property
    def is_paused(self) -> bool:
        """Whether its user has paused it."""
        return self._paused is not None

    def pause(self) -> None:
        """Take nothing more from the mailbox until `resume`."""
        if self._paused is None:
            self._paused = Shut()
            self.mailbox.add_gate(self._paused)

    def resume(self) -> None:
        """Undo `pause`."""
        paused, self._paused = self._paused, None
        if paused is not None:
            self.mailbox.remove_gate(paused)

    def renew(self) -> None:
        """A function has no state; but as a child of an actor it waits for its parent."""
        if self._held is None:
            self._held = Shut()
            self.mailbox.add_gate(self._held)

    def release(self) -> None:
        """The parent is there again."""
        held, self._held = self._held, None
        if held is not None:
            self.mailbox.remove_gate(held)

    def take_over(self, handler: Any) -> None:
        """Go on with another handler, declared alike: the next instance of its parent has spawned it."""
        raise NotImplementedError

    def cancel_waiting(self) -> None:
        """Settle all that is in the mailbox, in line, or waiting for its next attempt."""
        raise NotImplementedError

    def escalate(self, error: Exception) -> None:
        """Let the runtime fall."""
        error.add_note(f"postroom: escalated by {self.name}")
        self.around.fall(error)

    def stop_for(self, error: Exception, reason: str) -> None:
        """End at once; what waits fails, its emitters go on, and what another worker has in hand goes with it."""
        if self.stopped_for is not None or not self.actor.hands:
            return
        self.teller.stopped(reason)
        self.stopped_for = SubscriptionStopped(self.name, reason)
        self.stopped_for.__cause__ = error
        self.unsubscribe()
        self.leaving = STOPPED
        self.mailbox.close()
        self.cancel_waiting()
        self.actor.interrupt()

    def ended(self) -> None:
        """The actor's last hand has ended."""
        if self._alarms is not None:
            self._alarms.cancel()
        if self.supervisor is not None:
            self.supervisor.enter(Phase.ENDED)
        for call in self.when_ended:
            call()

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

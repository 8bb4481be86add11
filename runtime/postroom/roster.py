"""The roster: who is at work in a runtime, and how they start and leave."""

from collections.abc import Iterable
from typing import Any

import attrs

from postroom_actors import Directive, Intensity, Phase, Strategy

from .actor import class_of
from .batching import BatchingBehaviour
from .behaviour import SubscriptionBehaviour
from .dispatcher import Dispatcher
from .errors import DuplicateSubscription, InvalidOption
from .names import tokens_of_pattern
from .siblings import Siblings
from .stateful import StatefulBehaviour
from .subscriber import Subscriber
from .subscription import Subscription
from .supervised import CLOSED
from .supervision import SubscriptionStopped
from .supervisor import Team
from .surroundings import Surroundings
from .tally import Tally


@attrs.define(eq=False)
class Roster:
    """All subscriptions of one runtime, by name.

    Attributes:
        gone: What those have counted that are at work no more.
    """

    behaviours: dict[str, SubscriptionBehaviour] = attrs.field(factory=dict, init=False)
    subscriptions: dict[str, Subscription] = attrs.field(factory=dict, init=False)
    gone: Tally = attrs.field(factory=Tally, init=False)
    _dispatcher: Dispatcher = attrs.field(init=False)
    _around: Surroundings = attrs.field(init=False)

    def open(self, dispatcher: Dispatcher, around: Surroundings) -> None:
        """The runtime is being entered."""
        self._dispatcher = dispatcher
        self._around = around

    def total(self) -> Tally:
        """What all of them have counted."""
        total = Tally()
        total.add(self.gone)
        for behaviour in self.behaviours.values():
            total.add(behaviour.tally)
        return total

    def start(
        self,
        subscriber: Subscriber[..., Any],
        *,
        team: Team | None = None,
        parent: SubscriptionBehaviour | None = None,
    ) -> Subscription:
        """Put a subscriber to work.

        Raises:
            DuplicateSubscription: the name is taken.
        """
        self._check_free([subscriber])
        kind: type[SubscriptionBehaviour] = SubscriptionBehaviour
        if class_of(subscriber.handler) is not None:
            kind = StatefulBehaviour
        elif subscriber.batch is not None:
            kind = BatchingBehaviour
        behaviour = kind(subscriber, self._around, team, parent)
        patterns = tuple(tokens_of_pattern(pattern) for pattern in subscriber.patterns)
        routes = self._dispatcher.routes
        number = routes.add(patterns, behaviour)
        behaviour.unsubscribe = lambda: routes.remove(patterns, number)
        subscription = Subscription(behaviour)
        self.behaviours[subscriber.name] = behaviour
        self.subscriptions[subscriber.name] = subscription
        behaviour.when_ended.append(lambda: self._forget(behaviour))
        behaviour.started = behaviour.port.stopwatch()
        self._around.kernel.start(behaviour.actor)
        behaviour.teller.changed("spawned")
        if self._around.serve is not None:
            self._around.serve(behaviour)
        return subscription

    def start_siblings(self, siblings: Siblings) -> list[Subscription]:
        """Put all of them to work, or none.

        Raises:
            DuplicateSubscription: a name is taken.
        """
        self._check_free(siblings.members)
        intensity = Intensity(siblings.intensity, siblings.within)
        team = Team(Strategy(siblings.strategy), intensity, Directive(siblings.beyond))
        return [self.start(member, team=team) for member in siblings.members]

    def start_child(self, subscriber: Subscriber[..., Any], parent: SubscriptionBehaviour) -> Subscription:
        """Put a child of an actor to work, or let it take over from the child that the instance before had.

        Raises:
            DuplicateSubscription: the name is taken.
            InvalidOption: the one before was declared otherwise.
        """
        before = self.behaviours.get(subscriber.name)
        if before is None or before.parent is not parent or parent.supervisor is None:
            return self.start(subscriber, parent=parent)
        supervisor = before.supervisor
        if parent.supervisor.phase is not Phase.STARTING or supervisor is None or not supervisor.held:
            raise DuplicateSubscription(subscriber.name)
        if attrs.evolve(subscriber, handler=before.subscriber.handler) != before.subscriber:
            raise InvalidOption("name", subscriber.name, "its mailbox belongs to a child that was declared otherwise")
        before.take_over(subscriber.handler)
        supervisor.let_go()
        return self.subscriptions[subscriber.name]

    async def end_child(self, name: str, stopped_for: SubscriptionStopped | None) -> None:
        """End a child whose parent ends: as that one did, or drained.

        Cancellation: what it has not finished by then is cancelled.
        """
        child = self.behaviours.get(name)
        if child is None:
            return
        subscription = self.subscriptions[name]
        if stopped_for is not None:
            child.stop_for(stopped_for, f"its parent was stopped: {stopped_for.reason}")
        try:
            await subscription.stop(drain=stopped_for is None)
        finally:
            child.actor.interrupt()

    def _check_free(self, subscribers: "Iterable[Subscriber[..., Any]]") -> None:
        taken = set(self.behaviours)
        for each in subscribers:
            if each.name in taken:
                raise DuplicateSubscription(each.name)
            taken.add(each.name)

    def _forget(self, behaviour: SubscriptionBehaviour) -> None:
        """The actor of a subscription has ended."""
        behaviour.teller.changed("stopped", reason=behaviour.leaving or CLOSED)
        if behaviour.leaving in (None, CLOSED):
            return
        self._dispatcher.catch_up()  # a retry that was due may be on its way
        behaviour.cancel_waiting()
        self.gone.add(behaviour.tally)
        del self.behaviours[behaviour.name]
        del self.subscriptions[behaviour.name]

"""Invariants: what must hold between any two steps, where nothing can run, and at the end.

They read the runtime's own counters and places: what is said by one must be so by the other, and by the model.
"""

import math
from typing import Any

import attrs

from postroom import Runtime, Subscription
from postroom.behaviour import SubscriptionBehaviour
from postroom.emitter import State
from postroom.supervisor import Supervisor
from postroom_actors import Actor

from .model import Model
from .world import World

_COUNTED = ("succeeded", "failed", "dropped", "expired", "cancelled")


@attrs.define(eq=False)
class Invariants:
    """Of one runtime."""

    world: World
    model: Model
    runtime: Runtime

    def check(self) -> None:
        """Between two steps."""
        runtime = self.runtime
        if runtime._state is State.NEW or runtime._state is State.CLOSED:
            return
        dispatcher = runtime._dispatcher
        inbox = dispatcher.actor.mailbox
        places = len(inbox) + len(inbox.line) + len(dispatcher.actor.in_hand)
        pending = 0
        for name, behaviour in runtime._roster.behaviours.items():
            places += self.check_one(name, behaviour)
            pending += behaviour.tally.pending
        known = sum(map(len, self.model.pending.values()))
        if not known == pending == places:
            self.world.complain(f"{known} deliveries are pending, {pending} are counted, and {places} are found")

    def check_one(self, name: str, behaviour: SubscriptionBehaviour) -> int:
        """Of one subscription; returns how many of its deliveries are found."""
        mailbox, actor, spec = behaviour.mailbox, behaviour.actor, behaviour.subscriber
        length, in_hand, line = len(mailbox), len(actor.in_hand), len(mailbox.line)
        complain = self.world.complain
        known = len(self.model.pending.get(name, ()))
        if behaviour.tally.pending != known:
            complain(f"{name} counts {behaviour.tally.pending} pending, and {known} are")
        if mailbox.high_water_mark > spec.capacity:
            complain(f"the mailbox of {name} held {mailbox.high_water_mark} of {spec.capacity}")
        size = 1 if spec.batch is None else spec.batch.size
        most = spec.concurrency * size
        if length > spec.capacity:
            complain(f"the mailbox of {name} holds {length} of {spec.capacity}")
        if in_hand > most:
            complain(f"{name} has {in_hand} in hand, and may have {most}")
        if line and length < spec.capacity:
            complain(f"{line} stand in line for {name}, and its mailbox has room")
        if len(actor.hands) > spec.concurrency:
            complain(f"{name} has {len(actor.hands)} hands, and {spec.concurrency} are right")
        stays = behaviour.leaving is None and not self.runtime._fallen and not self.model.closing
        if stays and len(actor.hands) != spec.concurrency and self.runtime._state is State.OPEN:
            complain(f"{name} has {len(actor.hands)} hands left of {spec.concurrency}")
        if any(gate.held_by is not None and gate.held_by.message is None for gate in mailbox.gates):
            complain(f"a gate of {name} is held by a hand that has nothing in hand")
        if behaviour.stopped_for is not None and behaviour.supervisor is not None:
            self.check_intensity(name, behaviour.supervisor)
        if mailbox.idle_hands != len(actor._idle):
            complain(f"{name} counts {mailbox.idle_hands} idle hands, and {len(actor._idle)} are")
        # What came back is not counted as waiting, but it is there.
        return len(mailbox.waiting()) + line + in_hand + behaviour.scheduled + behaviour.scheduled_in_line

    def check_intensity(self, name: str, supervisor: Supervisor) -> None:
        """Of one that was stopped since it, or one of its siblings, was restarted too often."""
        team = supervisor.team
        members, most = ([supervisor], supervisor.policy.intensity)
        if team is not None:
            members, most = team.members, team.intensity.most
        restarts = sum(each.restarts for each in members)
        if restarts < most:
            self.world.complain(f"{name} was stopped after {restarts} restarts, and {most} are allowed")

    def check_at_rest(self) -> None:
        """Where nothing can run before time goes on: whoever could do something would have."""
        runtime = self.runtime
        if runtime._state is State.NEW or runtime._state is State.CLOSED:
            return
        dispatcher = runtime._dispatcher
        actors: list[Actor[Any]] = [dispatcher.actor, *(each.actor for each in runtime._roster.behaviours.values())]
        for actor in actors:
            if actor.mailbox.idle_hands and actor.mailbox.has_mail:
                self.world.complain(f"{actor.name} sleeps beside mail")
            if actor.mailbox.idle_hands and actor.closed:
                self.world.complain(f"{actor.name} is closed, and sleeps instead of ending")
        now = self.world.now()
        due = min((when for when, number, holder in dispatcher.timers._heap if holder.holds(number)), default=math.inf)
        if due < now < runtime._until and not runtime._fallen:
            self.world.complain(f"what was due at {due} has not come by {now}")
        self.look_around()

    def look_around(self) -> None:
        """Count what is rare."""
        mark = self.world.sometimes.hit
        for subscription in self.runtime.subscriptions.values():
            self.look_at(subscription)
        if self.runtime._fallen:
            mark("fell")

    def look_at(self, subscription: Subscription) -> None:
        mark = self.world.sometimes.hit
        behaviour = subscription._behaviour
        is_full = len(behaviour.mailbox) >= behaviour.mailbox.capacity
        if behaviour.is_paused and is_full:
            mark("paused while full")
        if behaviour.rate is not None and len(behaviour.mailbox) and not behaviour.mailbox.has_mail:
            mark("rate waited")
        if behaviour.breaker is not None and behaviour.breaker.state.value == "open":
            mark("breaker opened")
        if behaviour.overtime is not None and behaviour.overtime.stuck:
            mark("stuck")
        if behaviour.supervisor is not None and behaviour.supervisor.restarts:
            mark("restarted" if behaviour.supervisor.failure is not None else "sibling restarted")
        mailbox, lanes = behaviour.mailbox, behaviour.mailbox.lanes
        if lanes is not None and lanes.keys and len(mailbox) and not mailbox.gates and not behaviour.actor.in_hand:
            mark("key held by a retry")

    def check_at_end(self) -> None:
        """After the block: nothing is left, and all is counted."""
        runtime, model = self.runtime, self.model
        left = [str(one) for mine in model.pending.values() for one in mine.values()]
        if left:
            self.world.complain(f"closed, and these have not settled: {', '.join(left)}")
        stats = runtime.stats
        counted = {name: getattr(stats, name) for name in _COUNTED}
        known = {name: model.outcomes[name.capitalize()] for name in _COUNTED}
        if counted != known or stats.pending or stats.staged:
            self.world.complain(f"closed, and it counts {stats}, which should be {known}")
        if stats.deliveries != sum(model.accepted.values()):
            self.world.complain(f"it counts {stats.deliveries} deliveries of {sum(model.accepted.values())}")
        if any(holder.holds(number) for _, number, holder in runtime._dispatcher.timers._heap):
            self.world.complain("closed, and timers are set")
        hands = [name for name, each in runtime._roster.behaviours.items() if each.actor.hands]
        if hands:
            self.world.complain(f"closed, and these have hands: {hands}")

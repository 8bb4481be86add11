"""Supervisors at work: what a failure comes to, by the rules, for a subscription and those who live with it.

Units: seconds, on the loop's clock.
"""

from collections.abc import Sequence
from random import Random
from typing import Protocol

import anyio
import anyio.lowlevel
import attrs

from postroom_actors import (
    Directive,
    Intensity,
    Moment,
    Phase,
    Port,
    Strategy,
    affected,
    effective,
    may_start,
    may_stop,
)

from .delivery import LongDelivery
from .supervision import Supervision, wait_before_restart
from .telling import Teller


class Charge(Protocol):
    """What a supervisor does to the subscription in its charge."""

    def renew(self) -> None:
        """End the instance, so that a fresh one goes on; of a function, hold back its events."""
        ...

    def release(self) -> None:
        """Undo what `renew` did to a function."""
        ...

    def stop_for(self, error: Exception, reason: str) -> None:
        """End, and let fail what is left."""
        ...

    def escalate(self, error: Exception) -> None:
        """Let the runtime fall."""
        ...


@attrs.define(eq=False)
class Turns:
    """Wakes whoever waits for a turn, after any step that may have made it theirs."""

    _next: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    def tell(self) -> None:
        """There was a change."""
        changed, self._next = self._next, anyio.Event()
        changed.set()

    async def wait(self) -> None:
        """Wait for the next change."""
        await self._next.wait()


@attrs.define(eq=False)
class Team:
    """Siblings that are restarted together, and count their restarts together."""

    strategy: Strategy
    intensity: Intensity
    beyond: Directive
    members: "list[Supervisor]" = attrs.field(factory=list, init=False)


@attrs.frozen
class Decision:
    """What a failure comes to.

    Attributes:
        whole_team: It concerns all siblings.
    """

    directive: Directive
    reason: str = ""
    whole_team: bool = False


@attrs.define(eq=False)
class Supervisor:
    """Looks after one subscription.

    Attributes:
        children: In the order in which they were spawned.
        phase: Of its instance; a function has none, which is as if it had ended.
        held: Its instance is to start only after its parent's.
        restarts: How many were made.
        failure: Why it was last restarted or stopped, or what stopping its instance raised.
    """

    name: str
    policy: Supervision
    charge: Charge
    port: Port
    random: Random
    turns: Turns
    teller: Teller
    team: Team | None = None
    phase: Phase = Phase.DOWN
    parent: "Supervisor | None" = None
    children: "list[Supervisor]" = attrs.field(factory=list, init=False)
    held: bool = attrs.field(default=False, init=False)
    restarts: int = attrs.field(default=0, init=False)
    failure: Exception | None = attrs.field(default=None, init=False)
    _intensity: Intensity = attrs.field(init=False)
    _not_before: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._intensity = Intensity(self.policy.intensity, self.policy.within)
        if self.team is not None:
            self.team.members.append(self)

    def decide(self, moment: Moment, error: Exception, delivery: LongDelivery | None = None) -> Decision:
        """What `error` comes to; a restart is counted, once for each delivery."""
        directive = effective(moment, self.policy.directive_for(error))
        if directive is not Directive.RESTART:
            return Decision(directive, type(error).__name__)
        if delivery is not None:
            if delivery.counted:
                return Decision(directive)
            delivery.counted = True
        intensity = self._intensity if self.team is None else self.team.intensity
        if intensity.allows(self.port.now()):
            return Decision(directive)
        reason = f"more than {intensity.most} restart(s) in {intensity.within:g} s, the last for {type(error).__name__}"
        if self.team is None:
            return Decision(Directive(self.policy.beyond), reason)
        return Decision(self.team.beyond, reason, whole_team=True)

    def apply(self, decision: Decision, error: Exception) -> None:
        """Do what was decided."""
        match decision.directive:
            case Directive.RESUME:
                return
            case Directive.RESTART:
                self._restart(error)
            case Directive.STOP:
                self.failure = error
                members = [self] if self.team is None or not decision.whole_team else [*self.team.members]
                for member in members:
                    member.charge.stop_for(error, decision.reason)
            case _:  # escalate
                self.failure = error
                self.teller.escalated(decision.reason)
                self.charge.escalate(error)

    def _restart(self, error: Exception) -> None:
        self.failure = error
        intensity = self._intensity if self.team is None else self.team.intensity
        try:
            wait = wait_before_restart(self.policy.backoff, max(1, intensity.count), self.random)
        except Exception as policy_error:
            both = ExceptionGroup(f"{self.name!r} failed, and so did its restart's backoff", [error, policy_error])
            self.apply(Decision(Directive.STOP, "its backoff failed"), both)
            return
        self._not_before = self.port.now() + wait
        self.teller.restarted(error, wait)
        members = [self]
        if self.team is not None:
            position = self.team.members.index(self)
            members = [self.team.members[at] for at in affected(self.team.strategy, position, len(self.team.members))]
        for member in members:
            if member is self or member.phase is Phase.ALIVE:
                member.restarts += 1
                member.leave()

    def leave(self, *, held: bool = False) -> None:
        """End the instance, and before it those of the children; fresh ones go on."""
        self.held = self.held or held
        if self.phase is Phase.ALIVE:
            self.phase = Phase.LEAVING
        self.charge.renew()
        for child in self.children:
            child.restarts += child.phase is Phase.ALIVE
            child.leave(held=True)
        self.turns.tell()

    def let_go(self) -> None:
        """The parent is there again."""
        self.held = False
        self.charge.release()
        self.turns.tell()

    async def wait_to_start(self) -> None:
        """Wait for the turn of the next instance: after the backoff, its parent and the siblings before it.

        Cancellation: changes nothing.
        """
        await anyio.lowlevel.checkpoint()
        while self.held or not may_start(self._phases(before=True), self._phases()):
            await self.turns.wait()
        if self._not_before > self.port.now():
            await anyio.sleep_until(self._not_before)
        self.phase = Phase.STARTING

    async def wait_to_stop(self) -> None:
        """Wait until those that started later have stopped.

        Cancellation: changes nothing.
        """
        while not may_stop([*self._phases(after=True), *(child.phase for child in self.children), *self._with_it()]):
            await self.turns.wait()

    def _with_it(self) -> Sequence[Phase]:
        """Phases of the children that were spawned after this one and are restarted with it, as their parent is."""
        if self.parent is None or not self.held:
            return ()
        children = self.parent.children
        return [child.phase for child in children[children.index(self) + 1 :] if child.held]

    def enter(self, phase: Phase) -> None:
        """The instance has got there."""
        self.phase = phase
        if phase is Phase.ALIVE:
            for child in self.children:
                child.let_go()
        self.turns.tell()

    def _phases(self, *, before: bool = False, after: bool = False) -> Sequence[Phase]:
        if self.team is None:
            return ()
        members = self.team.members
        position = members.index(self)
        if before:
            members = members[:position]
        elif after:
            members = members[position + 1 :]
        return [member.phase for member in members]

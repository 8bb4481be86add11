"""A simulated process: one runtime, its subscriptions, and what is known of it."""

import math
from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import msgspec

from postroom import (
    Cancelled,
    Context,
    DuplicateSubscription,
    Event,
    Outcome,
    Policy,
    PostroomError,
    Receipt,
    Recording,
    Runtime,
    RuntimeClosed,
    WouldDeadlock,
)

from .declaring import declared, siblings
from .emitting import Emitting
from .handlers import MARGIN, Handler
from .invariants import Invariants
from .judging import judge
from .model import Expected, Model
from .program import Program, Spec, Team
from .world import World


@attrs.define(eq=False)
class _Accepted(Recording):
    """Is told of every event that a runtime accepts, as recordings of users are."""

    process: "Process" = attrs.field(kw_only=True)

    def take(self, receipt: Receipt, now: Callable[[], float], emitter: str | None = None) -> None:
        self.process.accepted(receipt)


class _Outcomes(list[Outcome]):
    """The outcomes of a receipt, which tells of each."""

    __slots__ = ("process", "receipt")

    def __init__(self, process: "Process", receipt: Receipt) -> None:
        super().__init__()
        self.process, self.receipt = process, receipt

    def append(self, outcome: Outcome) -> None:
        super().append(outcome)
        self.process.settled(self.receipt, outcome)


@attrs.define(eq=False)
class Process:
    """One runtime in a world.

    Attributes:
        specs: Every subscription by its name, as it was put to work last.
        is_healed: From now on every handler does well.
        is_replaying: The event that is accepted now is a dead letter's.
        may_hang: Scopes of handlers that may wait for ever, by right; see `Handler.waits_in_turn`.
        may_fall: A subscription may let the runtime fall.
        stops_in_time: Every instance has the time to stop; nobody waits for long for its siblings.
        drains_until: Until when it drains, and nothing but time ends that; before it does, the beginning of time.
    """

    name: str
    world: World
    program: Program
    model: Model = attrs.field(init=False)
    runtime: Runtime = attrs.field(init=False)
    emitting: Emitting = attrs.field(init=False)
    invariants: Invariants = attrs.field(init=False)
    healed: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    specs: dict[str, Spec] = attrs.field(factory=dict, init=False)
    is_healed: bool = attrs.field(default=False, init=False)
    is_closed: bool = attrs.field(default=False, init=False)
    is_replaying: bool = attrs.field(default=False, init=False)
    may_hang: list[anyio.CancelScope] = attrs.field(factory=list, init=False)
    may_fall: bool = attrs.field(default=False, init=False)
    stops_in_time: bool = attrs.field(default=False, init=False)
    drains_until: float = attrs.field(default=-math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        program, world = self.program, self.world
        self.runtime = Runtime(
            drain_within=program.end.drain_within,
            cleanup_within=program.end.cleanup_within,
            dead_letter_limit=10,
            portable=program.portable,
            interceptors=[_with_note, _breathing] if program.interceptors else [],
            defaults=Policy(attempts=program.attempts),
            causation_depth=program.causation_depth,
            clock=world.clock,
            ids=world.new_id,
            random=Random(f"runtime {self.name}"),
        )
        has_teams = any(isinstance(each, Team) for each in program.operations)
        self.stops_in_time = program.end.cleanup_within >= 1 and not has_teams
        self.model = Model(world.complain, program.interceptors)
        self.emitting = Emitting(world, self, self.model, self.runtime)
        self.invariants = Invariants(world, self.model, self.runtime)

    @property
    def is_closing(self) -> bool:
        return self.model.closing or bool(self.runtime._fallen)

    def recording(self) -> Any:
        """A block in which everything that the runtime accepts is noted."""
        return self.runtime.recording(_Accepted(process=self))

    def limit_of(self, spec: Spec, events: list[Event]) -> float:
        """Seconds that an attempt at these events may take."""
        limits = [each for event in events for each in (event.timeout, spec.timeout)[: 1 + (event.timeout is None)]]
        return min((limit for limit in limits if limit is not None), default=math.inf)

    async def spawn(self, spec: Spec) -> None:
        """Put a subscription to work, unless one of its name is."""
        handler = Handler(spec, self)
        try:
            await self.runtime.spawn(declared(spec, handler))
        except (DuplicateSubscription, RuntimeClosed) as error:
            self.check_refusal([spec.name], error)
            return
        self.at_work(spec)

    async def spawn_team(self, team: Team) -> None:
        """Put siblings to work, or none of them."""
        try:
            await self.runtime.supervise(siblings(team, [Handler(spec, self) for spec in team.specs]))
        except (DuplicateSubscription, RuntimeClosed) as error:
            self.check_refusal([spec.name for spec in team.specs], error)
            return
        for spec in team.specs:
            self.at_work(attrs.evolve(spec, restarts=(team.intensity, "stop")))

    def at_work(self, spec: Spec) -> None:
        """A subscription gets the events from now on."""
        self.world.say(f"{spec.name} is at work")
        self.specs[spec.name] = self.model.at_work[spec.name] = spec
        self.model.leaving.discard(spec.name)
        self.may_fall = self.may_fall or (spec.restarts is not None and spec.restarts[1] == "escalate")

    def check_refusal(self, names: list[str], error: PostroomError) -> None:
        """Nothing may have been put to work; and the reason must hold."""
        taken = [name for name in names if name in self.runtime.subscriptions]
        if isinstance(error, DuplicateSubscription) and not taken and len(set(names)) == len(names):
            self.world.complain(f"{names} were refused as taken, and are not")
        if isinstance(error, RuntimeClosed) and not self.is_closing:
            self.world.complain(f"{names} were refused by a closed runtime, which is open")

    async def stop(self, which: str, *, drain: bool) -> None:
        """Stop a subscription, if it is at work."""
        subscription = self.runtime.subscriptions.get(which)
        if subscription is None:
            return
        stats, mark = subscription.stats, self.world.sometimes.hit
        spec, was_leaving = self.model.at_work.pop(which, None), which in self.model.leaving
        if stats.waiting >= subscription.subscriber.capacity:
            mark("stopped while full")
        if stats.in_line:
            mark("stopped with a line")
        if stats.pending > stats.waiting + stats.in_line + stats.in_hand:
            mark("stopped in a backoff")
        self.model.leaving.add(which)
        self.world.say(f"{which} is stopped, drain={drain}")
        try:
            with self.world.waits(self, f"somebody stops {which}"):
                await subscription.stop(drain=drain)
        except WouldDeadlock:
            mark("would deadlock")
            if spec is not None:
                self.model.at_work[which] = spec
            if not was_leaving:
                self.model.leaving.discard(which)
            return
        except anyio.get_cancelled_exc_class():
            mark("stop cancelled")
            raise
        self.world.say(f"{which} has stopped")
        if self.model.pending.get(which) and which not in self.runtime.subscriptions:
            self.world.complain(f"{which} has stopped, with deliveries that have not settled")

    def accepted(self, receipt: Receipt) -> None:
        """An event was accepted, and its deliveries are where they belong."""
        event, model = receipt.event, self.model
        who = event.headers.get("by", "")
        targets = [target.name for target in receipt.targets]
        self.world.say(f"{event.id} {event.name} accepted for {' '.join(targets)}")
        if self.runtime._dispatcher.actor.mailbox.queue:
            self.world.complain(f"{event.id} was accepted, and overtakes what was due before")
        if self.is_replaying:
            self.is_replaying = False
            self.world.sometimes.hit("replayed")
        else:
            model.emitted[who] += 1
            self.emitting.by_id.setdefault(event.id, receipt)
            stopped = [name for name, each in self.runtime._roster.behaviours.items() if each.stopped_for is not None]
            gone = [name for name in model.at_work if name not in self.runtime.subscriptions]
            model.check_targets(event, targets, stopped + gone)
            model.targets[event.id] = targets
        if not targets:
            self.world.sometimes.hit("nobody subscribed")
        for name in targets:
            spec = self.specs[name]
            due = self.world.now() + (event.delay or 0.0)
            said = (event.attempts, spec.attempts, self.program.attempts, 1)
            model.accept(event, spec, next(most for most in said if most is not None), due)
        at_once, receipt.outcomes = receipt.outcomes, _Outcomes(self, receipt)
        for outcome in at_once or ():
            receipt.outcomes.append(outcome)

    def settled(self, receipt: Receipt, outcome: Outcome) -> None:
        """A delivery has its outcome."""
        name = outcome.subscription
        self.model.closing = self.is_closing
        self.world.say(f"{receipt.id} {name} {type(outcome).__name__} {outcome.attempts}")
        one = self.model.settle(name, receipt.event, outcome)
        if one is not None:
            if isinstance(outcome, Cancelled) and self.has_time_for(one):
                self.world.complain(
                    f"{one} was cancelled at {self.world.now():g}, with time until {self.drains_until:g}"
                )
            wrong = judge(one, outcome, self.world.sometimes)
            if wrong is not None:
                self.world.complain(f"{one} settled {type(outcome).__name__} after attempt {one.attempt}: {wrong}")

    def has_time_for(self, one: Expected) -> bool:
        """Whether the runtime drains, and still has the time in which this delivery's next attempt is due."""
        if one.spec.name in self.model.leaving or self.runtime._fallen:
            return False
        due = one.due if not one.runs else one.ended_at + one.spec.backoff
        return max(due, self.world.now()) < self.drains_until - MARGIN

    def check(self) -> None:
        """As of `World`."""
        self.invariants.check()

    def check_at_rest(self) -> None:
        """As of `World`."""
        self.invariants.check_at_rest()


def _with_note(event: Event) -> Event:
    """An interceptor of emits that changes each event."""
    return msgspec.structs.replace(event, headers={**event.headers, "note": "seen"})


async def _breathing(context: Context, call_next: Any) -> Any:
    """An interceptor of attempts that lets others run first."""
    await anyio.lowlevel.checkpoint()
    return await call_next()

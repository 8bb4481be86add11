"""A simulated process on a store: one life after the other, each with a runtime of its own.

Units: seconds of virtual time.
"""

from collections.abc import Callable
from random import Random

import anyio
import anyio.abc
import anyio.lowlevel
import attrs

from postroom import Runtime
from postroom.store_errors import StoreBroken
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.faults.plan import LISTINGS
from postroom.testing.reference import ReferenceModule, ReferenceStore

from ..world import World
from .changing import Changing
from .declaring import declared_for_store
from .handlers import StoreHandler
from .model import StoreModel
from .program import StoreProgram, StoreSpec
from .sending import Sending
from .watching import WatchedModule


@attrs.define(eq=False)
class Life:
    """From a start of the process to its end.

    Attributes:
        scope: Around all of it; its cancellation is its death.
        killed: It is dead, though some of its tasks have not ended yet. Nothing that they do counts.
        may_break: Its store has broken, or it has slept: its block may end with an error, its lease may run out.
        last_fault: When its store began to fail last.
        has_begun: Its tasks can be started.
    """

    process: "StoreProcess"
    name: str
    runtime: Runtime = attrs.field(init=False)
    module: ReferenceModule = attrs.field(init=False)
    faulty: FaultyModule = attrs.field(init=False)
    sending: Sending = attrs.field(init=False)
    changing: Changing = attrs.field(init=False)
    tasks: anyio.abc.TaskGroup = attrs.field(init=False)
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    left: anyio.Event = attrs.field(factory=anyio.Event)
    killed: bool = False
    is_open: bool = False
    is_closing: bool = False
    is_closed: bool = False
    may_break: bool = False
    has_stalled: bool = False
    last_fault: float = -1000.0
    has_begun: bool = False

    def check(self) -> None:
        """As of `world.Process`: the store is looked at by all processes together."""

    def check_at_rest(self) -> None:
        """As of `world.Process`."""

    @property
    def sessions(self) -> list[str]:
        """The names of its sessions: one, or none before it has begun."""
        return [session.id for session in self.module.sessions]

    @property
    def session(self) -> str:
        return self.sessions[0] if self.sessions else ""


@attrs.define(eq=False)
class StoreProcess:
    """One process.

    Attributes:
        life: The one that runs; None between two of them.
        healed: From now on nothing fails, and every handler does well.
        may_hang: Scopes of handlers that may wait for ever, by right.
    """

    number: int
    world: World
    program: StoreProgram
    model: StoreModel
    store: ReferenceStore
    random: Random
    healed: anyio.Event = attrs.field(factory=anyio.Event)
    life: Life | None = None
    may_hang: list[anyio.CancelScope] = attrs.field(factory=list)
    lives: int = 0
    was_killed: bool = False

    @property
    def name(self) -> str:
        return f"p{self.number}"

    @property
    def specs(self) -> list[StoreSpec]:
        """The subscriptions that it serves."""
        return [spec for spec in self.program.specs if self.number in spec.served_by]

    def begin(self) -> Life:
        """Make the next life, which is to be lived."""
        self.lives += 1
        life = Life(self, f"{self.name}.{self.lives}")
        life.module = ReferenceModule(self.store)
        life.faulty = FaultyModule(
            WatchedModule(life.module, self.model, self.spurious_of(life)),
            self.plan_of(life),
            crash=lambda: self.kill(life, "crashed in a call"),
            slowness=self.program.faults.slowness,
        )
        subscribers = [declared_for_store(spec, StoreHandler(spec, life)) for spec in self.specs]
        life.runtime = Runtime(
            module=life.faulty,
            subscribers=subscribers,
            losses=self.program.losses,
            drain_within=self.program.drain_within,
            cleanup_within=self.program.cleanup_within,
            clock=self.world.clock,
            ids=self.world.new_id,
            random=Random(f"runtime {life.name}"),
        )
        life.sending, life.changing = Sending(life), Changing(life)
        self.life = life
        if self.was_killed:
            self.world.sometimes.hit("restarted")
        return life

    async def live(self, life: Life) -> None:
        """One life, from its beginning to its end."""
        self.world.processes.append(life)
        self.world.say(f"{life.name} begins")
        error: BaseException | None = None
        with life.scope:
            try:
                async with anyio.create_task_group() as tasks:
                    life.tasks, life.has_begun = tasks, True
                    try:
                        async with life.runtime:
                            life.is_open = True
                            await life.left.wait()
                            life.is_closing = True
                            if self.model.of(life.session):
                                self.world.sometimes.hit("left with deliveries")
                    finally:
                        life.is_closing = life.is_closed = True
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as caught:
                if isinstance(caught, KeyboardInterrupt):
                    raise
                error = caught
        life.is_closing = life.is_closed = True
        self.world.say(f"{life.name} has ended")
        self.world.processes.remove(life)
        if self.life is life:
            self.life = None
        if error is not None and not life.killed and not (life.may_break and _is_broken(error)):
            self.world.complain(f"the block of {life.name} ended with {error!r}")
        if error is None and not life.killed and self.world.failure is None and not self.world.is_over:
            self.check_end(life)

    def check_end(self, life: Life) -> None:
        """It has left in peace: all that it had handled is written, if its store had let it."""
        if self.model.of(life.session) and life.session not in self.model.unaware:
            self.world.complain(f"{life.name} has left, and has deliveries still")
        stats = life.runtime.stats
        ended = stats.succeeded + stats.failed + stats.dropped + stats.expired + stats.cancelled + stats.returned
        if stats.pending or stats.deliveries != ended:
            self.world.complain(f"{life.name} has left, and counts {stats}")

    def kill(self, life: Life, how: str) -> None:
        """End a life as `kill -9` does: nothing more is written, whatever its tasks still do."""
        if life.killed:
            return
        mark = self.world.sometimes.hit
        mark(how)
        if self.model.of(life.session):
            mark("killed with deliveries")
        outbox = life.runtime._outbox
        if outbox is not None and outbox.carrier.publisher.is_asking:
            mark("killed while publishing")
        self.world.say(f"{life.name} is killed")
        life.killed = self.was_killed = True
        life.is_closing = True
        life.module.kill()
        for one in self.model.open:
            for run in one.runs:
                if run.ended is None and run.session == life.session:
                    run.ended = "killed"
        life.scope.cancel()
        if self.life is life:
            self.life = None

    def stall(self, life: Life) -> None:
        """Let its lease run out; whether others notice is a matter of chance, and of what they do before it does."""
        self.world.sometimes.hit("stalled")
        self.world.say(f"{life.name} sleeps")
        life.has_stalled = True
        asleep = [session for session in life.sessions if session in self.store.sessions]
        for session in asleep:
            self.store.sessions[session].lease_until = -1.0
        if self.random.random() < 0.7:
            self.store.expire(anyio.current_time())

    def spurious_of(self, life: Life) -> Callable[[], bool]:
        """Whether there is news of nothing in one life."""
        random = Random(f"news of {life.name} {self.random.random()}")
        return lambda: not self.healed.is_set() and random.random() < self.program.spurious

    def plan_of(self, life: Life) -> Callable[[int, str], Fault | None]:
        """What goes wrong with the calls of one life."""
        faults, random = self.program.faults, Random(f"{self.random.random()} {life.name}")

        def drawn(call: str) -> Fault | None:
            if faults.only and call not in faults.only:
                return None
            if random.random() < faults.deadly:
                return random.choice(faults.deaths)
            lasts = self.world.now() < life.last_fault + faults.lasts
            if not lasts and random.random() >= faults.rate:
                return None
            if not lasts:
                life.last_fault = self.world.now()
            return random.choice(faults.kinds)

        def plan(number: int, call: str) -> Fault | None:
            fault = None if self.healed.is_set() or life.killed else drawn(call)
            if fault is None or (call == "bind" and fault is Fault.BROKEN):
                return None
            self.world.say(f"{life.name} {call}: {fault}")
            if fault is Fault.STALE and call in LISTINGS:
                self.world.sometimes.hit("stale listing")
            if fault is Fault.BROKEN:
                life.may_break = True
                self.world.sometimes.hit("broken")
            return fault

        return plan


def _is_broken(error: BaseException) -> bool:
    """Whether a block has ended since its store was broken, and for nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_broken, error.exceptions))
    return isinstance(error, StoreBroken)

"""Running one program of processes on a store, and what came of it.

Units: seconds of virtual time; steps of tasks.
"""

import weakref
from random import Random
from typing import Any, Final

import anyio
import anyio.lowlevel
import attrs

from postroom import PostroomError, UnknownDeadLetter
from postroom.store_errors import StoreBroken
from postroom.testing.reference import ReferenceStore

from .. import schedules
from ..running import Result, silence
from ..schedules import Backend
from ..trace import LAST_LINES, Trace
from ..world import MOST_STEPS, World
from .generator import generate_for_store
from .model import StoreModel
from .process import Life, StoreProcess
from .program import (
    Alter,
    Kill,
    Leave,
    Look,
    ReplaySome,
    Send,
    StageSome,
    Stall,
    Start,
    StoreOperation,
    StoreProgram,
    Wait,
)
from .sometimes import StoreSometimes
from .watching import WatchedStore

TIME_TO_REST: Final = 900.0
"""Seconds within which everything must have come to rest once all is set right."""

TIME_TO_TELL: Final = 60.0
LONGEST: Final = 50_000.0


def run_store_seed(seed: int, backend: Backend, *, most_steps: int = MOST_STEPS, traced: bool = False) -> Result:
    """Run the program of a seed under the schedule of the same seed."""
    return run_store_program(generate_for_store(seed), seed, backend, most_steps=most_steps, traced=traced)


def run_store_program(
    program: StoreProgram, seed: int, backend: Backend, *, most_steps: int = MOST_STEPS, traced: bool = False
) -> Result:
    """Run a program under the schedule of a seed. Best within `schedules.no_garbage`."""
    result, world = _run(program, seed, backend, most_steps, traced)
    schedules.collect()
    if result.failure is None and world() is not None:
        return attrs.evolve(result, failure="something still holds what it had to do with, after its end")
    return result


def _run(
    program: StoreProgram, seed: int, backend: Backend, most_steps: int, traced: bool
) -> tuple[Result, "weakref.ref[World]"]:
    world = World(Trace(traced), most_steps, StoreSometimes())
    with silence():
        try:
            schedules.run(backend, f"store {seed}", program.tick, lambda: _main(world, program, seed), world)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            world.failure = world.failure or f"the run ended with {error!r}"
    trace = world.trace
    result = Result(
        seed=seed,
        backend=backend,
        program=program,
        failure=world.failure,
        digest=trace.digest,
        steps=trace.steps,
        sometimes=world.sometimes,
        lines=trace.lines[-LAST_LINES:] if world.failure else trace.lines,
    )
    return result, weakref.ref(world)


@attrs.define(eq=False)
class Cluster:
    """All processes of a run, and their store.

    Attributes:
        seen: The model's count of changes at the last look.
    """

    world: World
    program: StoreProgram
    model: StoreModel
    store: ReferenceStore
    processes: list[StoreProcess]
    tasks: Any = None
    seen: int = 0
    name: str = "store"
    is_closing: bool = False
    is_closed: bool = False

    def check(self) -> None:
        """Between two steps: the store has what the model says that it has."""
        if self.seen == self.model.changes:
            return
        self.seen = self.model.changes
        kept = {(each.event.stored.id, each.subscription): each.token for each in self.store.deliveries}
        known = {(each.event.id, each.subscription): each.token for each in self.model.open}
        if kept != known:
            wrong = {each for each in kept.keys() | known.keys() if kept.get(each) != known.get(each)}
            self.world.complain(f"the store and the model differ in {sorted(wrong)}")

    def check_at_rest(self) -> None:
        """As of `world.Process`."""

    def start(self, process: StoreProcess) -> None:
        """Start a process, unless it runs."""
        if process.life is None:
            self.tasks.start_soon(self.live, process, process.begin())

    async def live(self, process: StoreProcess, life: Life) -> None:
        """A life, and the next one where the program wants one, before all is set right."""
        await process.live(life)
        seconds = self.program.revives_after
        if seconds is not None and not process.healed.is_set() and self.world.failure is None:
            await anyio.sleep(seconds)
            if not process.healed.is_set():
                self.start(process)

    async def pause(self) -> None:
        """Let others go on, as long as the program says."""
        pace = self.program.pace
        if pace is None:
            await anyio.sleep(0.001)
            return
        until = self.world.trace.steps + pace
        while self.world.trace.steps < until:
            await anyio.lowlevel.checkpoint()

    async def run(self, operation: StoreOperation) -> None:
        """Begin an operation; return when the next one may."""
        process = self.processes[operation.process]
        life = process.life
        match operation:
            case Wait(seconds=seconds):
                await anyio.sleep(seconds)
            case Start():
                self.start(process)
            case _ if life is None or not life.has_begun or life.is_closed:
                return
            case Kill(after=0):
                process.kill(life, "killed with deliveries")
            case Kill(after=after):
                self.tasks.start_soon(self.kill_later, process, life, after)
            case Leave():
                life.left.set()
            case Stall():
                process.stall(life)
            case _:
                life.tasks.start_soon(self.do, life, operation)

    async def kill_later(self, process: StoreProcess, life: Life, steps: int) -> None:
        until = self.world.trace.steps + steps
        while self.world.trace.steps < until and not process.healed.is_set():
            await anyio.lowlevel.checkpoint()
        process.kill(life, "killed with deliveries")

    async def do(self, life: Life, operation: StoreOperation) -> None:
        """What a process does in a task of its own."""
        match operation:
            case Send(drafts=drafts, how=how, cancel_after=cancel_after):
                with anyio.CancelScope() as scope:
                    if cancel_after is not None:
                        self.world.cancel_later(scope, cancel_after)
                    if how == "many":
                        await life.sending.send_many(drafts)
                        return
                    for draft in drafts:
                        await (life.sending.send if how == "emit" else life.sending.send_and_wait)(draft)
            case StageSome():
                await self.stage(life, operation)
            case ReplaySome(after=after):
                await self.replay(life, after)
            case Look():
                await self.look(life)
            case Alter(which=which, change=change):
                specs = life.process.specs
                if specs:
                    await life.changing.change(specs[which % len(specs)], change)
            case _:
                raise AssertionError(operation)

    async def stage(self, life: Life, operation: StageSome) -> None:
        runtime = life.runtime
        try:
            for draft in operation.drafts:
                who = life.sending.marker(draft)
                await runtime.emit(draft.name, draft.actions, headers={"by": who}, group=operation.id, **draft.options)
            match operation.then:
                case "release":
                    for receipt in await runtime.release_group(operation.id):
                        life.tasks.start_soon(life.sending.report_of, receipt)
                case "clear":
                    await runtime.clear_group(operation.id)
        except PostroomError as error:
            self.world.say(f"{life.name} stages: {type(error).__name__}")

    async def replay(self, life: Life, after: float) -> None:
        try:
            letters = await life.runtime.dead_letters.list()
            await anyio.sleep(after)
            if letters:
                await life.runtime.dead_letters.replay(letters[0])
        except UnknownDeadLetter:
            self.world.sometimes.hit("replayed too late")
        except PostroomError as error:
            self.world.say(f"{life.name} replays: {type(error).__name__}")

    async def look(self, life: Life) -> None:
        """What a process is told may lag behind, and is never of what was not."""
        runtime, model = life.runtime, self.model
        try:
            names = {each.name for each in await runtime.stored_subscriptions()}
            groups = {each.id for each in await runtime.staged_groups()}
            dead = {(letter.event.id, letter.subscription) for letter in await runtime.dead_letters.list()}
        except PostroomError as error:
            self.world.say(f"{life.name} looks: {type(error).__name__}")
            return
        self.world.say(f"{life.name} sees {sorted(names)} {sorted(groups)} {sorted(dead)}")
        if not (names <= model.registered.keys() and groups <= model.all_groups and dead <= model.deliveries.keys()):
            self.world.complain(f"{life.name} was shown {names}, {groups}, {dead}")

    async def heal(self) -> None:
        """Set everything right, and require that all comes to rest."""
        self.world.say("healed")
        for process in self.processes:
            process.healed.set()
            for scope in process.may_hang:
                scope.cancel()
        for _ in range(3):  # those that leave or break meanwhile are started again
            for process in self.processes:
                self.start(process)
            await anyio.sleep(30)
            for process in self.processes:
                await self.leave_a_broken_store(process)
        lives = [process.life for process in self.processes if process.life is not None]
        for life in lives:
            await life.changing.set_right()
        with anyio.move_on_after(TIME_TO_REST) as patience:
            while self.store.deliveries:
                await anyio.sleep(1)
        if patience.cancelled_caught:
            left = [str(one) for one in self.model.open]
            self.world.complain(f"no rest within {TIME_TO_REST:g} s: {left}")
            return
        with anyio.move_on_after(TIME_TO_TELL) as patience:
            for life in lives:
                await life.runtime.idle()
        if patience.cancelled_caught:
            self.world.complain("the store has nothing left, and a runtime is not idle")
        await anyio.sleep(5)
        for life in lives:
            self.check_served(life)
            self.check_told(life)
            life.left.set()

    async def leave_a_broken_store(self, process: StoreProcess) -> None:
        """One that nothing has asked for anything since it broke is found out by asking, as by whoever operates it."""
        life = process.life
        if life is not None and life.may_break and life.is_open and not life.is_closing:
            try:
                await life.runtime.stored_subscriptions()
            except StoreBroken:
                life.left.set()
            except PostroomError:  # it has ended meanwhile
                pass

    def check_served(self, life: Life) -> None:
        """The store knows whom each process serves."""
        wanted = {spec.name for spec in self.program.specs if life.process.number in spec.served_by}
        for session in life.sessions:
            served = self.store.sessions[session].serves if session in self.store.sessions else set[str]()
            if served != wanted:
                self.world.complain(f"{life.name} serves {sorted(served)}, and should serve {sorted(wanted)}")

    def check_told(self, life: Life) -> None:
        """Every receipt has settled, since all its deliveries have."""
        for receipt in life.sending.receipts:
            if not receipt.settled:
                self.world.complain(f"all of {receipt.id} is over, and {life.name} has {receipt.report()}")


async def _main(world: World, program: StoreProgram, seed: int) -> None:
    world.open()
    random = Random(f"faults {seed}")
    processes: list[StoreProcess] = []

    def may_lose(session: str) -> bool:
        owner = owners.get(session)
        for process in processes:
            if process.life is not None and session in process.life.sessions:
                owners[session] = owner = process.life
        return owner is None or owner.killed or owner.has_stalled or owner.is_closed

    owners: dict[str, Life] = {}
    specs = {spec.name: spec for spec in program.specs}
    sometimes = world.sometimes
    assert isinstance(sometimes, StoreSometimes)
    model = StoreModel(world.complain, world.now, sometimes, may_lose, specs, program.losses, program.faults.are_mild)
    store = WatchedStore(model=model)
    processes += [StoreProcess(number, world, program, model, store, random) for number in range(program.processes)]
    cluster = Cluster(world, program, model, store, processes)
    with world.root:
        with anyio.CancelScope(deadline=LONGEST) as all_of_it:
            async with anyio.create_task_group() as tasks:
                cluster.tasks = tasks
                world.processes.append(cluster)
                for operation in program.operations:
                    await cluster.run(operation)
                    await cluster.pause()
                await cluster.heal()
        if all_of_it.cancelled_caught:
            waiting = [what for _, what, _ in world.waiting.values()]
            world.complain(f"it has not ended within {LONGEST:g} s: {waiting}")
    if world.failure is None and not world.is_over:
        model.check_at_end()
        _check_nothing_is_left(world, store)
    world.is_over = True


def _check_nothing_is_left(world: World, store: ReferenceStore) -> None:
    tasks, timers = schedules.left()
    if tasks != 1 or timers:
        world.complain(f"at the end there are {tasks - 1} other tasks and {timers} timers")
    if world.waiting:
        world.complain(f"at the end somebody waits: {list(world.waiting.values())}")
    if store.deliveries:
        world.complain(f"at the end the store has {store.deliveries}")

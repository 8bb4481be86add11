"""Running one program under one schedule, and what came of it.

Units: seconds of virtual time; steps of tasks.
"""

import logging
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import anyio
import anyio.lowlevel
import attrs

from . import schedules
from .failures import Failure
from .generator import generate
from .operations import Ended, Operations
from .process import Process
from .program import Operation, Program, Sleep, StepClock
from .schedules import Backend
from .sometimes import Sometimes
from .trace import LAST_LINES, Trace
from .world import MOST_STEPS, World

TIME_TO_REST: Final = 5_000.0
"""Seconds within which everything must have come to rest once all is set right."""

LONGEST: Final = 50_000.0


@attrs.frozen(kw_only=True)
class Result:
    """What came of a run.

    Attributes:
        failure: The promise that was broken first; None where none was.
        digest: The same for every run that did the same.
        lines: The last lines of its trace, where they were asked for.
    """

    seed: int
    backend: Backend
    program: Any
    failure: str | None
    digest: str
    steps: int
    sometimes: Sometimes
    lines: Sequence[str] = ()

    @property
    def kind(self) -> str | None:
        """The failure without its names and numbers: what two failures of one cause have in common."""
        if self.failure is None:
            return None
        return "".join(letter for letter in self.failure.partition(":")[0] if not letter.isdigit())[:60]


def run_seed(seed: int, backend: Backend, *, most_steps: int = MOST_STEPS, traced: bool = False) -> Result:
    """Run the program of a seed under the schedule of the same seed."""
    return run_program(generate(seed), seed, backend, most_steps=most_steps, traced=traced)


def run_program(
    program: Program, seed: int, backend: Backend, *, most_steps: int = MOST_STEPS, traced: bool = False
) -> Result:
    """Run a program under the schedule of a seed. Best within `schedules.no_garbage`."""
    result, world = _run(program, seed, backend, most_steps, traced)
    schedules.collect()
    if result.failure is None and world() is not None:
        return attrs.evolve(result, failure="something still holds what it had to do with, after its end")
    return result


def _run(
    program: Program, seed: int, backend: Backend, most_steps: int, traced: bool
) -> tuple[Result, "weakref.ref[World]"]:
    """The result, and what must be gone once nobody here holds it."""
    world = World(Trace(traced), most_steps)
    with silence():
        try:
            schedules.run(backend, f"schedule {seed}", program.tick, lambda: _main(world, program), world)
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


@contextmanager
def silence() -> Iterator[None]:
    """A block in which the runtime logs nothing; thousands of handlers fail on purpose."""
    logger = logging.getLogger("postroom")
    level, logger.level = logger.level, logging.CRITICAL + 1
    logger.manager._clear_cache()  # type: ignore[attr-defined]  # what `setLevel` does
    try:
        yield
    finally:
        logger.setLevel(level)


async def _main(world: World, program: Program) -> None:
    world.open()
    with world.root:
        with anyio.CancelScope(deadline=LONGEST) as all_of_it:
            async with anyio.create_task_group() as tasks:
                processes = [Process(f"p{number}", world, program) for number in range(program.processes)]
                world.processes.extend(processes)
                for number, process in enumerate(processes):
                    mine = [each for each in program.operations if each.process == number or _is_time(each)]
                    tasks.start_soon(_life, process, mine, tasks)
        if all_of_it.cancelled_caught:
            waiting = [what for _, what, _ in world.waiting.values()]
            world.complain(f"it has not ended within {LONGEST:g} s: {waiting}")
    if world.failure is None and not world.is_over:
        _check_nothing_is_left(world)
    world.is_over = True


def _is_time(operation: Operation) -> bool:
    return isinstance(operation, Sleep | StepClock)


async def _life(process: Process, operations: list[Operation], tasks: Any) -> None:
    """A process from its beginning to its end."""
    world, model, end = process.world, process.model, process.program.end
    script = Operations(process, tasks)
    error: BaseException | None = None
    with anyio.CancelScope() as scope:
        try:
            with process.recording():
                async with process.runtime:
                    for operation in operations:
                        await script.run(operation)
                    await _end(process, scope)
        except anyio.get_cancelled_exc_class():
            if world.failure is None and not world.is_over and not scope.cancel_called:
                world.complain("the block ended with a cancellation that nobody had asked for")
            raise
        except BaseException as caught:
            error = caught
        finally:
            process.is_closed = True
            world.say(f"{process.name} has closed")
    if world.failure is not None or world.is_over:
        return
    model.closing = True
    if error is not None and not _is_expected(error, process):
        world.complain(f"the block ended with {error!r}")
    if error is None and end.kind == "error":
        world.complain("the error of the block did not come out of it")
    process.invariants.check_at_end()


async def _end(process: Process, scope: anyio.CancelScope) -> None:
    """The end of a runtime's block."""
    world, model, end = process.world, process.model, process.program.end
    mark, stats = world.sometimes.hit, process.runtime.stats
    world.say(f"{process.name} ends: {end.kind}")
    if end.kind == "healed":
        await _heal(process)
        model.closing = True
        return
    model.closing = True
    for subscription in process.runtime.subscriptions.values():
        if subscription.stats.in_line and end.kind == "drain":
            mark("drained with a line")
    if stats.staged:
        mark("staged at the end")
    match end.kind:
        case "cancel":
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        case "error":
            if stats.pending:
                mark("error with deliveries")
            raise Ended
        case _ if end.cancel_after is not None:
            mark("drain cancelled")
            world.cancel_later(scope, end.cancel_after)
        case _:
            process.drains_until = world.now() + end.drain_within


async def _heal(process: Process) -> None:
    """Set everything right, and require that all comes to rest."""
    process.is_healed = True
    process.healed.set()
    for scope in process.may_hang:
        scope.cancel()
    for subscription in list(process.runtime.subscriptions.values()):
        await subscription.resume()
    with anyio.move_on_after(TIME_TO_REST) as patience:
        await process.runtime.idle()
    if patience.cancelled_caught:
        left = [str(one) for mine in process.model.pending.values() for one in mine.values()]
        waiting = process.runtime.snapshot().wait_graph
        process.world.complain(f"no rest within {TIME_TO_REST:g} s: {left} {waiting}")


def _is_expected(error: BaseException, process: Process) -> bool:
    """Whether a block may end with this error: what it raised itself, and what a subscription let it fall with."""
    if isinstance(error, Ended):
        return process.program.end.kind == "error"
    if isinstance(error, BaseExceptionGroup) and process.may_fall and process.runtime._fallen:
        return all(isinstance(each, Ended | Failure | Exception) for each in error.exceptions)
    return False


def _check_nothing_is_left(world: World) -> None:
    """All tasks but this one have ended, no timer is set, and nobody waits."""
    tasks, timers = schedules.left()
    if tasks != 1 or timers:
        world.complain(f"at the end there are {tasks - 1} other tasks and {timers} timers")
    if world.waiting:
        world.complain(f"at the end somebody waits: {list(world.waiting.values())}")

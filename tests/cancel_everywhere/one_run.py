"""One run of a scenario, with a cancellation at one step."""

import math
from collections.abc import Awaitable, Callable
from random import Random
from unittest.mock import patch

import anyio
import attrs

from postroom import PostroomError, Runtime
from postroom_actors import slices

from . import checks
from .case import Case, Verdict
from .probes import look_around
from .schedule import deadlines_set, run, tasks_alive
from .strikes import Strike
from .world import World

Scenario = Callable[[World], Awaitable[None]]

MOST_STEPS = 20_000
"""Steps of a run; one that makes more goes round in circles."""

LONG = 100_000.0
"""Virtual seconds in which everything must be over."""


class Boom(Exception):
    """Raised in a runtime's block, where it is to end by an error."""


@attrs.define(eq=False)
class _Run:
    case: Case
    scenario: Scenario
    threads: bool
    world: World = attrs.field(init=False)
    first: Strike = attrs.field(init=False)
    second: Strike | None = attrs.field(default=None, init=False)
    leave: anyio.CancelScope = attrs.field(init=False)
    steps: int = attrs.field(default=0, init=False)
    wrong: list[str] = attrs.field(factory=list, init=False)
    begun: bool = attrs.field(default=False, init=False)
    played: bool = attrs.field(default=False, init=False)

    def stepped(self) -> None:
        """After each step of any task: count, cancel, and look at the account once something was cancelled."""
        self.steps += 1
        if not self.begun:
            return
        try:
            self._look()
        except Exception as error:  # trio would only log it, and look no more
            self.wrong.append(f"the look at the account raised {_told(error)}")

    def _look(self) -> None:
        if self.steps == MOST_STEPS:
            self.wrong.append(f"it is not over after {MOST_STEPS} steps")
            self.world.strike.scope.cancel()
        if self.first.struck and len(self.wrong) < 10:
            self.wrong += checks.account(self.world)
        self.first.stepped()
        if self.second is not None:
            self.second.stepped()

    async def main(self) -> None:
        """The whole run, and the checks that need its loop."""
        case = self.case
        self.first = Strike(case.step)
        if case.second is not None:
            self.second = second = Strike(case.second)
            self.first.then = second.arm
        numbers = (f"event-{number}" for number in range(1, MOST_STEPS))
        runtime = Runtime(drain_within=50, ids=lambda: next(numbers), random=Random(case.seed))
        self.world = World(runtime, case.victim, self.first, self.second)
        self.begun = True
        # Virtual time does not wait for threads, so it tells nothing of them.
        with anyio.move_on_after(math.inf if self.threads else LONG) as patience:
            tasks, deadlines = tasks_alive(), deadlines_set()
            with self.world.watching():
                try:
                    await self._live(tasks, deadlines)
                except* Boom:
                    pass
            self.wrong += checks.ended(self.world, tasks, deadlines)
        if patience.cancelled_caught:
            self.wrong.append(f"it is not over after {LONG:g} s")
        self.wrong += self.world.wrong

    async def _live(self, tasks: int, deadlines: int) -> None:
        case, world = self.case, self.world
        block = self.first.scope if case.victim == "block" else anyio.CancelScope()
        if self.second is not None:
            block = self.second.scope
        self.leave = leave = self.first.scope if case.victim in ("close", "error") else anyio.CancelScope()
        world.leave = leave.cancel
        done = anyio.Event()
        async with anyio.create_task_group() as outside:
            with block:
                if case.victim == "block":
                    self.first.arm()
                async with world.runtime:
                    if case.victim in ("close", "error"):
                        self.first.arm()
                    if case.victim == "stop":
                        outside.start_soon(self._stop_first)
                    outside.start_soon(self._play, done)
                    with leave:
                        await done.wait()
                        await self._look_around(tasks, deadlines)
                    if leave.cancel_called and case.victim == "error":
                        raise Boom
            self.first.armed = False
            if self.second is not None:
                self.second.armed = False
            await done.wait()

    async def _look_around(self, tasks: int, deadlines: int) -> None:
        found: list[str] = []
        try:
            await look_around(self.world, found, tasks, deadlines)
        finally:
            if self.second is None or not self.second.struck:  # a block that is cancelled meanwhile is not whole
                self.wrong += found

    async def _play(self, done: anyio.Event) -> None:
        try:
            await self.scenario(self.world)
        except* PostroomError:
            if self.case.victim == "call" and self.second is None:
                raise
        finally:
            self.played = True
            done.set()
            if not self.leave.cancel_called:  # else the end of the block is what the scenario is about
                self.first.armed = False

    async def _stop_first(self) -> None:
        runtime = self.world.runtime
        while not runtime.subscriptions:
            if self.played:
                return
            await anyio.sleep(0.1)
        name, subscription = next(iter(runtime.subscriptions.items()))
        self.first.arm()
        with self.first.scope:
            while not self.played:
                await anyio.sleep(1)
            return
        await subscription.stop(drain=False)
        if name in runtime.subscriptions and not self.leave.cancel_called:  # one that closes keeps them all
            self.wrong.append(f"{name} was stopped and is still there")


def run_case(case: Case, scenario: Scenario, *, threads: bool = False) -> Verdict:
    """Run a scenario once. An error that comes out is one more thing that is wrong."""
    one = _Run(case, scenario, threads)
    few = Random(case.seed).choice(
        [1, 2, 5, 4096]
    )  # virtual time stands while a task runs, so only a count ends slices
    with patch.object(slices, "MOST_PER_SLICE", few):
        try:
            run(case.library, case.seed, one.main, one.stepped)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            one.wrong.append(f"it raised {_told(error)}")
    last = one.first if one.second is None else one.second
    return Verdict(last.struck, tuple(dict.fromkeys(one.wrong)), one.steps)


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}({', '.join(_told(each) for each in error.exceptions)})"
    return f"{type(error).__name__}: {error}"

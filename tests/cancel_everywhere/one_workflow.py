"""One run of a workflow that is cancelled after so many steps of the schedule, and what must hold then.

On Local the run must be over when its block is, whatever was cancelled. On the reference store, which is a durable one,
a second process opens what the first one has left, and brings it to its end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any, Final, Literal
from unittest.mock import patch

import anyio
import attrs

from postroom import Runtime, WorkflowCancelled, WorkflowFailed, Workflows
from postroom.journal import OVER, Entry, RunState
from postroom.local_journal import LocalJournal
from postroom.testing.reference import ReferenceModule, ReferenceStore
from postroom.testing.reference.journal import ReferenceJournal
from postroom.workflows import UnknownRun
from postroom_actors import slices
from tests.simulation.schedules import Backend, run

from .schedule import deadlines_set, tasks_alive
from .shopping import SIGNAL, Shop
from .strikes import Strike

Victim = Literal["run", "handle", "block", "task"]
VICTIMS: Final[tuple[Victim, ...]] = ("run", "handle", "block", "task")
"""What is cancelled: the caller of `workflows.run`; the run, by its handle; the blocks of runtime and workflows; or the
caller of `handle.result()`, which must change nothing."""

Module = Literal["local", "reference"]
MODULES: Final[tuple[Module, ...]] = ("local", "reference")

OUTCOMES: Final = ("succeeds", "fails")

ID: Final = "order-1"
MOST_STEPS: Final = 20_000
LONG: Final = 10_000.0


@attrs.frozen(kw_only=True)
class Case:
    """What makes a run reproducible.

    Attributes:
        step: After which it is cancelled.
    """

    outcome: str
    module: Module
    library: Backend
    victim: Victim
    seed: int
    step: int

    @property
    def arguments(self) -> str:
        """What to run it alone with, on the command line."""
        return (
            f"--outcome {self.outcome} --module {self.module} --backend {self.library} --victim {self.victim} "
            f"--seed {self.seed} --step {self.step}"
        )


@attrs.define(eq=False)
class One:
    """The run.

    Attributes:
        struck: Whether it was cancelled before it was over.
        wrong: What was violated.
        ended: In which state the run was last seen.
    """

    case: Case
    shop: Shop = attrs.field(init=False)
    strike: Strike = attrs.field(init=False)
    store: ReferenceStore = attrs.field(factory=ReferenceStore)
    steps: int = attrs.field(default=0, init=False)
    wrong: list[str] = attrs.field(factory=list, init=False)
    ended: RunState | None = attrs.field(default=None, init=False)
    reopened: bool = attrs.field(default=False, init=False)
    begun: bool = attrs.field(default=False, init=False)
    is_hopeless: bool = attrs.field(default=False, init=False)
    now: Callable[[], float] = attrs.field(default=float, init=False)
    patience: anyio.CancelScope = attrs.field(init=False)

    @property
    def struck(self) -> bool:
        return self.strike.struck

    # The watcher of the schedule

    def stepped(self, _task: int) -> None:
        """After each step of any task."""
        self.steps += 1
        if not self.begun:
            return
        if self.steps == MOST_STEPS:
            self.wrong.append(f"it is not over after {MOST_STEPS} steps")
            self.patience.cancel()
        elif self.steps > 5 * MOST_STEPS:
            self.is_hopeless = True
        self.strike.stepped()

    def jumping(self) -> None:
        """Time passes, which nothing here minds."""

    def broken(self, what: str) -> None:
        """The loop itself has met an error."""
        self.wrong.append(what)

    # What runs

    async def main(self) -> None:
        """The whole run, and the checks that need its loop."""
        case = self.case
        self.shop, self.strike = Shop(case.outcome == "fails", case.module == "reference"), Strike(case.step)
        self.patience = anyio.CancelScope(deadline=anyio.current_time() + LONG)
        self.begun = True
        with self.patience, self.shop.watching(), self._noting_reopened():
            tasks, deadlines = tasks_alive(), deadlines_set()
            if case.victim == "block":
                with self.strike.here():
                    await self._process(self._start_and_wait)
            else:
                await self._process({"run": self._run, "handle": self._cancel, "task": self._give_up}[case.victim])
            self.strike.armed = False
            if case.module == "reference":
                await self._process(self._look_again)
            self._check()
            if (left := (tasks_alive(), deadlines_set())) != (tasks, deadlines):
                self.wrong.append(f"(tasks, deadlines) are {left} after the end, and were {(tasks, deadlines)}")
        if self.patience.cancelled_caught:
            self.wrong.append(f"it is not over after {LONG:g} s")

    async def _process(self, body: Callable[[Workflows], Any]) -> None:
        options: dict[str, Any] = {}
        if self.case.module == "reference":
            options["module"] = ReferenceModule(self.store)
        runtime = Runtime(subscribers=[self.shop.ear], random=Random(self.case.seed), **options)
        async with runtime, Workflows(runtime, [self.shop.workflow]) as workflows:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._signal, workflows)
                await body(workflows)
                tasks.cancel_scope.cancel()
            await runtime.idle()

    async def _signal(self, workflows: Workflows) -> None:
        while True:
            await anyio.sleep(5)
            try:
                await workflows.signal(ID, SIGNAL)
            except UnknownRun:
                continue
            return

    async def _result(self, workflows: Workflows) -> None:
        """Wait for the end of the run, where there is one; and see its journal at its end."""
        with suppress(WorkflowFailed, WorkflowCancelled, UnknownRun):
            await workflows.handle(ID).result()
        try:
            self.ended = (await workflows.status(ID)).state
        except UnknownRun:
            self.ended = None

    async def _run(self, workflows: Workflows) -> None:
        with suppress(WorkflowFailed, WorkflowCancelled), self.strike.here():
            await workflows.run(self.shop.workflow, id=ID)
        was_cut = self.strike.scope.cancelled_caught
        await self._result(workflows)
        if was_cut and self.ended not in (None, *OVER):
            self.wrong.append(f"the caller was cancelled, and its run is {self.ended}")

    async def _start_and_wait(self, workflows: Workflows) -> None:
        await workflows.start(self.shop.workflow, id=ID)
        await self._result(workflows)

    async def _give_up(self, workflows: Workflows) -> None:
        handle = await workflows.start(self.shop.workflow, id=ID)
        with suppress(WorkflowFailed, WorkflowCancelled), self.strike.here():
            await handle.result()
        await self._result(workflows)
        expected = RunState.FAILED if self.shop.fails else RunState.SUCCEEDED
        if self.ended is not expected:
            self.wrong.append(f"only the wait was cancelled, and the run is {self.ended}")

    async def _cancel(self, workflows: Workflows) -> None:
        handle = await workflows.start(self.shop.workflow, id=ID)

        with self.strike.here():
            await self._result(workflows)
        if self.strike.scope.cancelled_caught and (await handle.status()).state is not RunState.SUCCEEDED:
            with suppress(UnknownRun):  # it was undone already
                await handle.cancel()
        await self._result(workflows)

    @contextmanager
    def _noting_reopened(self) -> Iterator[None]:
        """A block in which it is noted that a run is undone which had succeeded: its events stay out."""

        def noting(journal: Any) -> Any:
            reopen = journal.reopen

            async def noted(own: Any, run: str, entry: Entry) -> bool:
                done: bool = await reopen(own, run, entry)
                self.reopened = self.reopened or done
                return done

            return patch.object(journal, "reopen", noted)

        with noting(LocalJournal), noting(ReferenceJournal):
            yield

    async def _look_again(self, workflows: Workflows) -> None:
        """Another process: it brings what is left to its end."""
        await self._result(workflows)

    # What must hold

    def _check(self) -> None:
        shop, case = self.shop, self.case
        if self.reopened:  # it had succeeded when it was cancelled, and is undone all the same, as `cancel` says
            if case.victim != "handle" or shop.standing or set(shop.out) != shop.EVENTS:
                self.wrong.append(f"a run that had succeeded was undone: {shop.told()}")
            return
        if not (shop.is_nothing or (shop.is_all and not shop.fails)):
            self.wrong.append(f"half done, and the run is {self.ended}: {shop.told()}")
        if len(shop.out) > len(set(shop.out)):
            self.wrong.append(f"an event went out twice: {shop.told()}")
        # Where the runtime's own block is cancelled, Local drops what its mailboxes have yet to hand out.
        if set(shop.heard) != set(shop.out) and not (case.module == "local" and case.victim == "block"):
            self.wrong.append(f"not all that went out was heard: {shop.told()}")
        if self.ended not in (None, *OVER):
            self.wrong.append(f"in the end the run is {self.ended}")
        if self.ended is RunState.SUCCEEDED and not shop.is_all:
            self.wrong.append(f"it has succeeded with {shop.told()}")
        if self.ended in (RunState.FAILED, RunState.CANCELLED) and not shop.is_nothing:
            self.wrong.append(f"it is {self.ended} with {shop.told()}")


def run_one(case: Case) -> One:
    """Run a case. An error that comes out is one more thing that is wrong."""
    one = One(case)
    few = Random(case.seed).choice([1, 2, 5, 4096])  # as in `one_run`
    with patch.object(slices, "MOST_PER_SLICE", few):
        try:
            run(case.library, str(case.seed), 0.0, one.main, one)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            one.wrong.append(f"it raised {error!r}")
    return one

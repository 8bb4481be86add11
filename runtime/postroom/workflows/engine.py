"""Running workflows: the block inside which runs begin, are taken up, and end.

Units: seconds.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from weakref import WeakValueDictionary

import anyio
import attrs

from ..checks import check_number, count_of, listed, seconds
from ..endings import raise_what_ended_it
from ..errors import InvalidOption
from ..journal import ASLEEP, NewRun, RunLoan, RunState
from ..runtime import Runtime
from .administering import Administration, check_id
from .declaring import Workflow, as_workflow
from .errors import ConflictingRun, UnknownRun, WorkflowsClosed
from .handles import Tracked, WorkflowHandle
from .keeping import Keeper
from .outcomes import ended_as, outcome_of
from .records import Input, digest_of_input, encode, write_value

R = TypeVar("R")

DEFAULT_CAPACITY: Final = 1000
KEPT: Final = 600.0
"""How long a run is remembered whose user chose its id."""


def _workflows(values: Any) -> tuple[Workflow[Any], ...]:
    return tuple(as_workflow(each) for each in listed("workflows", values, "workflows"))


def _check_runtime(_instance: object, _attribute: object, value: Any) -> None:
    if not isinstance(value, Runtime):
        raise InvalidOption("runtime", value, "must be the `Runtime` whose events the workflows emit")


@attrs.define(eq=False, repr=False)
class Workflows(Administration):
    """Runs workflows, for as long as its `async with` block, which is inside of the runtime's.

    On leaving the block nothing new is taken up, and what runs may go on for `drain_within` seconds. What is left then
    is handed back, for other processes or for later, where the event module keeps it; on Local it is cancelled and
    undone, in `compensate_within` seconds.

    Attributes:
        runtime: Whose event module keeps the journal, and carries the events.
        workflows: What this process takes up. Others are known from the moment that they are run here.
        capacity: Runs in hand at the same time; the others wait in the journal, in their order.
        drain_within: Seconds.
        compensate_within: Seconds that undoing may take at the end of the block, or where `run` is cancelled; then it
            is left to others.
        keep: Seconds for which a run that is over is remembered; None for 10 minutes where its id was chosen, else 0.

    Raises:
        InvalidOption, InvalidWorkflow: when it is made.
        Unsupported: when it is entered: the event module keeps no journal.
    """

    runtime: Runtime = attrs.field(validator=_check_runtime)
    workflows: tuple[Workflow[Any], ...] = attrs.field(default=(), converter=_workflows)
    capacity: int = attrs.field(default=DEFAULT_CAPACITY, validator=count_of("runs"), kw_only=True)
    drain_within: float = attrs.field(default=10.0, validator=seconds(finite=False), kw_only=True)
    compensate_within: float = attrs.field(default=30.0, validator=seconds(finite=False), kw_only=True)
    keep: float | None = attrs.field(default=None, validator=seconds(optional=True), kw_only=True)
    _block: "AbstractAsyncContextManager[None] | None" = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._known = {}
        for each in self.workflows:
            if self._known.setdefault(each.name, each) is not each:
                raise InvalidOption("workflows", each.name, "is the name of two workflows; give one of them another")

    def __repr__(self) -> str:
        return f"<Workflows: {', '.join(self._known) or 'none'}; {self._state}>"

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise WorkflowsClosed("entered already, and runs once")
        self._block = self._life()
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._block is not None
        return await self._block.__aexit__(kind, error, traceback)

    @asynccontextmanager
    async def _life(self) -> AsyncGenerator[None]:
        self._backstage = backstage = self.runtime.backstage()
        tracked: WeakValueDictionary[str, Tracked] = WeakValueDictionary()
        self._keeper = keeper = Keeper(backstage, self._known, self.capacity, tracked, self.compensate_within)
        bodys_error: BaseException | None = None
        others: BaseException | None = None
        try:
            with backstage.listening(keeper.listener):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(keeper.serve, name="postroom workflows")
                    try:
                        await keeper.ready.wait()
                    except BaseException:
                        keeper.end()  # it is shielded, and would be waited for
                        raise
                    self._state = "open"
                    try:
                        yield
                    except BaseException as error:
                        # Kept, and raised below: on its way through the task group it would become one of a group.
                        bodys_error = error
                    self._state = "being left"
                    for schedule in self._schedules.values():
                        schedule.stop()
                    if isinstance(bodys_error, GeneratorExit):  # a generator around the block is closed, or forgotten
                        keeper.cut_off()
                    else:
                        await keeper.leave(self.drain_within if bodys_error is None else 0.0)
        except BaseException as error:
            others = error
        finally:
            self._state = "over"
            for each in tuple(tracked.values()):
                each.stir()
                each.watches.end()
        raise_what_ended_it(bodys_error, others, [])

    # Beginning runs

    async def start(
        self, workflow: Workflow[R], input: Any = None, *, id: str | None = None, delay: float = 0.0
    ) -> WorkflowHandle[R]:
        """Begin a run; or find the one of this id, running or remembered.

        Args:
            input: What the workflow's function gets.
            id: Names the run, in all processes; the same id is the same run.
            delay: Seconds until it begins.

        Raises:
            ConflictingRun: the id belongs to a run of another workflow, or with another input.
            InvalidOption, InvalidWorkflow, NotPortable, WorkflowsClosed: nothing was begun.

        Cancellation: it was begun or not; pass `id` and start again to learn that.
        """
        handle, _ = await self._begin(self._new(workflow, input, id, delay), id is None)
        return handle

    async def run(self, workflow: Workflow[R], input: Any = None, *, id: str | None = None) -> R:
        """Run a workflow, and wait for its end: what its function returned. Arguments as `start`.

        With the id of a run that is remembered, its result; with that of one that is running, the wait for it.

        Raises:
            WorkflowFailed, WorkflowCancelled: what it did was undone.
            WorkflowNeedsAttention, WorkflowParked: it has stopped until somebody resumes it.
            Exception: as `start`.

        Cancellation: cancels the run, if it was begun by this call, and waits until it is undone, for
            `compensate_within` seconds at the most. One that has succeeded by then stays so: its events are out.
        """
        handle: WorkflowHandle[R]
        handle, is_new = await self._begin(self._new(workflow, input, id, 0.0), id is None)
        try:
            return await handle.result()
        except anyio.get_cancelled_exc_class():
            if is_new:
                await self._abort(handle)
            raise

    async def _abort(self, handle: WorkflowHandle[Any]) -> None:
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + self.compensate_within):
            try:
                await self._cancel(handle.id, also_after_success=False)
                await handle.result()
            except Exception:  # that it was cancelled, or how it ended before: told to whoever asks for its result
                return

    def _new(
        self, workflow: Workflow[Any], input: Any, id: str | None, delay: float, lane: str = "", schedule: str = ""
    ) -> NewRun:
        self._check_open()
        workflow = as_workflow(workflow)
        if self._known.setdefault(workflow.name, workflow) is not workflow:
            raise InvalidOption("workflow", workflow.name, "is the name of another workflow here; rename one of them")
        check_number("delay", delay, "seconds")
        if input is not None and not workflow.takes_input:
            raise InvalidOption("input", input, f"{workflow.name} takes none")
        value = write_value(input, workflow.input_hint, "input")
        backstage = self._backstage
        keep = self.keep if self.keep is not None else (0.0 if id is None else KEPT)
        run_id = backstage.new_id() if id is None else check_id(id)
        record = Input(value, backstage.origin(workflow.name, run_id), schedule, keep)
        digest = digest_of_input(workflow.name, value)
        return NewRun(run_id, workflow.name, encode(record), digest, lane, delay)

    async def _begin(self, new: NewRun, has_own_id: bool) -> tuple[WorkflowHandle[Any], bool]:
        found, tracked = await self._keeper.begin(new)
        assert found is not None, "it is of no series"
        stored = found.run if isinstance(found, RunLoan) else found
        if stored.id == new.id and stored.digest != new.digest:
            raise ConflictingRun(new.id, stored.workflow)
        is_new = isinstance(found, RunLoan) or (stored.entries == 0 and stored.state is RunState.RUNNING and has_own_id)
        return WorkflowHandle(stored.id, tracked, self), is_new

    async def result_of(self, tracked: Tracked) -> Any:
        """What `WorkflowHandle.result` waits for.

        Cancellation: changes nothing.
        """
        while True:
            stirred = tracked.stirred
            if tracked.ended is not None:
                return outcome_of(tracked.id, tracked.ended)
            self._check_here()
            if tracked.is_in_hand:
                await stirred.wait()
                continue
            loan = await self._ask("read a workflow", lambda: self._journal.run(tracked.id, watch=True))
            if tracked.ended is None and loan is None:
                raise UnknownRun(tracked.id)
            if tracked.ended is None and loan is not None and loan.run.state in ASLEEP:
                workflow = self._known.get(loan.run.workflow)
                return outcome_of(tracked.id, ended_as(loan.run, None if workflow is None else workflow.hint))
            if tracked.ended is None and self._state == "over":
                raise WorkflowsClosed(self._state)
            if tracked.ended is None:
                await stirred.wait()

    def handle(self, id: str) -> WorkflowHandle[Any]:
        """The handle of a run that was begun elsewhere, or before; nobody asks yet whether there is one.

        Raises:
            InvalidOption, WorkflowsClosed: it can't be one; the block is not open.
        """
        self._check_open()
        return WorkflowHandle(check_id(id), self._keeper.tracked(id), self)

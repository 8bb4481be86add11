"""What is done with runs from outside: signals, cancelling, resuming, looking, forgetting; and schedules.

Units: seconds.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, TypeVar

import attrs
import msgspec

from ..checks import check_count, listed
from ..deadlock import check_here
from ..errors import InvalidOption
from ..journal import Entry, Journal, NewRun, RunState
from ..journalling import Backstage
from ..names import tokens_of_name
from .changes import StepChange
from .declaring import Workflow
from .errors import PermanentFailure, UnknownRun, WorkflowsClosed
from .handles import WorkflowStatus, status_of
from .histories import RunHistory, history_of_run
from .history import history_of
from .keeping import Keeper
from .records import Kind, Signal, derived, entry, write_value
from .schedules import Schedule, Slots, slots_of

T = TypeVar("T")


@attrs.define(eq=False)
class Administration:
    """The part of `Workflows` that acts on runs by their ids, wherever they run."""

    _backstage: Backstage = attrs.field(init=False)
    _keeper: Keeper = attrs.field(init=False)
    _known: "dict[str, Workflow[Any]]" = attrs.field(factory=dict, init=False)
    _state: str = attrs.field(default="not entered yet", init=False)
    _schedules: "dict[str, Schedule]" = attrs.field(factory=dict, init=False)

    async def signal(self, id: str, name: str, value: Any = None) -> None:
        """Settle what a run waits for, or will wait for, with `flow.wait_for(name)`. The first one counts.

        Args:
            value: What the wait returns; a `PermanentFailure` makes it raise that.

        Raises:
            UnknownRun: there is none of this id, or it is over.
            InvalidName, InvalidOption, NotPortable, WorkflowsClosed: nothing was sent.

        Cancellation: it was sent or not; send it again as you like.
        """
        tokens_of_name(name)
        record = Signal(self._now())
        if isinstance(value, PermanentFailure):
            record.failure = str(value)
        else:
            record.value = write_value(value, type(value), f"signal {name}")
        if not await self._signal(check_id(id), entry(Kind.SIGNAL, name, record)):
            raise UnknownRun(id, "there is none of this id, or it is over")

    async def cancel(self, id: str) -> None:
        """Cancel a run; as `WorkflowHandle.cancel`.

        Raises:
            UnknownRun: it is not remembered any more, or has been undone already.

        Cancellation: it was asked for or not.
        """
        await self._cancel(id, also_after_success=True)

    async def _cancel(self, id: str, *, also_after_success: bool) -> None:
        request = entry(Kind.CANCEL, "")
        while True:
            state = (await self.status(id)).state
            if state in (RunState.FAILED, RunState.CANCELLED):
                raise UnknownRun(id, "it has been undone already")
            if state is RunState.SUCCEEDED:
                if not also_after_success:
                    return
                if await self._ask("undo a workflow", lambda: self._journal.reopen(id, request)):
                    break
            elif await self._signal(id, request):
                if state is RunState.PARKED:
                    await self._ask("resume a workflow", lambda: self._journal.wake(id))
                break
        self._forget_end(id)

    async def resume(self, id: str) -> None:
        """Let a run that needs attention, or is parked, go on: what could not be undone is tried again.

        Raises:
            UnknownRun: it is no such run.

        Cancellation: it goes on or not.
        """
        self._check_open()
        if not await self._ask("resume a workflow", lambda: self._journal.wake(check_id(id))):
            raise UnknownRun(id, "there is none of this id that has stopped")
        self._forget_end(id)

    async def forget(self, ids: Iterable[str]) -> int:
        """Forget runs that are over or have stopped, with their journals; returns how many there were.

        Cancellation: all of them are forgotten or none.
        """
        self._check_open()
        wanted = [check_id(each) for each in listed("ids", ids, "ids of workflows")]
        return await self._ask("forget workflows", lambda: self._journal.forget(wanted))

    async def status(self, id: str) -> WorkflowStatus:
        """How far a run is.

        Raises:
            UnknownRun: it is not remembered.

        Cancellation: changes nothing.
        """
        self._check_open()
        loan = await self._ask("read a workflow", lambda: self._journal.run(check_id(id)))
        if loan is None:
            raise UnknownRun(id)
        return status_of(loan.run)

    async def history(self, id: str) -> list[StepChange]:
        """What happened to a run's steps; as `WorkflowHandle.history`.

        Raises:
            UnknownRun: it is not remembered.

        Cancellation: changes nothing.
        """
        self._check_open()
        loan = await self._ask("read a workflow", lambda: self._journal.run(check_id(id)))
        if loan is None:
            raise UnknownRun(id)
        return history_of(loan.entries)

    async def export(self, id: str) -> RunHistory:
        """All that the journal has of a run, for `replay_history` or for people.

        Raises:
            UnknownRun: it is not remembered.

        Cancellation: changes nothing.
        """
        self._check_open()
        loan = await self._ask("read a workflow", lambda: self._journal.run(check_id(id)))
        if loan is None:
            raise UnknownRun(id)
        return history_of_run(loan)

    async def list(
        self,
        workflow: "Workflow[Any] | str | None" = None,
        states: Collection[RunState | str] | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
    ) -> "list[WorkflowStatus]":
        """The runs that are remembered, by id: of one workflow or of all, in some states or in any.

        Args:
            after: Only those whose ids come after this one, for the next page.

        Raises:
            InvalidOption: a state that there is none of.

        Cancellation: changes nothing.
        """
        self._check_open()
        check_count("limit", limit, "runs")
        name = workflow.name if isinstance(workflow, Workflow) else workflow
        try:
            wanted = None if states is None else [RunState(each) for each in listed("states", states, "states")]
        except ValueError:
            raise InvalidOption("states", states, f"must hold states only: {', '.join(RunState)}") from None
        found = await self._ask("list workflows", lambda: self._journal.runs(name, wanted, after, limit))
        return [status_of(each) for each in found]

    def schedule(
        self,
        workflow: "Workflow[Any]",
        input: Any = None,
        *,
        cron: str | None = None,
        every: float | None = None,
        times: int | None = None,
        overlap: bool = False,
        name: str | None = None,
    ) -> Schedule:
        """Run a workflow again and again, until this block is left or the schedule is stopped.

        The runs of a slot have an id made of the schedule's name and the slot's time, so that of several processes
        with the same schedule one begins each of them. Slots that come while no process runs are left out.

        How many runs have begun is in the journal, for all processes and for good: after `times` of them the schedule
        is over, also where a process starts anew. A schedule with another workflow, cron expression or interval under
        the same name counts from the beginning; with the same ones and larger `times`, it goes on.

        Args:
            cron: An expression of five fields, in UTC, such as `*/5 * * * *`; or of six, the first for seconds.
            every: Seconds between slots, instead; they are multiples of it since the epoch.
            times: Runs after which it ends; a slot that is left out is none.
            overlap: Begin a run although the one before is not over; otherwise that slot is left out.
            name: Of the schedule; that of the workflow by default.

        Raises:
            InvalidOption, InvalidWorkflow, WorkflowsClosed: nothing is scheduled.
        """
        self._check_open()
        slots: Slots = slots_of(cron, every)
        if times is not None:
            check_count("times", times, "runs")
        chosen = workflow.name if name is None else name
        if chosen in self._schedules and not self._schedules[chosen].stopped:
            raise InvalidOption("name", chosen, "is the name of another schedule; pass `name=`")
        write_value(input, workflow.input_hint, "input")
        schedule = self._schedules[chosen] = Schedule(chosen, slots, times)
        lane = "" if overlap else f"schedule {chosen}"
        series = "" if times is None else derived(chosen, workflow.name, str(cron), str(every))

        async def begin(id: str) -> bool:
            new = self._new(workflow, input, id, 0.0, lane, chosen)
            found, _ = await self._keeper.begin(msgspec.structs.replace(new, series=series, most=times or 0))
            return found is not None

        self._keeper.spawn(schedule.serve, begin, self._keeper.times)
        return schedule

    def _new(
        self, workflow: Any, input: Any, id: str | None, delay: float, lane: str = "", schedule: str = ""
    ) -> NewRun:
        raise NotImplementedError

    # Asking

    @property
    def _journal(self) -> Journal:
        return self._backstage.journal

    def _now(self) -> float:
        self._check_open()
        return self._keeper.times.now()

    async def _ask(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        return await self._backstage.ask(what, ask)

    async def _signal(self, id: str, record: Entry) -> bool:
        return await self._ask("signal a workflow", lambda: self._journal.signal(id, record))

    def _forget_end(self, id: str) -> None:
        tracked = self._keeper.tracked(id)
        tracked.ended = None
        tracked.stir()

    def _check_open(self) -> None:
        if self._state not in ("open", "being left"):
            raise WorkflowsClosed(self._state)
        self._check_here()

    def _check_here(self) -> None:
        self._backstage.check_open("Workflows")
        check_here(self._backstage.port)


def check_id(id: object) -> str:
    """The id of a run.

    Raises:
        InvalidOption: it can't be one.
    """
    if not isinstance(id, str) or not 1 <= len(id) <= 200 or not str.__str__(id).isprintable():
        raise InvalidOption("id", id, "must be a string of 1 to 200 printable characters")
    return str.__str__(id)

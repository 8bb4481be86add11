"""From a loan of a run to its end: forwards through the workflow's function, and where that fails back again.

Units: seconds.
"""

from collections.abc import Callable
from typing import Any, Final, Literal

import anyio
import attrs

from postroom_actors import Verdict, judge

from ..codec import UnreadableRecord
from ..drafts import run_in_hand
from ..errors import NotPortable, PostroomError
from ..journal import RunState
from ..log import WORKFLOW_PARKED, WORKFLOW_STUCK
from ..receipt import Receipt
from ..store_errors import BacklogFull, UnknownResult
from .errors import StepFailed, WorkflowCancelled, WorkflowTimeout
from .execution import GOES_ON_ELSEWHERE, RECORD_WITHIN, Execution, Reason
from .flow import Flow
from .places import Place
from .records import Input, Kind, Moment, Result, Undoing, encode, entry, read_value, undoing_of, write_value
from .replay import Mismatch
from .undoing import undo

SEEK_WITHIN: Final = 1.0
"""How long a run that only looks for its steps may stand still."""

FIRST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 5.0


@attrs.define(eq=False)
class Ended:
    """How a run ended, or what it stopped for.

    Attributes:
        value: What its function returned, where it has.
        error: What it raised, where that was here.
    """

    workflow: str
    state: RunState
    result: Result
    value: Any = None
    error: BaseException | None = None


@attrs.define(eq=False)
class Driver:
    """Works on one run.

    Attributes:
        told: Called with how it ended.
    """

    run: Execution
    input: Input
    told: Callable[[Ended], None]
    _error: BaseException | None = attrs.field(default=None, init=False)

    async def drive(self) -> None:
        """Bring the run to its end; or leave it for others, where it is to go on elsewhere.

        Cancellation: leaves it as its journal has it.
        """
        run = self.run
        token = run_in_hand.set(run.cause)
        try:
            if run.state is RunState.RUNNING:
                undoing = await self._forwards()
            else:
                undoing = run.replay.undoing or Undoing(run.times.now(), cancelled=True)
                await self._seek()
            if undoing is not None and run.reason not in GOES_ON_ELSEWHERE and run.reason is not Reason.PARKED:
                await self._back(undoing)
            if run.reason is Reason.PARKED and run.mismatch is not None:
                await self._park(run.mismatch)
        finally:
            run_in_hand.reset(token)
            run.stash.close("its run goes on in another process, or not at all")
            await run.services.close()

    # Forwards

    async def _forwards(self) -> Undoing | None:
        """Run the workflow's function; why what it did is to be undone, None where there is nothing to do for that."""
        run = self.run
        if run.replay.cancelled or run.reason is Reason.CANCELLED:
            await self._seek(in_doubt=True)
            return Undoing(run.times.now(), cancelled=True)
        if run.loan.run.losses > run.backstage.losses:
            text = f"the processes that ran it have died, {run.loan.run.losses} times"
            await self._seek(in_doubt=True)
            return Undoing(run.times.now(), False, None, "LostTooOften", text)
        value, error = await self.call()
        return await self._ended(value, error)

    @property
    def _is_for_others(self) -> bool:
        """It goes on in another process, or when a person says so."""
        return self.run.reason in GOES_ON_ELSEWHERE or self.run.reason is Reason.PARKED

    async def _ended(self, value: Any, error: BaseException | None) -> Undoing | None:
        run = self.run
        if self._is_for_others:
            return None
        if run.reason is Reason.CANCELLED:
            await self._seek_rest()
            return Undoing(run.times.now(), cancelled=True)
        if run.reason is Reason.TIMED_OUT:
            error = WorkflowTimeout(run.workflow.name, run.workflow.timeout or 0.0)
            await self._seek_rest()
            if self._is_for_others:
                return None
        try:
            run.replay.check_end("ends" if error is None else f"ends with {type(error).__name__}")
        except Mismatch as mismatch:
            run.park(mismatch)
            return None
        if error is None and run.stuck:
            error = StepFailed(run.stuck[0], 1, "Stuck", "its compensation failed")
        if error is None:
            error = await self._succeed(value)
            if error is None:
                return None
            if isinstance(error, WorkflowCancelled):  # right before its success was written
                return Undoing(run.times.now(), cancelled=True)
        self._error = error
        return undoing_of(error, run.times.now())

    async def call(self) -> tuple[Any, BaseException | None]:
        """What the function returns or raises; neither means anything where the run has a reason to stop."""
        run, workflow = self.run, self.run.workflow
        arguments: tuple[Any, ...] = ()
        try:
            if workflow.takes_input:
                arguments = (read_value(self.input.value, workflow.input_hint, "input of a workflow"),)
            flow = Flow(run, Place(run.backstage.port))
            if workflow.timeout is None or run.seeking is not None:
                with run.scope:
                    return await workflow.function(flow, *arguments), None
                return None, None
            with run.scope, anyio.CancelScope() as limit:
                run.limits[""] = (limit, run.loan.run.created_at + workflow.timeout)
                if not run.replay.count:
                    run.go_live("")
                return await workflow.function(flow, *arguments), None
            if run.reason is None:
                run.reason = Reason.TIMED_OUT
        except BaseException as error:
            if judge(error) is not Verdict.FAILURE:
                raise
            return None, error if isinstance(error, Exception) else RuntimeError(f"raised {type(error).__name__}")
        finally:
            run.limits.pop("", None)
        return None, None

    async def _succeed(self, value: Any) -> BaseException | None:
        """End the run with a value, and let its events out; what keeps it from that, if anything does."""
        run = self.run
        what = f"result of workflow {run.workflow.name}"
        try:
            result = Result(write_value(value, run.workflow.hint, what))
        except NotPortable as error:
            return error
        if run.backstage.portable:
            value = read_value(result.value, run.workflow.hint, what)
        return await self._conclude(Ended(run.workflow.name, RunState.SUCCEEDED, result, value))

    # Back

    async def _back(self, undoing: Undoing) -> None:
        """Undo what was done, and end the run."""
        run = self.run
        begun = run.state is RunState.COMPENSATING or not (run.finished or run.replay.count)
        if not begun and not await run.record(entry(Kind.UNDOING, "", undoing), state=RunState.COMPENSATING):
            return
        run.is_undoing = True
        run.stash.drop(lambda path: True, "its workflow has failed" if not undoing.cancelled else "it was cancelled")
        run.reason, run.scope = None, anyio.CancelScope()  # another one, for whoever stops it from now on
        run.stuck.clear()
        with run.scope:
            await undo(run)
        if run.reason in GOES_ON_ELSEWHERE or run.scope.cancelled_caught:
            return
        if run.stuck:
            run.backstage.log.write(WORKFLOW_STUCK, run.workflow.name, run.id, ", ".join(run.stuck))
            ended = Ended(
                run.workflow.name, RunState.NEEDS_ATTENTION, Result(undoing=undoing, stuck=run.stuck), error=self._error
            )
        else:
            state = RunState.CANCELLED if undoing.cancelled else RunState.FAILED
            ended = Ended(run.workflow.name, state, Result(undoing=undoing), error=self._error)
        await self._conclude(ended)

    async def _seek(self, *, in_doubt: bool = False) -> None:
        """Run the function only to find the steps of what is in the journal, so that they can be undone.

        Args:
            in_doubt: Also those that it would begin next, where they may have begun in another process.
        """
        run = self.run
        if run.reason is Reason.CANCELLED:  # before it had begun: it would come to nothing
            run.reason, run.scope = None, anyio.CancelScope()
        run.seeking, run.in_doubt = set(run.replay.steps), in_doubt and run.may_have_begun
        run.stash.muted = True
        found, stalled = run.found, run.stalled = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:

            async def look() -> None:
                await self.call()
                tasks.cancel_scope.cancel()

            async def wait() -> None:
                await found.wait()
                if not run.in_doubt:
                    tasks.cancel_scope.cancel()

            async def give_up() -> None:
                await stalled.wait()
                await anyio.sleep(SEEK_WITHIN)
                tasks.cancel_scope.cancel()

            if run.seeking or run.in_doubt:
                for each in (look, wait, give_up):
                    tasks.start_soon(each)
        missing = {path for path in run.seeking if path not in run.replay.undone}
        assert run.reason is not Reason.TIMED_OUT, "there is no limit while it seeks"
        if missing and run.reason is None:
            run.park(Mismatch(f"step {sorted(missing)[0]}, to be undone,", "ends without asking for it"))
        run.seeking, run.in_doubt, run.stash.muted = None, False, False

    async def _seek_rest(self) -> None:
        """It was stopped before it had asked for all that is in its journal, or that was done where it was before: find
        that too, or it would stay done."""
        run = self.run
        if run.replay.steps.keys() <= run.finished.keys() and not run.may_have_begun:
            return
        loan = await run.backstage.ask("read a workflow", lambda: run.backstage.journal.run(run.id))
        if loan is None:
            run.reason = Reason.LOST
            return
        try:
            run.begin_again(loan.entries)
        except UnreadableRecord as error:
            run.reason = None
            run.park(Mismatch(str(error), "can't read that"))
            return
        await self._seek(in_doubt=True)

    # The end

    async def _park(self, mismatch: Mismatch) -> None:
        run = self.run
        if run.loan.run.losses:  # which are forgotten once it is resumed
            run.later(entry(Kind.BEGUN, "", Moment(run.times.now())))
        await run.flush()
        run.backstage.log.write(WORKFLOW_PARKED, run.workflow.name, run.id, mismatch.journal, mismatch.code)
        await self._conclude(
            Ended(run.workflow.name, RunState.PARKED, Result(journal=mismatch.journal, code=mismatch.code))
        )

    async def _conclude(self, ended: Ended) -> PostroomError | None:
        """Say the last word, and let the events out; why they can't be, if that is so."""
        run = self.run
        outgoing = [*run.stash.waiting] if ended.state is RunState.SUCCEEDED else []
        if ended.state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED):
            outgoing += run.stash.epilogue
        wait = FIRST_WAIT
        answer: list[Receipt] | PostroomError | Literal[False] | None = None
        while True:
            try:
                answer = await run.backstage.conclude(
                    run.token,
                    ended.state,
                    encode(ended.result),
                    [each.draft for each in outgoing],
                    self.input.keep,
                    RECORD_WITHIN,
                    (Kind.CANCEL, "") if ended.state is RunState.SUCCEEDED else None,
                )
            except UnknownResult:  # it is over or not: whoever takes it up will see
                run.reason = Reason.LEAVING
                return None
            if not isinstance(answer, BacklogFull):
                break
            await anyio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
            if run.reason in GOES_ON_ELSEWHERE:
                return None
            if run.reason is Reason.CANCELLED:  # while it waited for room
                return WorkflowCancelled(run.id, run.workflow.name)
        if answer is False:
            return WorkflowCancelled(run.id, run.workflow.name)
        if answer is None:
            run.reason = Reason.LOST
            return None
        if isinstance(answer, PostroomError):
            return answer
        run.stash.released(outgoing, answer)
        run.tell("over", "", reason=ended.state.value)
        self.told(ended)
        await run.backstage.admitted(answer)
        return None

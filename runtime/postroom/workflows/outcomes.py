"""How a run ended, as whoever waits for it gets it."""

from typing import Any

from ..codec import RemoteFailure
from ..journal import RunState, StoredRun
from .driver import Ended
from .errors import WorkflowCancelled, WorkflowFailed, WorkflowNeedsAttention, WorkflowParked
from .records import Result, read, read_value


def ended_as(run: StoredRun, hint: Any) -> Ended:
    """How a run ended, from its store; a value is read as `hint` says.

    Raises:
        UnreadableRecord: it can't be read by this release.
    """
    result = read(run.result, Result, "result of a workflow")
    value = None
    if run.state is RunState.SUCCEEDED:
        value = read_value(result.value, Any if hint is None else hint, f"result of workflow {run.workflow}")
    return Ended(run.workflow, run.state, result, value)


def outcome_of(id: str, ended: Ended) -> Any:
    """What the run returned.

    Raises:
        WorkflowFailed, WorkflowCancelled, WorkflowNeedsAttention, WorkflowParked: it did not succeed.
    """
    result, undoing = ended.result, ended.result.undoing
    match ended.state:
        case RunState.SUCCEEDED:
            return ended.value
        case RunState.CANCELLED:
            raise WorkflowCancelled(id, ended.workflow)
        case RunState.NEEDS_ATTENTION:
            raise WorkflowNeedsAttention(id, ended.workflow, tuple(result.stuck))
        case RunState.PARKED:
            raise WorkflowParked(id, ended.workflow, result.journal, result.code)
        case RunState.FAILED if undoing is not None:
            error = WorkflowFailed(id, ended.workflow, undoing.step, undoing.type, undoing.message)
            cause = ended.error or RemoteFailure(undoing.type, undoing.message, undoing.traceback)
            raise error from cause
    raise AssertionError("it is not over")

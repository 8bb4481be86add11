"""Workflows: steps with compensations, whose journal survives their process."""

from ..journal import RunState as RunState
from .changes import StepChange as StepChange
from .context import StepContext as StepContext
from .context import emit_event as emit_event
from .declaring import Skip as Skip
from .declaring import Step as Step
from .declaring import StepAnswer as StepAnswer
from .declaring import Workflow as Workflow
from .declaring import step as step
from .declaring import workflow as workflow
from .engine import Workflows as Workflows
from .errors import AmbiguousStep as AmbiguousStep
from .errors import ConflictingRun as ConflictingRun
from .errors import InvalidWorkflow as InvalidWorkflow
from .errors import NotSignalled as NotSignalled
from .errors import PermanentFailure as PermanentFailure
from .errors import StepFailed as StepFailed
from .errors import StepTimeout as StepTimeout
from .errors import UnknownRun as UnknownRun
from .errors import WorkflowCancelled as WorkflowCancelled
from .errors import WorkflowFailed as WorkflowFailed
from .errors import WorkflowNeedsAttention as WorkflowNeedsAttention
from .errors import WorkflowParked as WorkflowParked
from .errors import WorkflowsClosed as WorkflowsClosed
from .errors import WorkflowTimeout as WorkflowTimeout
from .flow import Flow as Flow
from .flow import Pending as Pending
from .flow import Together as Together
from .handles import WorkflowHandle as WorkflowHandle
from .handles import WorkflowStatus as WorkflowStatus
from .histories import Replayed as Replayed
from .histories import RunHistory as RunHistory
from .histories import replay_history as replay_history
from .schedules import Schedule as Schedule

__all__ = [
    "AmbiguousStep",
    "ConflictingRun",
    "Flow",
    "InvalidWorkflow",
    "NotSignalled",
    "Pending",
    "PermanentFailure",
    "Replayed",
    "RunHistory",
    "RunState",
    "Schedule",
    "Skip",
    "Step",
    "StepAnswer",
    "StepChange",
    "StepContext",
    "StepFailed",
    "StepTimeout",
    "Together",
    "UnknownRun",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowFailed",
    "WorkflowHandle",
    "WorkflowNeedsAttention",
    "WorkflowParked",
    "WorkflowStatus",
    "WorkflowTimeout",
    "Workflows",
    "WorkflowsClosed",
    "emit_event",
    "replay_history",
    "step",
    "workflow",
]

"""An actor-based event runtime for async Python: every subscriber an actor with a mailbox of its own."""

from .actor import Actor as Actor
from .actor import OutsideRuntime as OutsideRuntime
from .actor import on as on
from .batch import Batch as Batch
from .batch import BatchFailure as BatchFailure
from .capabilities import Capability as Capability
from .capabilities import Unsupported as Unsupported
from .carrying.fetching import LostTooOften as LostTooOften
from .changes import Change as Change
from .changes import Watch as Watch
from .codec import BackoffNotPortable as BackoffNotPortable
from .codec import NotEncoded as NotEncoded
from .codec import RemoteFailure as RemoteFailure
from .codec import UnreadableRecord as UnreadableRecord
from .context import Context as Context
from .contract import EventModule as EventModule
from .contract import StagedGroup as StagedGroup
from .contract import StoredSubscription as StoredSubscription
from .dead_letters import DeadLetter as DeadLetter
from .dead_letters import DeadLetters as DeadLetters
from .errors import CausationTooDeep as CausationTooDeep
from .errors import Closed as Closed
from .errors import ConflictingEvent as ConflictingEvent
from .errors import DuplicateSubscription as DuplicateSubscription
from .errors import EmitInterrupted as EmitInterrupted
from .errors import ForkedProcess as ForkedProcess
from .errors import Full as Full
from .errors import HandlerAborted as HandlerAborted
from .errors import HandlerTimeout as HandlerTimeout
from .errors import InvalidEventType as InvalidEventType
from .errors import InvalidHandler as InvalidHandler
from .errors import InvalidName as InvalidName
from .errors import InvalidOption as InvalidOption
from .errors import InvalidPayload as InvalidPayload
from .errors import MailboxFull as MailboxFull
from .errors import NoSubscriber as NoSubscriber
from .errors import NotFromHere as NotFromHere
from .errors import NotHandled as NotHandled
from .errors import NotPortable as NotPortable
from .errors import PostroomError as PostroomError
from .errors import Rejected as Rejected
from .errors import RuntimeClosed as RuntimeClosed
from .errors import RuntimeReentered as RuntimeReentered
from .errors import UnknownDeadLetter as UnknownDeadLetter
from .errors import UnknownEvent as UnknownEvent
from .errors import UnknownSubscription as UnknownSubscription
from .errors import UnreadableEvent as UnreadableEvent
from .errors import WouldDeadlock as WouldDeadlock
from .errors import WrongBackend as WrongBackend
from .errors import WrongThread as WrongThread
from .event import Event as Event
from .event_types import event_type as event_type
from .groups import Group as Group
from .interceptors import Interceptor as Interceptor
from .interceptors import InterceptorFailed as InterceptorFailed
from .interceptors import Vetoed as Vetoed
from .local import Local as Local
from .modules.sqlite import SqliteModule as SqliteModule
from .outcomes import Cancelled as Cancelled
from .outcomes import Dropped as Dropped
from .outcomes import Expired as Expired
from .outcomes import Failed as Failed
from .outcomes import Outcome as Outcome
from .outcomes import Report as Report
from .outcomes import Succeeded as Succeeded
from .pacing import Breaker as Breaker
from .pacing import Rate as Rate
from .policy import Policy as Policy
from .receipt import Receipt as Receipt
from .recordings import EventTree as EventTree
from .recordings import RecordedEvent as RecordedEvent
from .recordings import RecordedOutcome as RecordedOutcome
from .recordings import Recording as Recording
from .retry import Backoff as Backoff
from .retry import Retry as Retry
from .retry import constant as constant
from .retry import exponential as exponential
from .runtime import Runtime as Runtime
from .services import Events as Events
from .services import ServicesClosed as ServicesClosed
from .services import UnknownService as UnknownService
from .siblings import Siblings as Siblings
from .snapshots import DeadLettersSnapshot as DeadLettersSnapshot
from .snapshots import InHand as InHand
from .snapshots import MailboxSnapshot as MailboxSnapshot
from .snapshots import Rates as Rates
from .snapshots import Snapshot as Snapshot
from .snapshots import SubscriptionSnapshot as SubscriptionSnapshot
from .staged import GroupCleared as GroupCleared
from .staged import StagedReceipt as StagedReceipt
from .staged import StillStaged as StillStaged
from .staging import GroupClosed as GroupClosed
from .staging import GroupFull as GroupFull
from .stats import RuntimeStats as RuntimeStats
from .stats import SubscriptionStats as SubscriptionStats
from .store_errors import BacklogFull as BacklogFull
from .store_errors import StillServed as StillServed
from .store_errors import StoreBroken as StoreBroken
from .store_errors import StoreBusy as StoreBusy
from .store_errors import StoreFull as StoreFull
from .store_errors import UnknownResult as UnknownResult
from .store_errors import WrongRole as WrongRole
from .subscriber import Subscriber as Subscriber
from .subscriber import subscriber as subscriber
from .subscription import Subscription as Subscription
from .supervision import SubscriptionStopped as SubscriptionStopped
from .supervision import Supervision as Supervision
from .threads import ThreadReceipt as ThreadReceipt
from .workflows import Flow as Flow
from .workflows import PermanentFailure as PermanentFailure
from .workflows import Skip as Skip
from .workflows import Step as Step
from .workflows import StepAnswer as StepAnswer
from .workflows import StepContext as StepContext
from .workflows import StepFailed as StepFailed
from .workflows import Workflow as Workflow
from .workflows import WorkflowCancelled as WorkflowCancelled
from .workflows import WorkflowFailed as WorkflowFailed
from .workflows import WorkflowHandle as WorkflowHandle
from .workflows import Workflows as Workflows
from .workflows import emit_event as emit_event
from .workflows import step as step
from .workflows import workflow as workflow

__all__ = [
    "Actor",
    "BacklogFull",
    "Backoff",
    "BackoffNotPortable",
    "Batch",
    "BatchFailure",
    "Breaker",
    "Cancelled",
    "Capability",
    "CausationTooDeep",
    "Change",
    "Closed",
    "ConflictingEvent",
    "Context",
    "DeadLetter",
    "DeadLetters",
    "DeadLettersSnapshot",
    "Dropped",
    "DuplicateSubscription",
    "EmitInterrupted",
    "Event",
    "EventModule",
    "EventTree",
    "Events",
    "Expired",
    "Failed",
    "Flow",
    "ForkedProcess",
    "Full",
    "Group",
    "GroupCleared",
    "GroupClosed",
    "GroupFull",
    "HandlerAborted",
    "HandlerTimeout",
    "InHand",
    "Interceptor",
    "InterceptorFailed",
    "InvalidEventType",
    "InvalidHandler",
    "InvalidName",
    "InvalidOption",
    "InvalidPayload",
    "Local",
    "LostTooOften",
    "MailboxFull",
    "MailboxSnapshot",
    "NoSubscriber",
    "NotEncoded",
    "NotFromHere",
    "NotHandled",
    "NotPortable",
    "Outcome",
    "OutsideRuntime",
    "PermanentFailure",
    "Policy",
    "PostroomError",
    "Rate",
    "Rates",
    "Receipt",
    "RecordedEvent",
    "RecordedOutcome",
    "Recording",
    "Rejected",
    "RemoteFailure",
    "Report",
    "Retry",
    "Runtime",
    "RuntimeClosed",
    "RuntimeReentered",
    "RuntimeStats",
    "ServicesClosed",
    "Siblings",
    "Skip",
    "Snapshot",
    "SqliteModule",
    "StagedGroup",
    "StagedReceipt",
    "Step",
    "StepAnswer",
    "StepContext",
    "StepFailed",
    "StillServed",
    "StillStaged",
    "StoreBroken",
    "StoreBusy",
    "StoreFull",
    "StoredSubscription",
    "Subscriber",
    "Subscription",
    "SubscriptionSnapshot",
    "SubscriptionStats",
    "SubscriptionStopped",
    "Succeeded",
    "Supervision",
    "ThreadReceipt",
    "UnknownDeadLetter",
    "UnknownEvent",
    "UnknownResult",
    "UnknownService",
    "UnknownSubscription",
    "UnreadableEvent",
    "UnreadableRecord",
    "Unsupported",
    "Vetoed",
    "Watch",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowFailed",
    "WorkflowHandle",
    "Workflows",
    "WouldDeadlock",
    "WrongBackend",
    "WrongRole",
    "WrongThread",
    "constant",
    "emit_event",
    "event_type",
    "exponential",
    "on",
    "step",
    "subscriber",
    "workflow",
]

"""An actor-based event runtime for async Python: every subscriber an actor with a mailbox of its own."""

from .batch import Batch as Batch
from .batch import BatchFailure as BatchFailure
from .context import Context as Context
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
from .errors import InvalidHandler as InvalidHandler
from .errors import InvalidName as InvalidName
from .errors import InvalidOption as InvalidOption
from .errors import MailboxFull as MailboxFull
from .errors import NoSubscriber as NoSubscriber
from .errors import NotFromHere as NotFromHere
from .errors import NotHandled as NotHandled
from .errors import PostroomError as PostroomError
from .errors import Rejected as Rejected
from .errors import RuntimeClosed as RuntimeClosed
from .errors import RuntimeReentered as RuntimeReentered
from .errors import UnknownDeadLetter as UnknownDeadLetter
from .errors import UnknownSubscription as UnknownSubscription
from .errors import WouldDeadlock as WouldDeadlock
from .errors import WrongBackend as WrongBackend
from .errors import WrongThread as WrongThread
from .event import Event as Event
from .outcomes import Cancelled as Cancelled
from .outcomes import Dropped as Dropped
from .outcomes import Expired as Expired
from .outcomes import Failed as Failed
from .outcomes import Outcome as Outcome
from .outcomes import Report as Report
from .outcomes import Succeeded as Succeeded
from .receipt import Receipt as Receipt
from .retry import Backoff as Backoff
from .retry import Retry as Retry
from .retry import constant as constant
from .retry import exponential as exponential
from .runtime import Runtime as Runtime
from .stats import RuntimeStats as RuntimeStats
from .stats import SubscriptionStats as SubscriptionStats
from .subscriber import Subscriber as Subscriber
from .subscriber import subscriber as subscriber
from .subscription import Subscription as Subscription
from .threads import ThreadReceipt as ThreadReceipt

__all__ = [
    "Backoff",
    "Batch",
    "BatchFailure",
    "Cancelled",
    "CausationTooDeep",
    "Closed",
    "ConflictingEvent",
    "Context",
    "DeadLetter",
    "DeadLetters",
    "Dropped",
    "DuplicateSubscription",
    "EmitInterrupted",
    "Event",
    "Expired",
    "Failed",
    "ForkedProcess",
    "Full",
    "HandlerAborted",
    "HandlerTimeout",
    "InvalidHandler",
    "InvalidName",
    "InvalidOption",
    "MailboxFull",
    "NoSubscriber",
    "NotFromHere",
    "NotHandled",
    "Outcome",
    "PostroomError",
    "Receipt",
    "Rejected",
    "Report",
    "Retry",
    "Runtime",
    "RuntimeClosed",
    "RuntimeReentered",
    "RuntimeStats",
    "Subscriber",
    "Subscription",
    "SubscriptionStats",
    "Succeeded",
    "ThreadReceipt",
    "UnknownDeadLetter",
    "UnknownSubscription",
    "WouldDeadlock",
    "WrongBackend",
    "WrongThread",
    "constant",
    "exponential",
    "subscriber",
]

"""The actor kernel: mailboxes, the loop of an actor, time slices, timers and schedules. It knows no events."""

from .actor import Actor as Actor
from .actor import Behaviour as Behaviour
from .actor import Hand as Hand
from .actor import current_hand as current_hand
from .actor import current_message as current_message
from .admission import ABANDONED as ABANDONED
from .admission import Admission as Admission
from .batches import BatchActor as BatchActor
from .gates import Gate as Gate
from .gates import Shut as Shut
from .generators import tidily as tidily
from .guard import Verdict as Verdict
from .guard import interrupt_of as interrupt_of
from .guard import judge as judge
from .kernel import Kernel as Kernel
from .kernel import open_kernel as open_kernel
from .lanes import Order as Order
from .libraries import running_library as running_library
from .lives import Lives as Lives
from .lives import LivingActor as LivingActor
from .mailbox import Mailbox as Mailbox
from .mailbox import Overflow as Overflow
from .mailbox import Owner as Owner
from .port import Cancellable as Cancellable
from .port import Port as Port
from .port import Sleeper as Sleeper
from .port import Wakeable as Wakeable
from .port import cancellation_was_asked_for as cancellation_was_asked_for
from .port import current_port as current_port
from .schedules import Schedule as Schedule
from .slices import TimeSlice as TimeSlice
from .supervision import Directive as Directive
from .supervision import Intensity as Intensity
from .supervision import Moment as Moment
from .supervision import Phase as Phase
from .supervision import Strategy as Strategy
from .supervision import affected as affected
from .supervision import effective as effective
from .supervision import may_start as may_start
from .supervision import may_stop as may_stop
from .timers import Timers as Timers
from .waits import Circle as Circle
from .waits import Every as Every
from .waits import Need as Need
from .waits import SingleNeed as SingleNeed
from .waits import Step as Step
from .waits import Wait as Wait
from .waits import find_circle as find_circle

__all__ = [
    "ABANDONED",
    "Actor",
    "Admission",
    "BatchActor",
    "Behaviour",
    "Cancellable",
    "Circle",
    "Directive",
    "Every",
    "Gate",
    "Hand",
    "Intensity",
    "Kernel",
    "Lives",
    "LivingActor",
    "Mailbox",
    "Moment",
    "Need",
    "Order",
    "Overflow",
    "Owner",
    "Phase",
    "Port",
    "Schedule",
    "Shut",
    "SingleNeed",
    "Sleeper",
    "Step",
    "Strategy",
    "TimeSlice",
    "Timers",
    "Verdict",
    "Wait",
    "Wakeable",
    "affected",
    "cancellation_was_asked_for",
    "current_hand",
    "current_message",
    "current_port",
    "effective",
    "find_circle",
    "interrupt_of",
    "judge",
    "may_start",
    "may_stop",
    "open_kernel",
    "running_library",
    "tidily",
]

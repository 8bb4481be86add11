"""The actor kernel: mailboxes, the loop of an actor, time slices and timers. It knows no events."""

from .actor import Actor as Actor
from .actor import Behaviour as Behaviour
from .actor import Hand as Hand
from .actor import current_hand as current_hand
from .admission import ABANDONED as ABANDONED
from .admission import Admission as Admission
from .batches import BatchActor as BatchActor
from .kernel import Kernel as Kernel
from .kernel import open_kernel as open_kernel
from .lanes import Order as Order
from .libraries import running_library as running_library
from .mailbox import Mailbox as Mailbox
from .mailbox import Overflow as Overflow
from .mailbox import Owner as Owner
from .port import Port as Port
from .port import Sleeper as Sleeper
from .port import Wakeable as Wakeable
from .port import cancellation_was_asked_for as cancellation_was_asked_for
from .port import current_port as current_port
from .slices import TimeSlice as TimeSlice
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
    "Circle",
    "Every",
    "Hand",
    "Kernel",
    "Mailbox",
    "Need",
    "Order",
    "Overflow",
    "Owner",
    "Port",
    "SingleNeed",
    "Sleeper",
    "Step",
    "TimeSlice",
    "Timers",
    "Wait",
    "Wakeable",
    "cancellation_was_asked_for",
    "current_hand",
    "current_port",
    "find_circle",
    "open_kernel",
    "running_library",
]

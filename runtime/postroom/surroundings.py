"""What all subscriptions of a runtime share.

Units: seconds.
"""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Protocol, TypeVar

import attrs

from postroom_actors import Kernel, Schedule, Timers

from .actor import class_of
from .changes import Change, Watches
from .clock import Clock
from .context import Context
from .dead_letters import DeadLetters
from .delivery import Delivery
from .interceptors import Interception
from .log import Log
from .policy import SILENT, Policy
from .receipt import Receipt
from .services import Services
from .subscriber import Subscriber, positional_parameters
from .supervisor import Turns

X = TypeVar("X")


class Surrounded(Protocol):
    """A subscription, as far as its calls are surrounded."""

    subscriber: Subscriber[..., Any]

    @property
    def parent(self) -> object: ...


@attrs.define(eq=False)
class Surroundings:
    """What a subscription gets from its runtime.

    Attributes:
        schedule_of: Makes what holds a subscription's deliveries that are delayed or wait for their next attempt.
        alarms: Wake-ups for those who look for stuck handlers, for gates, and for expired groups.
        grace: Seconds that a cancelled handler may take to clean up.
        give_up_after: When draining ends, on the loop's clock; None while nothing is being closed.
        fall: Ends the runtime with an error.
        defaults: What the runtime says of policies.
        log: Where lines are logged.
        changes: Those who watch what goes on.
        is_durable: Deliveries come out of a store, and go back there.
        serve, leave, pause: What a store is told of subscriptions; None where there is none.
        reopened: Told when a subscription may take events again that could not, and when it takes no more.
        copy: Makes what a handler gets of a delivery, where it must not be the one that others get as well.
        interception: What stands around attempts.
        turns: Told of every step in the lives of actors.
        spawn_child, end_child, emit: What instances of actors ask for.
        services: What handlers may ask for.
    """

    kernel: Kernel
    schedule_of: Callable[[Any, bool], Schedule[Delivery]]
    alarms: Timers
    grace: float
    dead_letters: DeadLetters
    clock: Clock
    random: Random
    context: Callable[[Delivery, str], Context]
    fall: Callable[[BaseException], None]
    log: Log
    changes: Watches[Change]
    turns: Turns
    spawn_child: Callable[..., Awaitable[Any]]
    end_child: Callable[..., Awaitable[None]]
    emit: Callable[..., Awaitable[Receipt]]
    services: Services
    defaults: Policy = SILENT
    interception: Interception = attrs.field(factory=Interception)
    copy: Callable[[Delivery], Delivery] | None = None
    is_durable: bool = False
    serve: Callable[[Any], None] | None = None
    leave: Callable[[Any], Awaitable[None]] | None = None
    pause: Callable[[str, bool], Awaitable[None]] | None = None
    reopened: Callable[[], None] = attrs.field(default=lambda: None)
    give_up_after: float | None = None

    def surrounded(
        self, call: Callable[[X], Awaitable[object]], context_of: Callable[[X], Context], whose: Surrounded
    ) -> Callable[[X], Awaitable[object]]:
        """`call` with interceptors around it; and with a scope for services, where anybody may ask for them."""
        handler = whose.subscriber.handler
        is_actor = class_of(handler) is not None
        may_ask = whose.parent is not None or is_actor or positional_parameters(handler) == 2
        call = self.interception.around(call, context_of)
        return self.services.around(call, whose.subscriber.name) if may_ask or self.interception.deliveries else call

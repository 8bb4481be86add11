"""The context of a delivery: what a handler may ask for beside its event."""

import logging
from typing import Any, Final, Protocol, TypeVar, Unpack

import attrs

from .delivery import Delivery, fields_of
from .event import Event
from .event_types import Emitted
from .log import SafeAdapter, as_extra
from .options import EmitOptions
from .quoting import quoted
from .receipt import Receipt
from .services import service_here

S = TypeVar("S")

_log: Final = logging.getLogger("postroom.handlers")


class Emits(Protocol):
    """What a context needs of the runtime."""

    async def emit_caused(self, cause: Event, name: Emitted, data: Any, options: EmitOptions) -> Receipt: ...


@attrs.frozen(eq=False)
class Context:
    """One attempt of one delivery.

    Attributes:
        subscription: Name of the subscription that handles it.
    """

    _delivery: Delivery
    subscription: str
    _runtime: Emits

    def __repr__(self) -> str:
        return f"<Context of {self.subscription}: attempt {self.attempt} at {self.event.name} {quoted(self.event.id)}>"

    @property
    def event(self) -> Event:
        """The event in hand."""
        return self._delivery.event

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._delivery.attempt

    @property
    def losses(self) -> int:
        """How often the event was lost with a process that had it in hand; 0 but on durable modules."""
        return getattr(self._delivery, "losses", 0)

    @property
    def redelivered(self) -> bool:
        """Whether a handler may have begun with this event before: another attempt, or a process that has died."""
        return self.attempt > 1 or self.losses > 0

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose records carry `event_id`, `event_name`, `subscription`, `attempt` and `cause`."""
        return SafeAdapter(
            _log,
            as_extra(fields_of(self._delivery, self.subscription)),
        )

    async def emit(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt:
        """Emit an event that this one causes; otherwise as `Runtime.emit`.

        Cancellation: as `Runtime.emit`.
        """
        return await self._runtime.emit_caused(self.event, name, data, options)

    async def get(self, service: type[S]) -> S:
        """A service of the class `service`, made once for this attempt, and closed after it.

        Registered by the runtime are `Runtime`, `EventModule` and `Events`; all others come from its `services`.

        Raises:
            UnknownService: it is not registered.
            ServicesClosed: the attempt has ended.
            Exception: what its factory raises.

        Cancellation: it was not made; what was entered is closed.
        """
        return await service_here(service)

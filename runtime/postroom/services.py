"""Services: what handlers and steps of workflows ask for by its class, made when it is asked for first.

One scope for each delivery, or for each run of a workflow: within it a service is made once, and at its end what was
made is closed, the newest first. Where nothing is asked for, nothing is made.

Units: seconds.
Source: service locators as in svcs (H. Schlawack), which is what keeps the registrations and the instances.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, cast

import anyio
import anyio.lowlevel
import attrs

from postroom_actors import Verdict, judge

from .errors import Closed, InvalidOption, Rejected
from .event_types import Emitted
from .log import SERVICES_FAILED, SERVICES_SLOW, Log
from .options import EmitOptions
from .quoting import quoted
from .receipt import Receipt

if TYPE_CHECKING:  # imported where it is used: it imports every web framework that is installed, which takes a second
    import svcs

S = TypeVar("S")
X = TypeVar("X")


@attrs.define
class UnknownService(Rejected):
    """A service was asked for that is not registered. Nothing was made."""

    service: str

    def __str__(self) -> str:
        return (
            f"no service {self.service} is registered: give the runtime a registry that has it, "
            "`Runtime(services=registry)`."
        )


@attrs.define
class ServicesClosed(Closed):
    """A service was asked for outside of the delivery, or the run, whose context it was asked of."""

    service: str

    def __str__(self) -> str:
        return (
            f"{self.service} can't be asked for here: what this context was made for has ended, and its services are "
            "closed. Ask within the handler or the step."
        )


@attrs.define(eq=False)
class Events:
    """The event module's service for emitting, bound to what asks for it: `events = await context.get(Events)`.

    In a handler an event goes out at once, linked to the one in hand as its cause. In a step of a workflow it is
    staged with the run: it goes out when the run succeeds, and is dropped when the run fails or the step is undone.
    """

    _emit: Callable[[Emitted, Any, EmitOptions], Awaitable[Receipt]]

    async def emit(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt:
        """Emit an event; arguments and errors as `Runtime.emit`.

        Returns:
            The event's receipt; in a step of a workflow one that can't be awaited before the run has ended.

        Cancellation: as `Runtime.emit`; in a step nothing was staged.
        """
        return await self._emit(name, data, options)


@attrs.define(eq=False)
class Scope:
    """The services of one delivery, or of one run.

    Attributes:
        owner: Whose, for the log.
        closed: Nothing more is made.
    """

    _services: "Services"
    owner: str
    _events: Events
    closed: bool = attrs.field(default=False, init=False)
    _container: "svcs.Container | None" = attrs.field(default=None, init=False)
    _lock: anyio.Lock | None = attrs.field(default=None, init=False)

    @property
    def is_open(self) -> bool:
        """Whether anything was made that is to be closed."""
        return self._container is not None

    async def get(self, service: type[S]) -> S:
        """The service of this class, made now if it is the first time.

        Raises:
            UnknownService: it is not registered.
            ServicesClosed: this scope has ended.
            Exception: what its factory raises.

        Cancellation: one that was being made is not there; it is closed at the end of the scope if it was entered.
        """
        if self.closed:
            raise ServicesClosed(named(service))
        if self._container is None:
            self._container = self._services.container(self._events)
            self._lock = anyio.Lock()
        assert self._lock is not None, "made together"
        async with self._lock:  # steps may run side by side, and each service is made once
            container = self._container
            if self.closed or container is None:
                raise ServicesClosed(named(service))
            from svcs.exceptions import ServiceNotFoundError

            try:
                return cast(S, await container.aget(service))
            except ServiceNotFoundError as error:
                raise UnknownService(named(error.args[0] if error.args else service)) from None

    async def close(self) -> None:
        """Close what was made. An error in that is logged, and changes nothing.

        Cancellation: does not stop it; what is not closed within the runtime's `cleanup_within` is left.
        """
        self.closed = True
        container, self._container = self._container, None
        if container is None:
            return
        grace = self._services.grace
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + grace) as patience:
            try:
                await container.aclose()
            except BaseException as error:
                if judge(error) is not Verdict.FAILURE:
                    raise
                container._on_close.clear()  # what is left would be warned of, and can't be closed twice
                self._services.log.write(SERVICES_FAILED, self.owner, type(error).__name__)
        if patience.cancelled_caught:
            container._on_close.clear()  # likewise
            self._services.log.write(SERVICES_SLOW, self.owner, grace)


@attrs.define(eq=False)
class Services:
    """What a runtime has registered, and what it registers itself.

    Attributes:
        grace: Seconds that closing a scope may take.
    """

    registry: "svcs.Registry | None"
    own: Mapping[type[Any], object]
    _emit: Callable[[Emitted, Any, EmitOptions], Awaitable[Receipt]]
    grace: float
    log: Log
    _events: Events = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._events = Events(self._emit)

    def container(self, events: Events) -> "svcs.Container":
        """A new container. What its user registered wins over what the runtime does, so that tests may replace it."""
        import svcs

        if self.registry is None:
            self.registry = svcs.Registry()
        container = svcs.Container(self.registry)
        for kind, value in {**self.own, Events: events}.items():
            if kind not in self.registry:
                container.register_local_value(kind, value)
        return container

    def scope(self, owner: str, events: Events | None = None) -> Scope:
        """A scope, in which events are emitted at once unless `events` does otherwise."""
        return Scope(self, owner, events or self._events)

    def around(self, call: Callable[[X], Awaitable[object]], owner: str) -> Callable[[X], Awaitable[object]]:
        """`call` with a scope of its own each time."""

        async def attempt(hand: X) -> object:
            scope = Scope(self, owner, self._events)
            token = current_scope.set(scope)
            try:
                return await call(hand)
            finally:
                current_scope.reset(token)
                scope.closed = True
                if scope.is_open:
                    await scope.close()

        return attempt


current_scope: Final[ContextVar[Scope | None]] = ContextVar("postroom scope", default=None)
"""The scope of the delivery in hand, in its task and in those that its handler starts."""


async def service_here(service: type[S]) -> S:
    """A service of the delivery in hand.

    Cancellation: as `Scope.get`.
    """
    scope = current_scope.get()
    if scope is None:
        await anyio.lowlevel.checkpoint()
        raise ServicesClosed(named(service))
    return await scope.get(service)


def named(service: object) -> str:
    """A service, as an error names it."""
    return getattr(service, "__qualname__", None) or quoted(service)


def check_registry(_instance: object, _attribute: object, value: Any) -> None:
    """A field's check: a registry, or none."""
    known = sys.modules.get("svcs")  # whoever has a registry has imported it
    if value is not None and (known is None or not isinstance(value, known.Registry)):
        raise InvalidOption("services", value, "must be a registry of services, a `svcs.Registry()`")

"""Interceptors: functions of the user's around every emit, and around every attempt to handle.

A runtime without any pays nothing: which way an emit and a call of a handler take is chosen when it opens.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Literal, TypeAlias, TypeVar

import attrs
import msgspec

from postroom_actors import current_hand, tidily

from .calls import close_unawaited, is_async
from .checks import is_word, listed
from .context import Context
from .errors import InvalidOption, PostroomError, Rejected
from .event import NO_HEADERS, Event
from .event_types import declaration_of
from .log import INTERCEPTOR_FAILED, Fields, Log
from .names import tokens_of_name
from .options import check_headers, checked

X = TypeVar("X")

OnError: TypeAlias = Literal["fail", "ignore"]

IDENTITY: Final = ("id", "time", "accepted_at", "origin")
"""What an interceptor may not change of an event; the user, the runtime and the same id again rely on it."""

CHANGEABLE: Final = {
    "key": None,
    "headers": NO_HEADERS,
    "priority": "default",
    "delay": None,
    "expires_after": None,
    "attempts": None,
    "backoff": None,
    "timeout": None,
    "quiet": None,
}
"""The options that it may change, and what each is where it takes one away; the name and the data, too."""


@attrs.define
class Vetoed(Rejected):
    """Raised by an interceptor to keep an event from being accepted, or a handler from an attempt.

    It comes out of the emit, of which nothing was accepted; around a delivery it is a failure of the attempt.
    """

    reason: str

    def __str__(self) -> str:
        return f"an interceptor refused it: {self.reason}"


@attrs.define
class InterceptorFailed(PostroomError):
    """An interceptor raised, see `__cause__`, or broke a rule. Of an emit, nothing was accepted."""

    interceptor: str
    event: str
    what: str

    def __str__(self) -> str:
        return (
            f"the interceptor {self.interceptor!r} {self.what}, for {self.event!r}. Mend it; one whose errors "
            'must not count is declared as Interceptor(…, on_error="ignore").'
        )


def _check_function(_interceptor: object, _attribute: object, function: Any) -> None:
    if not callable(function):
        raise InvalidOption("function", function, "must be a function: `def` around emits, `async def` around attempts")
    count = _arguments(function)
    if is_async(function) and count != 2:
        raise InvalidOption("function", function, "an `async def` takes two arguments: the context and `call_next`")
    if count not in (1, 2):
        raise InvalidOption("function", function, "takes the event and, if it wants, the id of its group")


def _check_rule(_interceptor: object, _attribute: object, rule: object) -> None:
    if not is_word(rule, ("fail", "ignore")):
        raise InvalidOption("on_error", rule, "must be 'fail' or 'ignore'")


@attrs.frozen(eq=False)
class Interceptor:
    """A function that `Runtime(interceptors=…)` calls, and what its errors mean. A function alone is one that may fail.

    A plain `def` stands around emits. It gets each event that is about to be accepted or staged, once, whoever
    subscribes to it, and as a second argument, where it takes one, the id of its group, or None. It returns None, or
    an `Event` to go on with, made by `msgspec.structs.replace`; or it raises `Vetoed`. It must not wait.

    An `async def` stands around attempts, within their timeout. It gets the `Context` and a function to await
    once, which calls the next interceptor or the handler and returns its result; what it returns itself is the
    result then. With a batch it is called once, with the context that the handler would get.

    Attributes:
        function: Is called in the order of the list, an `async def` from the outside in.
        on_error: What an error of its own means: by `fail` the emit raises `InterceptorFailed`, and an attempt fails
            with the error; by `ignore` it is logged, the first time, and things go on as if the interceptor were not
            there. `Vetoed` and what the handler raised are no errors of its own.

    Raises:
        InvalidOption: when it is made.
    """

    function: Callable[..., Any] = attrs.field(validator=_check_function)
    on_error: OnError = attrs.field(default="fail", kw_only=True, validator=_check_rule)
    takes_group: bool = attrs.field(init=False)
    is_async: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "takes_group", _arguments(self.function) == 2)
        object.__setattr__(self, "is_async", is_async(self.function))

    @property
    def name(self) -> str:
        """What it is called in errors and logs."""
        return str(getattr(self.function, "__qualname__", type(self.function).__qualname__))


def _arguments(function: Callable[..., Any]) -> int:
    """How many arguments it asks for; 1 where all have defaults, 0 where it can't be called with one or two."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except Exception:  # it may be an object of any class
        return 0
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return 0
    required = sum(p.default is p.empty for p in positional)
    if required:
        return required
    return 1 if positional or any(p.kind is p.VAR_POSITIONAL for p in parameters) else 0


def interceptors_of(given: Iterable[Interceptor | Callable[..., Any]]) -> tuple[Interceptor, ...]:
    """What `Runtime(interceptors=…)` takes: interceptors, and functions that become such.

    Raises:
        InvalidOption: one can't be called as an interceptor is.
    """
    return tuple(
        each if isinstance(each, Interceptor) else Interceptor(each)
        for each in listed("interceptors", given, "interceptors")
    )


@attrs.define(eq=False)
class _Next:
    """What an interceptor awaits to go on: once, and remembered, so that it is known whose error came out."""

    interceptor: str
    context: Context
    inner: Callable[[], Awaitable[Any]]
    has_begun: bool = attrs.field(default=False, init=False)
    has_returned: bool = attrs.field(default=False, init=False)
    result: Any = attrs.field(default=None, init=False)
    error: BaseException | None = attrs.field(default=None, init=False)

    async def __call__(self) -> Any:
        if self.has_begun:
            raise self.broken("awaited `call_next()` twice; attempts are repeated by the subscriber's `retry`")
        self.has_begun = True
        try:
            self.result = await self.inner()
        except BaseException as error:
            self.error = error
            raise
        self.has_returned = True
        return self.result

    def broken(self, what: str) -> InterceptorFailed:
        return InterceptorFailed(self.interceptor, self.context.event.name, what)


@attrs.define(eq=False)
class Interception:
    """The interceptors of a runtime.

    Attributes:
        emits: Those around emits, in their order.
        deliveries: Those around attempts, the outermost first.
    """

    all: tuple[Interceptor, ...] = ()
    _log: Log = attrs.field(factory=Log)
    emits: tuple[Interceptor, ...] = attrs.field(init=False)
    deliveries: tuple[Interceptor, ...] = attrs.field(init=False)
    _told: set[Interceptor] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.emits = tuple(each for each in self.all if not each.is_async)
        self.deliveries = tuple(each for each in self.all if each.is_async)

    def outgoing(self, event: Event, group: str | None) -> Event:
        """What becomes of an event that is about to be accepted, or staged in `group`.

        Raises:
            Vetoed, InterceptorFailed: it is not to be.
        """
        for interceptor in self.emits:
            event = self._through(interceptor, event, group)
        return event

    def _through(self, interceptor: Interceptor, event: Event, group: str | None) -> Event:
        function = interceptor.function
        try:
            changed = function(event, group) if interceptor.takes_group else function(event)
        except Vetoed as veto:
            veto.add_note(f"by {interceptor.name!r}, for {event.name!r}")
            raise
        except Exception as error:
            if interceptor.on_error == "ignore":
                self._tell(interceptor, event, error)
                return event
            raise InterceptorFailed(interceptor.name, event.name, f"raised {type(error).__name__}") from error
        if changed is None:
            return event
        try:
            return _sound(event, changed)
        except PostroomError as error:
            if interceptor.on_error == "ignore":
                self._tell(interceptor, event, error)
                return event
            what = f"returned what can't be accepted ({error})"
            raise InterceptorFailed(interceptor.name, event.name, what) from error

    def around(
        self, call: Callable[[X], Awaitable[object]], context_of: Callable[[X], Context]
    ) -> Callable[[X], Awaitable[object]]:
        """`call` with the interceptors around it; itself where there are none."""
        if not self.deliveries:
            return call

        async def attempt(hand: X) -> object:
            context = context_of(hand)

            async def go_on(position: int) -> object:
                if position == len(self.deliveries):
                    return await tidily(current_hand(), call(hand))
                interceptor = self.deliveries[position]
                inner = _Next(interceptor.name, context, lambda: go_on(position + 1))
                return await self._call_through(interceptor, context, inner)

            return await go_on(0)

        return attempt

    async def _call_through(self, interceptor: Interceptor, context: Context, inner: _Next) -> object:
        try:
            result = await interceptor.function(context, inner)
        except Vetoed:
            raise
        except Exception as error:
            if error is inner.error or interceptor.on_error == "fail":
                raise
            own = error
        else:
            if inner.has_begun:
                return result
            own = inner.broken("returned without awaiting `call_next()`; to keep the handler from it, raise Vetoed")
            if interceptor.on_error == "fail":
                raise own
        self._tell(interceptor, context.event, own)
        if not inner.has_begun:
            return await inner()
        if inner.has_returned:
            return inner.result
        raise inner.error if isinstance(inner.error, Exception) else own  # half-way: nobody can say that it is done

    def _tell(self, interceptor: Interceptor, event: Event, error: Exception) -> None:
        if interceptor not in self._told:
            self._told.add(interceptor)
            self._log.write(
                INTERCEPTOR_FAILED, interceptor.name, type(error).__name__, event.name, event.id,
                fields=Fields(event_id=event.id, event_name=event.name, cause=event.cause),
            )  # fmt: skip


def _sound(event: Event, changed: object) -> Event:
    """What an interceptor returned in place of `event`, checked as an emit of it would be."""
    if not isinstance(changed, Event):
        close_unawaited(changed)
        raise InvalidOption("event", changed, f"must be an Event or None, not {type(changed).__name__}")
    for field in IDENTITY:
        if getattr(changed, field) != getattr(event, field):
            raise InvalidOption(field, getattr(changed, field), "must stay as it was")
    tokens_of_name(changed.name)
    wanted: dict[str, Any] = {
        field: getattr(changed, field) for field in CHANGEABLE if getattr(changed, field) is not getattr(event, field)
    }
    options: Any = checked(wanted)  # type: ignore[arg-type]  # names of options, as the table says
    fields = {field: options.get(field, CHANGEABLE[field]) for field in wanted}
    declared = declaration_of(type(changed.data))
    if declared is not None and declared.name == changed.name and changed.data is not event.data:
        declared.check(changed.data)
        fields["headers"] = check_headers(declared.headers_with(fields.get("headers", changed.headers)))
    return msgspec.structs.replace(changed, **fields)

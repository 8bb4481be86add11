"""Subscribers: the declaration of who handles what, and how.

A declaration runs nothing: a runtime makes a subscription of it.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import (
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

import attrs

from .actor import check_actor, class_of, methods_of, unbound
from .batch import Batch
from .checks import count_of, is_word, seconds
from .errors import InvalidHandler, InvalidOption
from .event import Event
from .event_types import name_of_type
from .names import check_subscription_name, tokens_of_pattern
from .pacing import Breaker, Rate
from .policy import check_quiet
from .retry import Backoff, Retry
from .supervision import Supervision

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

DEFAULT_CAPACITY = 256

MOST_WORKERS: Final = 10_000
"""Workers of one subscription; each is a task."""

_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

OverflowPolicy: TypeAlias = Literal["wait", "drop_oldest", "drop_newest", "coalesce"]
OVERFLOWS: Final = ("wait", "drop_oldest", "drop_newest", "coalesce")


def _check_handler(_subscriber: object, _attribute: object, handler: Any) -> None:
    if not callable(handler):
        raise InvalidHandler(handler, f"it is a {type(handler).__name__}, which nobody can call")
    kind = class_of(handler)
    if kind is not None:
        check_actor(handler, kind)
        for method in methods_of(kind).names:
            _check_handler(_subscriber, _attribute, unbound(kind, method))
        return
    target = handler if inspect.isroutine(handler) else type(handler).__call__
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise InvalidHandler(handler, "it is a generator; a handler returns, it doesn't yield")
    positional_parameters(handler)


def positional_parameters(handler: Any) -> int:
    """How many arguments the runtime passes to `handler`: 1, the event, or 2, the event and its context.

    Raises:
        InvalidHandler: it takes neither one nor two.
    """
    try:
        parameters = inspect.signature(handler).parameters.values()
    except Exception as error:  # the handler may be an object of any class
        raise InvalidHandler(handler, f"its parameters can't be read ({type(error).__name__})") from error
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p.name for p in positional if p.default is p.empty]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if keywords:
        raise InvalidHandler(handler, f"it requires {', '.join(keywords)}; it is called with the event and the context")
    if len(required) > 2:
        raise InvalidHandler(
            handler, f"it requires {len(required)} arguments; it gets the event and, if it wants, a context"
        )
    if len(required) == 2:
        return 2
    if positional or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 1
    raise InvalidHandler(handler, "it takes no argument; it gets the event and, if it wants, a context")


def _as_names(patterns: "Iterable[str | type[Any]]") -> tuple[str, ...]:
    if isinstance(patterns, str):  # which would be taken for a pattern a letter
        raise InvalidOption("patterns", patterns, "must be a tuple of patterns, not one string")
    return tuple(name_of_type(pattern) for pattern in patterns)


def _check_patterns(subscriber: Any, _attribute: object, patterns: tuple[object, ...]) -> None:
    kind = class_of(subscriber.handler)
    if kind is not None and patterns != methods_of(kind).patterns:
        raise InvalidOption("patterns", patterns, "the patterns of an actor are those of its methods marked with @on")
    if not patterns:
        raise InvalidOption("patterns", patterns, 'name at least one event or pattern: @subscriber("order.placed")')
    for pattern in patterns:
        tokens_of_pattern(pattern)


def _check_name(_subscriber: object, _attribute: object, name: Any) -> None:
    check_subscription_name(name)


def _check_retry(_subscriber: object, _attribute: object, retry: object) -> None:
    if not isinstance(retry, Retry):
        raise InvalidOption("retry", retry, "must be a Retry(attempts=…)")


def _check_overflow(_subscriber: object, _attribute: object, overflow: object) -> None:
    if not is_word(overflow, OVERFLOWS):
        raise InvalidOption("overflow", overflow, f"must be one of {', '.join(OVERFLOWS)}")


def _check_batch(_subscriber: object, _attribute: object, batch: Any) -> None:
    if batch is not None and not isinstance(batch, Batch):
        raise InvalidOption("batch", batch, "must be a Batch(size=…, within=…)")


def _check_quiet(_subscriber: object, _attribute: object, quiet: Any) -> None:
    if quiet is not None:
        check_quiet(quiet)


def _check_supervision(subscriber: Any, _attribute: object, supervision: object) -> None:
    if supervision is None:
        return
    if not isinstance(supervision, Supervision):
        raise InvalidOption("supervision", supervision, "must be a Supervision(on={…}, default=…)")
    if supervision.restarts and class_of(subscriber.handler) is None:
        raise InvalidOption("supervision", supervision, "a function has nothing to restart: make it an Actor")


def _of_kind(kind: type[Any], example: str) -> Any:
    def check(_subscriber: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value is not None and not isinstance(value, kind):
            raise InvalidOption(attribute.name, value, f"must be a {example}")

    return check


@attrs.frozen(kw_only=True)
class Subscriber(Generic[P, R]):
    """A handler with the patterns it subscribes to and its policies. Calling it calls the handler.

    Attributes:
        handler: Gets the event and, where it takes a second argument, a `Context`. A plain `def` runs in a thread.
            Or an `Actor` class, or a `functools.partial` of one.
        patterns: Names or patterns of events, or classes with `@event_type` for theirs; an event that matches several
            of them is still delivered once.
        name: Names the subscription; it must stay the same across restarts.
        capacity: Events that its mailbox holds.
        overflow: What happens to an event that finds the mailbox full: `wait`, so that its emitter waits too;
            `drop_oldest` or `drop_newest`; or `coalesce`, by which the newest event of each key takes the place of
            one that still waits, and an event of another key waits as with `wait`.
        concurrency: Events that are handled at the same time, each by a worker of its own, 10,000 at most; those of
            one key remain one at a time, in order.
        batch: Hand over several events at once, as a list.
        backlog: Deliveries that may wait for it in the store of a durable module, beyond which `overflow` holds at the
            emit; None for any number, but for what drops: that keeps `capacity` of them.
        retry: What happens to a failed attempt.
        timeout: Seconds that an attempt may take; `math.inf` for no limit, None to leave it to the runtime's
            `defaults`. One that takes longer is cancelled and fails, whatever it returns; one that ignores that counts
            as stuck after the runtime's `cleanup_within`.
        quiet: Retries and give-ups are not logged; None leaves it to the runtime's `defaults`.
        supervision: What failures mean beyond the attempt that failed. Functions can't be restarted.
        breaker: Pauses the subscription while its dependency is down.
        rate: How many attempts may begin in a time. A batch counts as one for each event in it.

    Raises:
        InvalidHandler, InvalidName, InvalidOption: when it is made.
    """

    handler: Callable[P, R] = attrs.field(validator=_check_handler)
    patterns: tuple[str, ...] = attrs.field(converter=_as_names, validator=_check_patterns)
    name: str = attrs.field(validator=_check_name)
    capacity: int = attrs.field(default=DEFAULT_CAPACITY, validator=count_of("events"))
    overflow: OverflowPolicy = attrs.field(default="wait", validator=_check_overflow)
    concurrency: int = attrs.field(default=1, validator=count_of("workers", MOST_WORKERS))
    batch: Batch | None = attrs.field(default=None, validator=_check_batch)
    backlog: int | None = attrs.field(default=None, validator=count_of("deliveries", optional=True))
    retry: Retry = attrs.field(factory=Retry, validator=_check_retry)
    timeout: float | None = attrs.field(default=None, validator=seconds(above=True, finite=False, optional=True))
    quiet: bool | None = attrs.field(default=None, validator=_check_quiet)
    supervision: Supervision | None = attrs.field(default=None, validator=_check_supervision)
    breaker: Breaker | None = attrs.field(default=None, validator=_of_kind(Breaker, "Breaker(failures=…)"))
    rate: Rate | None = attrs.field(default=None, validator=_of_kind(Rate, "Rate(100, per=1.0)"))

    def __attrs_post_init__(self) -> None:
        if class_of(self.handler) is None:
            return
        if self.concurrency != 1:
            raise InvalidOption("concurrency", self.concurrency, "an actor handles one event at a time")
        if self.batch is not None:
            raise InvalidOption("batch", self.batch, "the methods of an actor take single events")

    @property
    def attempts(self) -> int | None:
        """What `retry` says."""
        return self.retry.attempts

    @property
    def backoff(self) -> Backoff | None:
        """What `retry` says."""
        return self.retry.backoff

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the handler directly, as a unit test does."""
        return self.handler(*args, **kwargs)


class SubscriberOptions(TypedDict, total=False):
    """The policies of a `Subscriber`, as `@subscriber` and `Runtime.spawn` take them."""

    capacity: int
    overflow: OverflowPolicy
    concurrency: int
    batch: Batch | None
    backlog: int | None
    retry: Retry
    timeout: float | None
    quiet: bool | None
    supervision: Supervision | None
    breaker: Breaker | None
    rate: Rate | None


class DeclareTyped(Protocol[T]):
    """Declares a handler of typed events: it takes the instance, the event around it, or a list of either."""

    @overload
    def __call__(
        self, handler: Callable[Concatenate[Event[T], P], R], /
    ) -> "Subscriber[Concatenate[Event[T], P], R]": ...
    @overload
    def __call__(
        self, handler: Callable[Concatenate[list[T], P], R], /
    ) -> "Subscriber[Concatenate[list[T], P], R]": ...
    @overload
    def __call__(
        self, handler: Callable[Concatenate[list[Event[T]], P], R], /
    ) -> "Subscriber[Concatenate[list[Event[T]], P], R]": ...
    @overload
    def __call__(self, handler: Callable[Concatenate[T, P], R], /) -> "Subscriber[Concatenate[T, P], R]": ...


@overload
def subscriber(
    event_type: type[T], /, *, name: str | None = None, **options: Unpack[SubscriberOptions]
) -> DeclareTyped[T]: ...
@overload
def subscriber(
    *patterns: str, name: str | None = None, **options: Unpack[SubscriberOptions]
) -> Callable[[Callable[P, R]], Subscriber[P, R]]: ...
@overload
def subscriber(
    first: str | type[Any],
    second: str | type[Any],
    /,
    *others: str | type[Any],
    name: str | None = None,
    **options: Unpack[SubscriberOptions],
) -> Callable[[Callable[P, R]], Subscriber[P, R]]: ...
def subscriber(*patterns: str | type[Any], name: str | None = None, **options: Unpack[SubscriberOptions]) -> Any:
    """Declare a function to be the handler of events that match any of `patterns`.

    Or declare an `Actor` class, or a `functools.partial` of one, without patterns: those of its methods count, and its
    name is that of the class in lower case, with hyphens. A class with `@event_type` is a pattern too, for the events
    of its name. The name of the subscription is the function's unless given; the options are those of `Subscriber`.

    Raises:
        InvalidHandler, InvalidName, InvalidOption, InvalidEventType: when the decorator is applied.
    """

    if len(patterns) == 1 and inspect.isroutine(patterns[0]):
        raise InvalidOption("patterns", patterns[0], 'is a function; write @subscriber("order.placed"), with a pattern')

    def declare(handler: Callable[P, R]) -> Subscriber[P, R]:
        own_name = name_of(handler) if name is None else name
        kind = class_of(handler)
        own_patterns = methods_of(kind).patterns if kind is not None and not patterns else patterns
        return Subscriber(handler=handler, patterns=own_patterns, name=own_name, **options)

    return declare


def name_of(handler: object) -> str:
    """The subscription's name that a handler has of itself.

    Raises:
        InvalidHandler: it has none.
    """
    kind = class_of(handler)
    if kind is not None:
        return _CAPITAL.sub("-", kind.__name__).lower()
    name = getattr(handler, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise InvalidHandler(handler, "it has no name of its own; pass `name=`")
    return name

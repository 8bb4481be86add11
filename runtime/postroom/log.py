"""What postroom logs: every line that there is, with its level, and the one way in which they are written.

A line tells names and ids, never an event's data, headers or an error's text, since those may hold secrets. What
users chose freely, such as an id, is escaped where it would not print: a line stays one line.
"""

import logging
import traceback
import warnings
from typing import Any, Final

import attrs

from .quoting import printable as printable

_log: Final = logging.getLogger("postroom")


@attrs.frozen
class Line:
    """One kind of line.

    Attributes:
        level: As `logging` numbers them.
        text: With places for the arguments, as `logging` fills them in.
        fields: Names of the record's extra attributes that are set; the others of `Fields` are None.
    """

    level: int
    text: str
    fields: tuple[str, ...] = ()


RETRYING: Final = Line(
    logging.INFO,
    "attempt %d of %s with %s %s failed (%s); next in %.3f s",
    ("event_id", "event_name", "subscription", "attempt", "cause"),
)
GAVE_UP: Final = Line(
    logging.ERROR,
    "%s gave up on %s %s after %d attempt(s): %s",
    ("event_id", "event_name", "subscription", "attempt", "cause"),
)
STUCK: Final = Line(
    logging.ERROR,
    "the handler of %s is stuck: it ignores its cancellation, %g s after its timeout of %g s. "
    "It keeps its place, and leaving the runtime will wait for it.",
    ("event_id", "event_name", "subscription", "attempt", "cause"),
)
STILL_RUNNING: Final = Line(
    logging.ERROR,
    "%g s after their cancellation these subscriptions still run a handler that ignores it: %s. "
    "The runtime waits for them; nothing else can be done inside one process.",
)
CUT_SHORT: Final = Line(
    logging.INFO,
    "the handler of %s was cut short at %s %s in attempt %d: the runtime closes",
    ("event_id", "event_name", "subscription", "attempt", "cause"),
)
BLOCKED: Final = Line(
    logging.WARNING,
    "%s has blocked the event loop for at least %.3g s, at %s. Nothing else runs meanwhile: let it await what "
    "it waits for, or move what can't be awaited to a thread, as a handler that is a plain `def` is.",
    ("event_id", "event_name", "subscription", "attempt", "cause"),
)
LIVES_AGAIN: Final = Line(
    logging.WARNING,
    "the event loop lives again: %s had blocked it for at least %.3g s, at %s",
    ("event_id", "event_name", "subscription", "attempt", "cause"),
)

RESTARTED: Final = Line(logging.WARNING, "%s is restarted (%s), in %.3f s")
INSTANCE_FAILED: Final = Line(logging.ERROR, "the instance of %s failed while %s (%s)")
STOPPED_LATE: Final = Line(logging.ERROR, "%s took longer than %g s to stop, and was cancelled")
STOPPED: Final = Line(logging.ERROR, "%s is stopped by its supervision: %s")
ESCALATED: Final = Line(logging.ERROR, "%s lets the runtime fall: %s")
BREAKER: Final = Line(logging.WARNING, "the breaker of %s is %s%s")
GROUP_EXPIRED: Final = Line(
    logging.WARNING, "group %s was not released within %g s: its %d staged event(s) were dropped"
)
INTERCEPTOR_FAILED: Final = Line(
    logging.WARNING,
    "the interceptor %s failed with %s for %s %s; that is ignored, as it declares, and not told again",
    ("event_id", "event_name", "cause"),
)
STORE_FAILED: Final = Line(logging.WARNING, "the %s store could not %s (%s); it is asked again")
LEASE_LOST: Final = Line(
    logging.WARNING,
    "this process was taken for dead, and its deliveries were lent to others: %d in hand are cancelled, %d waiting are "
    "forgotten",
)
REFUSED: Final = Line(
    logging.WARNING,
    "the outcome of %s came too late: its delivery had been lent to another process",
)
STORE_OPENED: Final = Line(logging.INFO, "the %s store at %s is open: %s")
STORE_RESTARTED: Final = Line(
    logging.WARNING,
    "the %s store at %s was restarted, or another server has taken its place: %s",
)
STORE_EMPTIED: Final = Line(
    logging.ERROR,
    "the %s store at %s was emptied by somebody: all events and dead letters that it held are gone. This process has "
    "registered its subscriptions again",
)
SESSION_FORGOTTEN: Final = Line(
    logging.WARNING, "the %s store had forgotten this process, which was silent for too long; it begins anew"
)
LEASE_AT_RISK: Final = Line(
    logging.WARNING,
    "the %s store can't be told that this process lives (%s): unless it can be in time, its deliveries are lent to "
    "others",
)
THREAD_LEFT: Final = Line(logging.WARNING, "the thread of the %s store does not end; the process may end without it")
UNVERIFIED: Final = Line(
    logging.WARNING,
    "the certificate of the %s store at %s is not verified: anybody between here and there may read and write events",
)
SERVICES_FAILED: Final = Line(
    logging.WARNING, "closing the services of %s failed (%s); what it was for is not affected"
)
SERVICES_SLOW: Final = Line(
    logging.WARNING, "the services of %s could not be closed within %g s; what is not closed by then is left as it is"
)
WORKFLOW_STUCK: Final = Line(
    logging.ERROR, "workflow %s %s needs attention: these steps could not be undone: %s; all others are"
)
WORKFLOW_PARKED: Final = Line(
    logging.ERROR, "workflow %s %s is parked, since its code has changed: the journal has %s the code %s"
)
WORKFLOWS_LEFT: Final = Line(
    logging.ERROR, "%d workflow(s) were not undone within %g s, and are left as their journal has them: %s"
)

LINES: Final = (
    RETRYING,
    GAVE_UP,
    STUCK,
    STILL_RUNNING,
    CUT_SHORT,
    BLOCKED,
    LIVES_AGAIN,
    RESTARTED,
    INSTANCE_FAILED,
    STOPPED_LATE,
    STOPPED,
    ESCALATED,
    BREAKER,
    GROUP_EXPIRED,
    INTERCEPTOR_FAILED,
    STORE_FAILED,
    LEASE_LOST,
    REFUSED,
    STORE_OPENED,
    STORE_RESTARTED,
    STORE_EMPTIED,
    SESSION_FORGOTTEN,
    LEASE_AT_RISK,
    THREAD_LEFT,
    UNVERIFIED,
    SERVICES_FAILED,
    SERVICES_SLOW,
    WORKFLOW_STUCK,
    WORKFLOW_PARKED,
    WORKFLOWS_LEFT,
)


@attrs.frozen(kw_only=True)
class Fields:
    """What a record says beside its text, as attributes of their own for structured logging.

    Attributes:
        event_id, event_name: The event; None where there is none.
        subscription: Whose handler.
        attempt: The number of the attempt, from 1.
        cause: Id of the event that caused this one; None where none did.
    """

    event_id: str | None = None
    event_name: str | None = None
    subscription: str | None = None
    attempt: int | None = None
    cause: str | None = None


NO_FIELDS: Final = Fields()


def as_extra(fields: Fields) -> dict[str, object]:
    """The fields as `logging` takes them, printable."""
    return {name: _shown(value) for name, value in attrs.asdict(fields).items()}


def _shown(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


@attrs.define(eq=False)
class Log:
    """Writes lines. A logging handler of the user's that raises is told of once, and changes nothing."""

    _has_told: bool = attrs.field(default=False, init=False)

    def write(self, line: Line, *args: object, fields: Fields = NO_FIELDS) -> None:
        """Log one line."""
        if not _log.isEnabledFor(line.level):
            return
        try:
            _log.log(line.level, line.text, *map(_shown, args), extra=as_extra(fields), stacklevel=2)
        except Exception as error:
            if not self._has_told:
                self._has_told = True
                _tell_of(error)


class SafeAdapter(logging.LoggerAdapter[logging.Logger]):
    """A logger for handlers of events: where a log handler raises, the handler of the event goes on."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log one line; what the methods named after levels call as well."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            super().log(level, msg, *args, **kwargs)
        except Exception as error:
            _tell_of(error)


def _tell_of(error: Exception) -> None:
    try:
        warnings.warn(
            f"a logging handler or filter raised {type(error).__name__}; postroom goes on, and won't tell of it again",
            RuntimeWarning,
            stacklevel=4,
        )
    except Warning:  # where warnings are errors it would become the failure of a delivery that has none
        if logging.raiseExceptions:
            traceback.print_exc()

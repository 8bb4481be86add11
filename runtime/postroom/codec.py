"""How events and outcomes are written for stores, and read again: JSON by msgspec, with a version in each.

Nothing that is read here names anything that is imported: errors of other processes come back as `RemoteFailure`, a
value that holds texts.

Units: bytes in UTF-8; times as in `Event`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

from .dead_letters import text_of
from .errors import PostroomError, Rejected
from .event import NO_HEADERS, Event, Origin, Priority
from .nesting import DEEPEST
from .outcomes import Cancelled, Dropped, Expired, Failed, Outcome, Succeeded
from .portable import LARGEST, portable_json
from .quoting import quoted
from .retry import Backoff, Constant, Exponential

VERSION: Final = 1
"""Of what is written. What the version before has written is read as well."""

LONGEST_MESSAGE: Final = 2000
"""Characters of an error's message that are kept."""


@attrs.define
class UnreadableRecord(PostroomError):
    """What a store holds is not what this release writes, or the one before."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"the stored {self.what} can't be read: {self.reason}"


@attrs.define
class BackoffNotPortable(Rejected):
    """A backoff of the user's own can't be stored with an event. Nothing was accepted."""

    backoff: object

    def __str__(self) -> str:
        return (
            f"backoff={quoted(self.backoff)} can't be stored with the event: use `exponential(…)` or `constant(…)`, or "
            "give it to the subscriber, which keeps it in its own process."
        )


@attrs.define
class RemoteFailure(PostroomError):
    """In `Failed`: what a handler raised in another process, as texts.

    Attributes:
        type: The name of its class.
        message: Its text, cut to 2,000 characters.
        traceback: Cut to 16 KiB.
    """

    type: str
    message: str
    traceback: str = attrs.field(repr=False)

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


class NotEncoded(msgspec.Struct, frozen=True):
    """In `Succeeded`, in place of a value that can't be written for another process. The handler did succeed.

    Attributes:
        type: The name of the value's class.
        reason: Why it could not be written.
    """

    type: str
    reason: str


class _Body(msgspec.Struct, omit_defaults=True, rename={"version": "v"}):
    """What is written of an event; its id and the time of its acceptance are the store's."""

    name: str
    data: Any
    version: int = VERSION
    key: str | None = None
    headers: dict[str, str] = {}
    time: float | None = None
    priority: Priority = "default"
    delay: float | None = None
    expires_after: float | None = None
    attempts: int | None = None
    backoff: dict[str, float] | None = None
    timeout: float | None = None
    quiet: bool | None = None
    cause: str | None = None
    depth: int = 0
    trail: tuple[str, ...] = ()


class _Unread(_Body):
    """One whose data is looked at before it is read."""

    data: msgspec.Raw


_NO_HEADERS: Final[dict[str, str]] = {}

_encoder: Final = msgspec.json.Encoder()
_bodies: Final = msgspec.json.Decoder(_Body)
_unread: Final = msgspec.json.Decoder(_Unread)
_anything: Final = msgspec.json.Decoder()


def encode_event(event: Event) -> bytes:
    """The body of an event.

    Raises:
        NotPortable: its data would not come back as it is.
        BackoffNotPortable: it has a backoff of the user's own.
    """
    origin = event.origin
    # In their order, as each is a field of `_Body`: to name them was measured to take a third longer.
    return _encoder.encode(
        _Body(
            event.name,
            msgspec.Raw(portable_json(event.data)),
            VERSION,
            event.key,
            dict(event.headers) if event.headers else _NO_HEADERS,
            event.time,
            event.priority,
            event.delay,
            event.expires_after,
            event.attempts,
            None if event.backoff is None else _backoff_as_numbers(event.backoff),
            event.timeout,
            event.quiet,
            origin.cause,
            origin.depth,
            origin.trail,
        )
    )


def decode_event(body: bytes, id: str, accepted_at: float) -> Event:
    """The event of a body.

    Raises:
        UnreadableRecord: it is none that this release or the one before wrote, or it breaks their limits.
    """
    if len(body) > 2 * LARGEST:
        raise UnreadableRecord("event", f"it takes {len(body)} bytes, and {2 * LARGEST} is the most")
    try:
        if len(body) <= LARGEST and body.count(b"[") + body.count(b"{") <= DEEPEST:
            read = _bodies.decode(body)
            data = read.data
        else:
            read = _unread.decode(body)
            if len(read.data) > LARGEST:
                raise UnreadableRecord("event", f"its data takes {len(read.data)} bytes, and {LARGEST} is the most")
            check_depth(read.data)
            data = _anything.decode(read.data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnreadableRecord("event", str(error)) from error
    if read.version not in (VERSION, VERSION - 1):
        raise UnreadableRecord("event", f"it has version {read.version}, and this release reads {VERSION}")
    return Event(
        read.name,
        data,
        read.key,
        read.headers or NO_HEADERS,
        id,
        read.time,
        accepted_at,
        read.priority,
        read.delay,
        read.expires_after,
        read.attempts,
        None if read.backoff is None else _backoff_of(read.backoff),
        read.timeout,
        read.quiet,
        Origin(read.cause, read.depth, read.trail),
    )


def check_depth(encoded: bytes | msgspec.Raw) -> None:
    """Raises UnreadableRecord where JSON is nested deeper than any event may be; without recursion, in one pass."""
    text = bytes(encoded)
    if text.count(b"[") + text.count(b"{") <= DEEPEST:
        return
    depth = deepest = 0
    in_string = escaped = False
    for byte in text:
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > DEEPEST:
        raise UnreadableRecord("event", f"it is nested deeper than {DEEPEST} levels")


def digest_of(event: Event) -> bytes:
    """Stands for what the user gave of an event: equal ones have equal digests, whatever the order in mappings."""
    ordered = msgspec.json.Encoder(order="deterministic")
    given = [event.name, msgspec.Raw(ordered.encode(event.data)), event.key, dict(event.headers)]
    return hashlib.blake2b(ordered.encode(given), digest_size=16).digest()


class _Outcome(msgspec.Struct, omit_defaults=True, rename={"version": "v"}):
    kind: str
    subscription: str
    attempts: int = 0
    seconds: float = 0.0
    version: int = VERSION
    value: msgspec.Raw = msgspec.Raw(b"null")
    text: str = ""
    type: str = ""
    traceback: str = ""


_outcomes: Final = msgspec.json.Decoder(_Outcome)
_SIMPLE: Final[Mapping[str, type[Dropped] | type[Expired] | type[Cancelled]]] = {
    "dropped": Dropped,
    "expired": Expired,
    "cancelled": Cancelled,
}


def encode_outcome(outcome: Outcome) -> bytes:
    """An outcome for another process; always possible."""
    written = _Outcome(type(outcome).__name__.lower(), outcome.subscription, outcome.attempts, outcome.seconds)
    match outcome:
        case Succeeded(value=None):
            pass
        case Succeeded(value=value):
            try:
                written.value = msgspec.Raw(portable_json(value))
            except (Rejected, TypeError, ValueError) as error:
                written.type, written.text = type(value).__name__, _cut(str(error))
        case Failed(exception=error):
            written.type, written.text = type_of(error), message_of(error)
            written.traceback = text_of(error)
        case _:  # dropped, expired or cancelled
            written.text = outcome.reason
    return _encoder.encode(written)


def decode_outcome(encoded: bytes) -> Outcome:
    """The outcome that another process wrote.

    Raises:
        UnreadableRecord: it is none that this release or the one before wrote.
    """
    try:
        read = _outcomes.decode(encoded)
        value: Any = _anything.decode(read.value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnreadableRecord("outcome", str(error)) from error
    if read.version not in (VERSION, VERSION - 1):
        raise UnreadableRecord("outcome", f"it has version {read.version}, and this release reads {VERSION}")
    if read.kind == "succeeded":
        if read.type:
            value = NotEncoded(read.type, read.text)
        return Succeeded(read.subscription, value, read.attempts, read.seconds)
    if read.kind == "failed":
        failure = RemoteFailure(read.type, read.text, read.traceback)
        return Failed(read.subscription, failure, read.attempts, read.seconds)
    if read.kind not in _SIMPLE:
        raise UnreadableRecord("outcome", f"it is of an unknown kind, {quoted(read.kind)}")
    return _SIMPLE[read.kind](read.subscription, read.text, read.attempts, read.seconds)


def type_of(error: BaseException) -> str:
    """The name of the class of an error; of one that came from another process, of what that was there."""
    return error.type if isinstance(error, RemoteFailure) else type(error).__name__


def message_of(error: BaseException) -> str:
    """The text of an error, in bounded length."""
    try:
        return _cut(error.message if isinstance(error, RemoteFailure) else str(error))
    except Exception as failure:  # an exception class of the user's may fail to print itself
        return f"(its text can't be shown: {type(failure).__name__})"


def _cut(text: str) -> str:
    text = text.encode(errors="replace").decode()  # a lone surrogate can't be written
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def _backoff_as_numbers(backoff: Backoff) -> dict[str, float]:
    match backoff:
        case Constant():
            return {"seconds": backoff.seconds}
        case Exponential():
            numbers = {"first": backoff.first, "factor": backoff.factor, "limit": backoff.limit}
            return {**numbers, "jitter": float(backoff.jitter)}  # `true` would not be read as a number
        case _:
            raise BackoffNotPortable(backoff)


def _backoff_of(numbers: dict[str, float]) -> Backoff:
    if "seconds" in numbers:
        return Constant(numbers["seconds"])
    return Exponential(numbers["first"], numbers["factor"], numbers["limit"], bool(numbers["jitter"]))

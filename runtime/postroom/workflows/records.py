"""What the engine writes into journals, and reads again: JSON by msgspec, with a version in each record.

Units: bytes in UTF-8; times in seconds since the epoch.
"""

import enum
import hashlib
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import attrs
import msgspec

from ..codec import UnreadableRecord, decode_event, encode_event, message_of, type_of
from ..dead_letters import text_of
from ..errors import NotPortable
from ..event import Origin
from ..journal import Entry
from ..journalling import RunEvent
from ..portable import portable_json
from ..retry import leaves_of
from .errors import StepFailed

T = TypeVar("T")

VERSION: Final = 1

MOST_TOLD: Final = 5
"""Errors of a group that are told one by one."""

SAME: Final = msgspec.Raw(b"")
"""Stands for the same: it is not written. An optional field won't do, since of a union msgspec reads nothing raw."""

_SIMPLE: Final = frozenset({bool, int})
_SURELY_EXACT: Final = 2**53


class Kind(enum.StrEnum):
    """What an entry of a journal says."""

    STEP = "step"
    FAILED = "failed"
    COMPENSATED = "compensated"
    UNDOING = "undoing"
    SLEEP = "sleep"
    WAIT = "wait"
    TIMED_OUT = "timed_out"
    SIGNAL = "signal"
    CANCEL = "cancel"
    NOW = "now"
    EMIT = "emit"
    BEGUN = "begun"
    """A step of this path was interrupted, and begins again when the run goes on. With an empty key: some step may have
    been, since the run was lost with its process."""


class WrittenEvent(msgspec.Struct, omit_defaults=True):
    """An event that waits for the end of its run."""

    id: str
    body: msgspec.Raw
    chosen: bool = False
    require: bool = False


class Input(msgspec.Struct, omit_defaults=True):
    """What a run begins with."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    origin: Origin = Origin()
    schedule: str = ""
    keep: float = 0.0
    version: int = VERSION


class Done(msgspec.Struct, omit_defaults=True):
    """A step that has finished.

    Attributes:
        undo: What its compensation gets, where that is not its value; else `SAME`, or empty.
        in_order: It was asked for by its place in the code, not by a key or side by side with others.
    """

    at: float
    attempts: int
    value: msgspec.Raw = msgspec.Raw(b"null")
    undo: msgspec.Raw = SAME
    skipped: bool = False
    in_order: bool = True
    events: list[WrittenEvent] = []
    name: str = ""
    version: int = VERSION


class Failure(msgspec.Struct, omit_defaults=True):
    """A step that has failed for good; or, with `interrupted`, that was cancelled half-way."""

    at: float
    attempts: int
    type: str
    message: str = ""
    traceback: str = ""
    interrupted: bool = False
    in_order: bool = True
    name: str = ""
    version: int = VERSION


class Undone(msgspec.Struct, omit_defaults=True):
    """A step that was compensated."""

    at: float
    attempts: int
    events: list[WrittenEvent] = []
    version: int = VERSION


class Undoing(msgspec.Struct, omit_defaults=True):
    """Why a run is undone: its error, or that it was cancelled."""

    at: float
    cancelled: bool = False
    step: str | None = None
    type: str = ""
    message: str = ""
    traceback: str = ""
    version: int = VERSION


class Moment(msgspec.Struct):
    """A time that the code was told, or that it waits for."""

    at: float
    version: int = VERSION


class Signal(msgspec.Struct, omit_defaults=True):
    """What came from outside."""

    at: float
    value: msgspec.Raw = msgspec.Raw(b"null")
    failure: str | None = None
    version: int = VERSION


class Result(msgspec.Struct, omit_defaults=True):
    """What a run ended with, or stopped for."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    undoing: Undoing | None = None
    stuck: list[str] = []
    journal: str = ""
    code: str = ""
    version: int = VERSION


_encoder: Final = msgspec.json.Encoder()
_ordered: Final = msgspec.json.Encoder(order="deterministic")


def entry(kind: Kind, key: str, body: msgspec.Struct | None = None) -> Entry:
    """A line of a journal."""
    return Entry(kind.value, key, b"" if body is None else _encoder.encode(body))


def encode(body: msgspec.Struct) -> bytes:
    """A record."""
    return _encoder.encode(body)


def read(body: bytes, kind: type[T], what: str) -> T:
    """A record of a kind.

    Raises:
        UnreadableRecord: it is none that this release writes.
    """
    try:
        record = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnreadableRecord(what, str(error)) from error
    if getattr(record, "version", VERSION) != VERSION:
        raise UnreadableRecord(what, f"it has a version that is not {VERSION}, which this release reads")
    return record


def write_value(value: object, hint: Any, what: str) -> msgspec.Raw:
    """A value as a journal keeps it, which is read again as `hint` says.

    Raises:
        NotPortable: it would not come back as it is; with the path of what would not.
    """
    if value is None or (type(value) in _SIMPLE and -_SURELY_EXACT < value < _SURELY_EXACT):  # type: ignore[operator]
        return msgspec.Raw(_encoder.encode(value))  # most are, and need no looking at
    try:
        written = portable_json(value)
    except NotPortable as error:
        raise NotPortable(what + error.path.removeprefix("data"), error.reason) from None
    if _has_type(value):
        try:
            is_read = type(read_value(msgspec.Raw(written), hint, what)) is type(value)
        except UnreadableRecord:
            is_read = False
        if not is_read:
            name = type(value).__name__
            raise NotPortable(what, f"is a {name}, and nothing says so where it is read: annotate the function with it")
    return msgspec.Raw(written)


def read_value(written: msgspec.Raw, hint: Any, what: str) -> Any:
    """A value out of a journal.

    Raises:
        UnreadableRecord: it is not what `hint` says.
    """
    plain = hint is Any or hint is None or hint is type(None)
    try:
        return msgspec.json.decode(written, type=Any if plain else hint)
    except msgspec.MsgspecError as error:
        raise UnreadableRecord(what, str(error)) from error
    except TypeError:  # a type that msgspec knows nothing of
        return msgspec.json.decode(written)


def _has_type(value: object) -> bool:
    kind = type(value)
    return attrs.has(kind) or isinstance(value, msgspec.Struct) or hasattr(kind, "__dataclass_fields__")


def digest_of_input(workflow: str, value: msgspec.Raw) -> bytes:
    """Stands for a workflow and its input: equal ones have equal digests, whatever the order in mappings."""
    given = [workflow, msgspec.json.decode(value)]
    return hashlib.blake2b(_ordered.encode(given), digest_size=16).digest()


def derived(*parts: str) -> str:
    """An id that is the same for the same parts."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def write_events(events: Sequence[RunEvent]) -> list[WrittenEvent]:
    """Events as a journal keeps them."""
    return [
        WrittenEvent(each.event.id, msgspec.Raw(encode_event(each.event)), each.given is not None, each.require)
        for each in events
    ]


def read_event(written: WrittenEvent) -> RunEvent:
    """An event out of a journal.

    Raises:
        UnreadableRecord: it is none.
    """
    event = msgspec.structs.replace(decode_event(bytes(written.body), written.id, 0.0), accepted_at=None)
    return RunEvent(event, event if written.chosen else None, written.require)


def failure_of(error: BaseException, at: float, attempts: int, *, in_order: bool, name: str) -> Failure:
    """What a step raised, as texts."""
    return Failure(at, attempts, type_of(error), message_of(error), text_of(error), in_order=in_order, name=name)


def undoing_of(error: BaseException, at: float) -> Undoing:
    """What a workflow raised, as texts; of a step that failed, what that raised."""
    leaves = list(leaves_of(error))
    failed = next((each for each in leaves if isinstance(each, StepFailed)), None)
    if failed is None:
        error = leaves[0] if len(leaves) == 1 else error
        message = "; ".join(f"{type_of(each)}: {message_of(each)}" for each in leaves[:MOST_TOLD])
        message = message if len(leaves) > 1 else message_of(error)
        return Undoing(at, False, None, type_of(error), message, text_of(error))
    return Undoing(at, False, failed.step, failed.type, failed.message, text_of(failed.__cause__ or failed))

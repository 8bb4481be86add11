"""Events: what happened, as a value.

Events and outcomes are msgspec structs where the rest of postroom uses attrs: one is made for every emit, and a
frozen attrs class takes seven times as long to make. They are also what durable modules encode.

Units: times in seconds since the epoch, UTC.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypedDict

import msgspec

from .errors import InvalidOption

LONGEST_KEY: Final = 200
LARGEST_HEADERS: Final = 8 * 1024
"""Names and values of an event's headers together, bytes in UTF-8."""

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Event(msgspec.Struct, frozen=True):
    """Something that happened. Made by `emit`, or by the user for `emit_many`.

    Attributes:
        name: Dot-separated tokens, such as `order.placed`.
        data: What there is to tell; passed by reference in memory, so handlers must not change it.
        key: Events of one key are handled in order.
        headers: Texts beside the data, for infrastructure such as tracing.
        id: Unique; empty until the event is accepted, unless the user chose it.
        time: When it happened; the moment of the emit, unless the user says otherwise.
        accepted_at: When the runtime accepted it; None before.
        cause: Id of the event whose handler emitted this one; None where no handler did.
        depth: Number of events before it in its chain of causes.
    """

    name: str
    data: Any = None
    key: str | None = None
    headers: Mapping[str, str] = NO_HEADERS
    id: str = ""
    time: float | None = None
    accepted_at: float | None = None
    cause: str | None = None
    depth: int = 0


class EmitOptions(TypedDict, total=False):
    """What an emit may be told beside the name and the data. An `Event`'s own values give way to these.

    Attributes:
        key: Events of one key are handled in order.
        headers: Texts beside the data.
        id: Names the event; the same id within 10 minutes is the same event.
    """

    key: str | None
    headers: Mapping[str, str] | None
    id: str | None


def check_key(key: object) -> None:
    """Raises InvalidOption where `key` can't be an event's key."""
    _check_text("key", key)


def check_id(id: object) -> None:
    """Raises InvalidOption where `id` can't be an event's id."""
    _check_text("id", id)


def _check_text(option: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidOption(option, value, f"must be a string, not {type(value).__name__}; use str(…)")
    if not value:
        raise InvalidOption(option, value, "must not be empty; leave it out instead")
    if len(value) > LONGEST_KEY:
        raise InvalidOption(option, value, f"has {len(value)} characters, and {LONGEST_KEY} is the most")


def checked_headers(headers: object) -> Mapping[str, str]:
    """A copy of `headers` that nobody can change.

    Raises:
        InvalidOption: not a mapping of strings to strings, or too large.
    """
    if not isinstance(headers, Mapping):
        raise InvalidOption("headers", headers, f"must map strings to strings, not be {type(headers).__name__}")
    copy = dict(headers)
    size = 0
    for name, value in copy.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidOption("headers", {name: value}, "names and values must be strings")
        try:
            size += len(name.encode()) + len(value.encode())
        except UnicodeEncodeError:
            raise InvalidOption("headers", {name: value}, "has a lone surrogate, which no encoding can carry") from None
    if size > LARGEST_HEADERS:
        raise InvalidOption("headers", sorted(copy), f"take {size} bytes, and {LARGEST_HEADERS} is the most")
    return MappingProxyType(copy)

"""Payloads that any event module could carry: what a portable runtime accepts, and the copies that it hands out.

A durable module stores payloads as JSON and decodes them for each delivery. Local passes them by reference, so a test
on Local may pass with a payload that no store takes, or with a handler that changes what others get too. A portable
runtime carries events as Local does but is as strict as a store.

Units: bytes of JSON in UTF-8.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import attrs
import msgspec

from .delivery import Delivery
from .errors import NotPortable, quoted

DEEPEST: Final = 64
"""Lists, mappings and objects inside of each other."""

LARGEST: Final = 1024 * 1024

_LEAST_INT: Final = -(2**63)
_MOST_INT: Final = 2**64 - 1

_LONG_NUMBER: Final = re.compile(rb"\d{19}")

_UNCHANGED: Final = "would not come back from JSON as it was"


def portable_copy(data: Any) -> Any:
    """What `data` is after it was stored and read again.

    An attrs class, a dataclass or a msgspec struct comes back as the same class where it is the whole payload; inside
    of mappings and lists nobody would know its type.

    Raises:
        NotPortable: it would not come back as it was; with the path of the first value that would not.
    """
    return _encoded_and_copy(data)[1]


def portable_json(data: Any) -> bytes:
    """`data` as a store keeps it.

    Raises:
        NotPortable: as `portable_copy`.
    """
    return _encoded_and_copy(data)[0]


def _encoded_and_copy(data: Any) -> tuple[bytes, Any]:
    kind = type(data) if _has_fields(data) else None
    try:
        encoded = msgspec.json.encode(data)
        if len(encoded) > LARGEST:
            raise NotPortable("data", f"takes {len(encoded)} bytes as JSON, and {LARGEST} is the most")
        copy = msgspec.json.decode(encoded, type=Any if kind is None else kind)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        _check(data, "data", (), typed=kind is not None)  # knows the place, where it finds one
        raise NotPortable("data", f"can't be stored and read again ({error})") from error
    if kind is not None or not _is_sure(data, copy, encoded) or encoded.count(b"[") + encoded.count(b"{") > DEEPEST:
        _check(data, "data", (), typed=kind is not None)
        if not _equal(copy, data):
            raise NotPortable("data", _UNCHANGED)
    return encoded, copy


def _is_sure(data: Any, copy: Any, encoded: bytes) -> bool:
    """Whether `data` is certain to be what came back, without looking at each value in turn."""
    # Equal, which a tuple, a date or a key that is no string isn't; and without a number that some readers would round.
    return _equal(copy, data) and _LONG_NUMBER.search(encoded) is None


def copy_for_handler(delivery: Delivery) -> Delivery:
    """A delivery whose event's data is the receiver's own; it was found portable when it was emitted."""
    data = delivery.event.data
    kind = type(data) if _has_fields(data) else Any
    copy = msgspec.json.decode(msgspec.json.encode(data), type=kind)
    return msgspec.structs.replace(delivery, event=msgspec.structs.replace(delivery.event, data=copy))


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # a comparison of the user's own
        return False


def _has_fields(value: object) -> bool:
    kind = type(value)
    return (
        hasattr(kind, "__attrs_attrs__") or hasattr(kind, "__dataclass_fields__") or isinstance(value, msgspec.Struct)
    )


def _fields_of(value: Any) -> Iterator[tuple[str, object]]:
    kind = type(value)
    names = (
        [field.name for field in attrs.fields(kind)]
        if hasattr(kind, "__attrs_attrs__")
        else list(getattr(kind, "__dataclass_fields__", None) or kind.__struct_fields__)
    )
    return ((name, getattr(value, name)) for name in names if hasattr(value, name))


def _check(value: Any, path: str, around: tuple[int, ...], *, typed: bool) -> None:
    """Raises NotPortable for the first value that JSON can't carry.

    Args:
        around: The identities of the containers that `value` is in.
        typed: Types are known where it is read, so a date, say, comes back as one.
    """
    problem = _problem_of(value)
    if problem is not None:
        raise NotPortable(path, problem)
    inner: Iterator[tuple[str, object]]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                if not typed:
                    raise NotPortable(path, f"has a key that is a {type(key).__name__}; it would come back as a string")
            elif (of_key := _problem_of(key)) is not None:
                raise NotPortable(path, f"has a key that {of_key}")
        inner = ((f"{path}[{quoted(key)}]", each) for key, each in value.items())
    elif isinstance(value, list) or (typed and isinstance(value, tuple | set | frozenset)):
        inner = ((f"{path}[{position}]", each) for position, each in enumerate(value))
    elif typed and _has_fields(value):
        inner = ((f"{path}.{name}", each) for name, each in _fields_of(value))
    elif typed or value is None or isinstance(value, bool | int | float | str):
        return
    else:
        raise NotPortable(path, f"is a {type(value).__name__}, which {_fate_of(value)}")
    if id(value) in around:
        raise NotPortable(path, "contains itself")
    if len(around) >= DEEPEST:
        raise NotPortable(path, f"is nested deeper than {DEEPEST} levels")
    for place, each in inner:
        _check(each, place, (*around, id(value)), typed=typed)


def _problem_of(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, which JSON does not have"
    if isinstance(value, int) and not _LEAST_INT <= value <= _MOST_INT:
        return "is a whole number of more than 64 bits"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "has a lone surrogate, which no encoding can carry"
    return None


def _fate_of(value: object) -> str:
    try:
        back = msgspec.json.decode(msgspec.json.encode(value))
    except Exception:
        return "JSON can't carry"
    return f"would come back as a {type(back).__name__}"

"""Payloads that any event module could carry: what a portable runtime accepts, and the copies that it hands out.

A durable module stores payloads as JSON and decodes them for each delivery. Local passes them by reference, so a test
on Local may pass with a payload that no store takes, or with a handler that changes what others get too. A portable
runtime carries events as Local does but is as strict as a store.

Units: bytes of JSON in UTF-8.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, TypeAlias

import attrs
import msgspec

from .delivery import LET_GO, Delivery
from .errors import NotPortable
from .nesting import DEEPEST
from .quoting import quoted, told

LARGEST: Final = 1024 * 1024

_LEAST_INT: Final = -(2**63)
_MOST_INT: Final = 2**64 - 1

_DIGITS: Final = bytes(ord("0") if 48 <= byte <= 57 else 0 for byte in range(256))
_LONG_NUMBER: Final = b"0" * 19
"""What a number of so many digits is once all are the same: much quicker to find than by a regular expression."""

_PLAIN: Final = frozenset({dict, list, str, int, float, bool, type(None)})

_encode: Final = msgspec.json.Encoder().encode
_decode: Final[Callable[[bytes], Any]] = msgspec.json.Decoder().decode

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
    found = _plainly(data)
    if found is not None:
        return found
    try:
        return _carried(data)
    except NotPortable:
        raise
    except Exception as error:  # a property, a comparison, an iterator of the user's own
        raise NotPortable("data", f"can't be read ({type(error).__name__})") from error


def _plainly(data: Any) -> tuple[bytes, Any] | None:
    """What nearly all data comes to; None where it is not certain without a look at each value in turn."""
    if type(data) not in _PLAIN and _has_fields(data):
        return None
    try:
        encoded = _encode(data)
        # Equal, which a tuple, a date or a key that is no string isn't; without a number that some readers would round;
        # and with too few containers for one too deep.
        if (
            len(encoded) <= LARGEST
            and encoded.count(b"[") + encoded.count(b"{") <= DEEPEST
            and _LONG_NUMBER not in encoded.translate(_DIGITS)
            and (copy := _decode(encoded)) == data
        ):
            return encoded, copy
    except Exception:  # what it is, is found out below
        return None
    return None


def _carried(data: Any) -> tuple[bytes, Any]:
    kind = type(data) if _has_fields(data) else None
    encoded, copy, failure = _there_and_back(data, kind)
    if len(encoded) > LARGEST:  # before anybody looks at every single value
        raise NotPortable("data", f"takes {len(encoded)} bytes as JSON, and {LARGEST} is the most")
    found = _misfit(data, (), typed=kind is not None, encodes=bool(encoded))
    if found is not None:
        raise NotPortable(f"data{found[0]}", found[1])
    if failure is not None:
        raise NotPortable("data", f"can't be stored and read again ({told(failure)})") from failure
    if not _equal(copy, data):
        raise NotPortable("data", _UNCHANGED)
    return encoded, copy


def _there_and_back(data: Any, kind: type[Any] | None) -> tuple[bytes, Any, Exception | None]:
    """`data` as JSON, empty where that can't be, and what it is when it is read; and what went wrong."""
    encoded = b""
    try:
        encoded = _encode(data)
        if len(encoded) > LARGEST:
            return encoded, None, None
        return encoded, msgspec.json.decode(encoded, type=Any if kind is None else kind), None
    except Exception as error:
        return encoded, None, error


def copy_for_handler(delivery: Delivery) -> Delivery:
    """A delivery whose event's data is the receiver's own; it was found portable when it was emitted."""
    data = delivery.event.data
    kind = type(data) if _has_fields(data) else Any
    copy = msgspec.json.decode(msgspec.json.encode(data), type=kind)
    # Without the receipt, which the runtime settles by the delivery that was copied.
    return msgspec.structs.replace(delivery, event=msgspec.structs.replace(delivery.event, data=copy), receipt=LET_GO)


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # a comparison of the user's own
        return False


def _has_fields(value: object) -> bool:
    kind = type(value)
    return kind not in _PLAIN and (
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


Misfit: TypeAlias = tuple[str, str]
"""The rest of a path, and what is wrong there."""

_CARRIED: Final = frozenset({type(None), bool, str})
_INTEGRAL: Final = frozenset({bool, int})


def _misfit(value: Any, around: tuple[int, ...], *, typed: bool, encodes: bool) -> Misfit | None:
    """The first place in `value` that JSON can't carry.

    Args:
        around: The identities of the containers that `value` is in.
        typed: Types are known where it is read, so a date, say, comes back as one.
        encodes: The whole was encoded, so every text in it can be.
    """
    problem = _problem_of(value)
    if problem is not None:
        return "", problem
    inner: Iterable[tuple[object, object]]
    values: Collection[Any]
    form: Callable[[object], str] = "[{}]".format
    if isinstance(value, dict):
        wrong = _wrong_key(value, typed=typed, encodes=encodes)
        if wrong is not None:
            return "", wrong
        inner, values, form = value.items(), value.values(), lambda key: f"[{quoted(key)}]"
    elif isinstance(value, list) or (typed and isinstance(value, tuple | set | frozenset)):
        inner, values = enumerate(value), value
    elif typed and _has_fields(value):
        fields = list(_fields_of(value))
        inner, values, form = fields, [each for _, each in fields], ".{}".format
    elif typed or value is None or isinstance(value, bool | int | float | str):
        return None
    else:
        return "", f"is a {type(value).__name__}, which {_fate_of(value)}"
    if id(value) in around:
        return "", "contains itself"
    if len(around) >= DEEPEST:
        return "", f"is nested deeper than {DEEPEST} levels"
    if encodes and _is_carried(values):
        return None
    for place, each in inner:
        kind = type(each)
        if encodes and (kind in _CARRIED or (kind is float and math.isfinite(each))):  # type: ignore[arg-type]  # it is
            continue
        found = _misfit(each, (*around, id(value)), typed=typed, encodes=encodes)
        if found is not None:
            return form(place) + found[0], found[1]
    return None


def _is_carried(values: Collection[Any]) -> bool:
    """Whether all of some values that encode come back. A million of them need not be looked at one by one."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return all(map(math.isfinite, values))
    return kinds <= _CARRIED or (kinds <= _INTEGRAL and min(values) >= _LEAST_INT and max(values) <= _MOST_INT)


def _wrong_key(value: dict[Any, Any], *, typed: bool, encodes: bool) -> str | None:
    """What is wrong with the keys of a mapping, if anything."""
    if encodes and {str}.issuperset(map(type, value)):
        return None
    for key in value:
        if not isinstance(key, str):
            if not typed:
                return f"has a key that is a {type(key).__name__}; it would come back as a string"
        elif (of_key := _problem_of(key)) is not None:
            return f"has a key that {of_key}"
    return None


def _problem_of(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, which JSON does not have"
    if isinstance(value, int) and not _LEAST_INT <= value <= _MOST_INT:
        return "is a whole number of more than 64 bits"
    if isinstance(value, str):
        try:
            str.encode(value)
        except UnicodeEncodeError:
            return "has a lone surrogate, which no encoding can carry"
    return None


def _fate_of(value: object) -> str:
    try:
        back = msgspec.json.decode(msgspec.json.encode(value))
    except Exception:
        return "JSON can't carry"
    return f"would come back as a {type(back).__name__}"

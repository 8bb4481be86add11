"""Shapes: whether a value in memory is what its type says, where an encoded one would hide that it isn't.

msgspec checks what a value encodes to; an item given as a dict, a tuple as a list or an enumeration's member as its
value encode alike, yet a handler would get them as they are.

Units: paths as msgspec writes them, `$.items[3].price`.
"""

import datetime
import decimal
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs
import msgspec.inspect as kinds

Misfit: TypeAlias = tuple[str, str]
"""A path, and what is wrong there."""

_SCALARS: Final[Mapping[type[kinds.Type], tuple[type, ...]]] = {
    kinds.NoneType: (type(None),),
    kinds.BoolType: (bool,),
    kinds.IntType: (int,),
    kinds.FloatType: (float, int),
    kinds.StrType: (str,),
    kinds.BytesType: (bytes,),
    kinds.ByteArrayType: (bytearray,),
    kinds.MemoryViewType: (memoryview,),
    kinds.DateTimeType: (datetime.datetime,),
    kinds.DateType: (datetime.date,),
    kinds.TimeType: (datetime.time,),
    kinds.TimeDeltaType: (datetime.timedelta,),
    kinds.UUIDType: (uuid.UUID,),
    kinds.DecimalType: (decimal.Decimal,),
}


def misfit(kind: kinds.Type, value: object, path: str = "$") -> Misfit | None:
    """The first place at which `value`, of which msgspec said that it encodes well, is something else than `kind`."""
    match kind:
        case kinds.AnyType() | kinds.RawType():
            return None
        case kinds.Metadata():
            return misfit(kind.type, value, path)
        case kinds.UnionType():
            misfits = [misfit(each, value, path) for each in kind.types]
            # The member that fits best is the one that fits deepest.
            return None if None in misfits else max((each for each in misfits if each), key=lambda each: len(each[0]))
        case kinds.LiteralType():
            return None if value in kind.values else (path, f"expected one of {kind.values!r}")
        case kinds.EnumType():
            return _instance(value, kind.cls, path)
        case kinds.StructType() | kinds.DataclassType():
            wrong = _instance(value, kind.cls, path)
            return wrong or _first(
                misfit(field.type, getattr(value, field.name), f"{path}.{field.name}") for field in kind.fields
            )
        case kinds.ListType() | kinds.VarTupleType() | kinds.SetType() | kinds.FrozenSetType():
            return _collection(kind, value, path)
        case kinds.TupleType():
            wrong = _instance(value, tuple, path)
            return wrong or _first(
                misfit(each, item, f"{path}[{position}]")
                for position, (each, item) in enumerate(zip(kind.item_types, value, strict=True))  # type: ignore[call-overload]
            )
        case kinds.DictType():
            return _mapping(kind, value, path)
    expected = _SCALARS.get(type(kind))
    return None if expected is None else _scalar(value, expected, path)


def _scalar(value: object, expected: tuple[type, ...], path: str) -> Misfit | None:
    if isinstance(value, expected):  # so is a bool for an int, and a datetime for a date: msgspec has refused those
        return None
    return path, f"expected `{expected[0].__name__}`, got `{type(value).__name__}`"


def _instance(value: object, expected: type, path: str) -> Misfit | None:
    if isinstance(value, expected):
        return None
    return path, f"expected `{expected.__name__}`, got `{type(value).__name__}`"


def _collection(
    kind: kinds.ListType | kinds.VarTupleType | kinds.SetType | kinds.FrozenSetType, value: Any, path: str
) -> Misfit | None:
    expected: type = list
    match kind:
        case kinds.VarTupleType():
            expected = tuple
        case kinds.SetType():
            expected = set
        case kinds.FrozenSetType():
            expected = frozenset
    return _instance(value, expected, path) or _first(
        misfit(kind.item_type, item, f"{path}[{position}]") for position, item in enumerate(value)
    )


def _mapping(kind: kinds.DictType, value: Any, path: str) -> Misfit | None:
    return _instance(value, dict, path) or _first(
        found
        for key, item in value.items()
        for found in (misfit(kind.key_type, key, f"{path}[...]"), misfit(kind.value_type, item, f"{path}[...]"))
    )


def _first(misfits: Iterator[Misfit | None]) -> Misfit | None:
    return next((each for each in misfits if each is not None), None)


def _private_field(cls: type) -> str:
    """The first field of an attrs class that msgspec passes over, and so would lose; empty where there is none."""
    fields = attrs.fields(cls) if attrs.has(cls) else ()
    return next((field.name for field in fields if field.name.startswith("_")), "")


def unsupported(kind: kinds.Type, path: str = "$", seen: frozenset[int] = frozenset()) -> Misfit | None:
    """The first place in a type of which msgspec can tell nothing: a class of the user's that it can't read.

    Args:
        seen: What is being looked at already: a type may hold itself.
    """
    if id(kind) in seen:
        return None
    seen |= {id(kind)}
    match kind:
        case kinds.CustomType():
            return path, f"its type `{kind.cls.__name__}` can't be checked or encoded"
        case kinds.Metadata():
            return unsupported(kind.type, path, seen)
        case kinds.UnionType():
            return _first(unsupported(each, path, seen) for each in kind.types)
        case kinds.DataclassType() if private := _private_field(kind.cls):
            return f"{path}.{private}", "its name begins with `_`, and such fields of attrs classes are not encoded"
        case kinds.StructType() | kinds.DataclassType():
            return _first(unsupported(field.type, f"{path}.{field.name}", seen) for field in kind.fields)
        case kinds.ListType() | kinds.VarTupleType() | kinds.SetType() | kinds.FrozenSetType():
            return unsupported(kind.item_type, f"{path}[...]", seen)
        case kinds.TupleType():
            return _first(unsupported(each, f"{path}[...]", seen) for each in kind.item_types)
        case kinds.DictType():
            return _first(unsupported(each, f"{path}[...]", seen) for each in (kind.key_type, kind.value_type))
    return None

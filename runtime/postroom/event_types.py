"""Typed events: a class of the user's that stands for the events of one name, and says what is in them.

The declaration belongs to the class and is kept nowhere else, so two services in one process may declare the same name.

Units: versions counted from 1.
"""

import copy
import dataclasses
import datetime
import decimal
import re
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol, TypeAlias, TypeVar

import attrs
import msgspec
import msgspec.inspect

from .checks import is_count
from .errors import InvalidEventType, InvalidPayload
from .event import NO_HEADERS, Event
from .names import tokens_of_name
from .nesting import DEEPEST, is_deep
from .quoting import quoted, told
from .shapes import misfit, unsupported

T = TypeVar("T")

VERSION_HEADER: Final = "postroom-version"
"""Names the header with the version of an event's data; without it the version is 1."""

Upcast: TypeAlias = Callable[[Any], Any]
"""From plain data of one version to that of the next."""

_ATTRIBUTE: Final = "__postroom_event_type__"
_NATIVE: Final = (
    bytes, bytearray, memoryview, datetime.datetime, datetime.date, datetime.time, datetime.timedelta, uuid.UUID,
    decimal.Decimal,
)  # fmt: skip
"""Left as they are by a check, so that a text in their place is noticed."""

_is_version = re.compile(r"[1-9][0-9]{0,8}").fullmatch


class _Dataclass(Protocol):  # and a class of attrs, too, as pyright sees one
    __dataclass_fields__: ClassVar[dict[str, Any]]


class _AttrsClass(Protocol):  # not `attrs.AttrsInstance`, which is anything at all to pyright
    __attrs_attrs__: ClassVar[Any]


Emitted: TypeAlias = str | Event[Any] | msgspec.Struct | _AttrsClass | _Dataclass
"""What an emit takes: a name, an `Event`, or an instance of a class with `@event_type`."""


class Unreadable(Exception):
    """Data that is not what its event type says; where, and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


@attrs.define(eq=False)
class EventType:
    """What `@event_type` says of a class.

    Attributes:
        headers: What an event of this type carries.
    """

    cls: type[Any]
    name: str
    version: int
    upcast: Mapping[int, Upcast]
    headers: Mapping[str, str] = attrs.field(init=False)
    _kind: msgspec.inspect.Type | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.headers = NO_HEADERS if self.version == 1 else MappingProxyType({VERSION_HEADER: str(self.version)})

    def check(self, data: object) -> None:
        """Raises InvalidPayload where an instance of the class is not what its annotations say."""
        try:
            if self._kind is None:
                kind = msgspec.inspect.type_info(self.cls)
                if (found := unsupported(kind)) is not None:
                    raise InvalidPayload(self.name, *found)
                self._kind = kind
            plain = msgspec.to_builtins(data, builtin_types=_NATIVE)
            msgspec.convert(plain, self.cls, builtin_types=_NATIVE)
            found = misfit(self._kind, data)
        except msgspec.ValidationError as error:
            raise InvalidPayload(self.name, *_place_of(error)) from None
        except InvalidPayload:
            raise
        except Exception as error:  # what msgspec can't encode; a name that can't be resolved; a property that raises
            raise InvalidPayload(self.name, "$", told(error)) from error
        if found is not None:
            raise InvalidPayload(self.name, *found)

    def headers_with(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """The headers of an event of this type, whose user gave some."""
        if given is NO_HEADERS:
            return self.headers
        others = {name: value for name, value in given.items() if name != VERSION_HEADER}
        return MappingProxyType({**others, **self.headers}) or NO_HEADERS

    def read(self, event: Event) -> Any:
        """An instance made from the data of `event`, which is no instance: plain data of any version.

        Raises:
            Unreadable: it is not what the class says, or of a version from which nothing leads here.
        """
        data = self._lifted(event.data, self._version_of(event.headers))
        try:
            return msgspec.convert(data, self.cls, str_keys=True)  # as JSON has all of them
        except msgspec.ValidationError as error:
            raise Unreadable(*_place_of(error)) from error
        except Exception as error:
            raise Unreadable("$", told(error)) from error

    def _version_of(self, headers: Mapping[str, str]) -> int:
        text = headers.get(VERSION_HEADER, "1")
        if not _is_version(text):
            raise Unreadable("$", f"its header {VERSION_HEADER} says {text[:20]!r}, which is no version")
        return int(text)

    def _lifted(self, data: Any, version: int) -> Any:
        """`data` in this version's form."""
        if version == self.version:
            return data
        if version > self.version:
            raise Unreadable("$", f"it has version {version}, and {self.version} is the newest known here")
        if version not in self.upcast:
            raise Unreadable("$", f"it has version {version}, from which no upcast leads to version {self.version}")
        data = self._copy(data)  # others get the same, so a step that changes it in place must not
        for step in range(version, self.version):
            try:
                data = self.upcast[step](data)
            except Exception as error:
                raise Unreadable("$", f"the upcast from version {step} raised {type(error).__name__}") from error
        return data

    def _copy(self, data: Any) -> Any:
        try:
            if not is_deep(data):  # a thousand calls deep, the copy would take much more memory than the data
                return copy.deepcopy(data)
        except Exception as error:  # of the user's own classes
            raise Unreadable("$", f"it can't be copied ({type(error).__name__})") from error
        raise Unreadable("$", f"it can't be copied: it is nested deeper than {DEEPEST} levels")


def event_type(
    name: str, *, version: int = 1, upcast: Mapping[int, Upcast] | None = None
) -> Callable[[type[T]], type[T]]:
    """Declare a class to be the type of the events of one name. Goes above `@attrs.frozen` or `@dataclass`.

    An instance is emitted in place of name and data, and checked then. A handler whose first parameter is annotated
    with the class, or with `Event[…]` of it, gets an instance, made from plain data where need be.

    Args:
        version: Of the shape of the data; count it up when that changes. Events carry it in the header
            `postroom-version`, those of version 1 and those without a type don't.
        upcast: By version, the function that makes plain data of the next version from that one's; up to `version`,
            without a gap. Each gets a copy.

    Raises:
        InvalidName: a bad name.
        InvalidEventType: a class that can't be checked, a bad version, or a gap.
    """
    tokens_of_name(name)
    if not is_count(version, 1, 10**9 - 1):
        raise InvalidEventType(name, f"version={quoted(version)} must be a whole number, at least 1")
    steps = _checked_steps(name, version, upcast)

    def declare(cls: type[T]) -> type[T]:
        _check_class(name, cls)
        setattr(cls, _ATTRIBUTE, EventType(cls, name, version, steps))
        return cls

    return declare


def _checked_steps(name: str, version: int, upcast: object) -> Mapping[int, Upcast]:
    if upcast is None:
        return {}
    if not isinstance(upcast, Mapping):
        raise InvalidEventType(name, "upcast must be a mapping of versions to functions")
    try:
        steps = dict(upcast)
    except Exception as error:  # of the user's own mapping
        raise InvalidEventType(name, f"upcast can't be read ({type(error).__name__})") from error
    for step, function in steps.items():
        if not is_count(step, 1, version - 1):
            raise InvalidEventType(name, f"upcast from {quoted(step)}: it leads from versions 1 to {version - 1}")
        if not callable(function):
            raise InvalidEventType(name, f"upcast from {step} must be a function of the data")
    for step in range(min(steps, default=version), version):
        if step not in steps:
            raise InvalidEventType(name, f"upcast from {step} is missing, so nothing leads to version {version}")
    return MappingProxyType(steps)


def _check_class(name: str, cls: object) -> None:
    if not isinstance(cls, type):
        raise InvalidEventType(name, f"a {type(cls).__name__} is not a class")
    if not is_record(cls):
        raise InvalidEventType(
            name,
            f"{cls.__name__} is no attrs class, dataclass or msgspec Struct; "
            "where it is to be one, put @event_type above that decorator",
        )
    try:
        found = unsupported(msgspec.inspect.type_info(cls))
        msgspec.json.Decoder(cls)
    except NameError:
        return  # it names what is defined further down; the first emit sees it
    except Exception as error:
        raise InvalidEventType(name, f"{cls.__name__}: {told(error)}") from error
    if found is not None:
        raise InvalidEventType(name, f"{cls.__name__}, {found[0]}: {found[1]}")


def is_record(cls: type) -> bool:
    """Whether a class could be an event type."""
    return attrs.has(cls) or dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct)


def declaration_of(cls: object) -> EventType | None:
    """What `@event_type` says of this very class; a subclass is another type, with a declaration of its own."""
    declared = cls.__dict__.get(_ATTRIBUTE) if isinstance(cls, type) else None
    return declared if isinstance(declared, EventType) and declared.cls is cls else None


def name_of_type(pattern: object) -> Any:
    """The name that stands for an event type as a pattern; any other pattern as it is.

    Raises:
        InvalidEventType: a class without a declaration.
    """
    if not isinstance(pattern, type):
        return pattern
    declared = declaration_of(pattern)
    if declared is None:
        raise InvalidEventType(pattern.__name__, "this class is no event type: declare it with @event_type(…)")
    return declared.name


def _place_of(error: msgspec.ValidationError) -> tuple[str, str]:
    """Path and reason of what msgspec found, whose message ends with the path unless that is the whole."""
    reason, mark, path = str(error).rpartition(" - at `")
    if not mark:
        return "$", _lowered(str(error))
    path = path.removesuffix("`")
    of_mapping = path.removeprefix("key` in `")
    return of_mapping, _lowered(reason) if of_mapping == path else f"of a key: {_lowered(reason)}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]

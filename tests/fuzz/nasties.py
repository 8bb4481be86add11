"""Values that no caller should pass, and that some will: hostile, huge, deep, or merely wrong."""

import collections
import datetime
import decimal
import enum
import fractions
import math
import sys
import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import attrs
import msgspec


class Fault(Exception):
    """Raised by hostile values; it must never come out of a door."""


class IterationFault(Fault):
    """Raised by what the user lets postroom iterate over: that may come out of a door that iterates."""


class RaisesAlways:
    """Fails at everything that can be asked of an object."""

    def __eq__(self, other: object) -> bool:
        raise Fault("eq")

    def __hash__(self) -> int:
        raise Fault("hash")

    def __repr__(self) -> str:
        raise Fault("repr")

    def __str__(self) -> str:
        raise Fault("str")

    def __bool__(self) -> bool:
        raise Fault("bool")

    def __len__(self) -> int:
        raise IterationFault("len")

    def __iter__(self) -> Iterator[Any]:
        raise IterationFault("iter")

    def __float__(self) -> float:
        raise Fault("float")

    def __int__(self) -> int:
        raise Fault("int")

    def __call__(self, *arguments: object) -> Any:
        raise Fault("call")


class EqualToAll:
    """Says that it is whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "x" * 100_000


class HostileText(str):
    """A text whose methods lie, or raise."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise Fault("eq")

    def __hash__(self) -> int:
        raise Fault("hash")

    def __len__(self) -> int:
        return -1 + 2**31

    def __repr__(self) -> str:
        raise Fault("repr")

    def __getitem__(self, index: object) -> str:
        raise Fault("getitem")

    def split(self, *arguments: object) -> Any:
        raise Fault("split")

    def encode(self, *arguments: object, **options: object) -> bytes:
        raise Fault("encode")


class HostileNumber(float):
    """A number that can't be compared."""

    def __ge__(self, other: object) -> bool:
        raise Fault("ge")

    def __gt__(self, other: object) -> bool:
        raise Fault("gt")

    def __float__(self) -> float:
        raise Fault("float")

    def __repr__(self) -> str:
        raise Fault("repr")


class HostileInt(int):
    """A whole number that can't be compared."""

    def __lt__(self, other: object) -> bool:
        raise Fault("lt")

    def __le__(self, other: object) -> bool:
        raise Fault("le")

    def __ge__(self, other: object) -> bool:
        raise Fault("ge")

    def __repr__(self) -> str:
        raise Fault("repr")


class HostileMapping(collections.abc.Mapping[str, str]):
    """A mapping that raises when it is read."""

    def __getitem__(self, key: str) -> str:
        raise Fault("getitem")

    def __iter__(self) -> Iterator[str]:
        yield "a"
        raise IterationFault("iter")

    def __len__(self) -> int:
        raise IterationFault("len")


class HostileDict(dict[str, Any]):
    """A dict that raises when it is read."""

    def __iter__(self) -> Iterator[str]:
        raise IterationFault("iter")

    def items(self) -> Any:
        raise IterationFault("items")


class HostileList(list[Any]):
    """A list that raises when it is read."""

    def __iter__(self) -> Iterator[Any]:
        raise IterationFault("iter")


class Color(enum.Enum):
    """A plain enumeration."""

    RED = "red"


class TextColor(enum.StrEnum):
    """An enumeration of texts."""

    RED = "red"


@attrs.define
class Record:
    """Fields without types."""

    a: Any = None
    b: Any = None


class Struct(msgspec.Struct):
    """Likewise."""

    a: Any = None


@attrs.define
class WithProperty:
    """A record one of whose fields can't be read."""

    a: int = 1

    def __getattribute__(self, name: str) -> Any:
        if name == "a":
            raise Fault("a")
        return object.__getattribute__(self, name)


def circular() -> list[Any]:
    """A list in itself."""
    value: list[Any] = [1]
    value.append({"a": value})
    return value


def nested(depth: int, kind: str = "list") -> Any:
    """So many containers inside of each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


TEXTS: Final = (
    "", " ", "a", "a.b", "a b", "a.", ".a", "a..b", "a\n", "a\r\nb", "\x00", "\x1b[31m", "\u202e", "\ud800", "é", "а",
    "ａ", "a\u200b", "../a", "*", "**", "a.*", "**.a", "a" * 200, "a" * 201, "a" * 100_000, "a." * 100 + "a",
    "%s", "{0}", "order.placed", "__class__", "wait", "default", "postroom-version", "é" * 200, "\U0001f600" * 200,
)  # fmt: skip

NUMBERS: Final = (
    0, 1, -1, 2, 64, 65, True, False, 0.0, -0.0, 0.5, 1.5, -0.5, 1e-320, 1e308, math.nan, math.inf, -math.inf, 2**31,
    2**63, 2**64, -(2**63) - 1, 10**400, -(10**5000), decimal.Decimal("NaN"), fractions.Fraction(1, 3), 1j,
)  # fmt: skip

MAKERS: Final[tuple[Callable[[], Any], ...]] = (
    RaisesAlways, EqualToAll, lambda: HostileText("n"), lambda: HostileText("a" * 300), lambda: HostileNumber(1.0),
    lambda: HostileInt(3), HostileMapping, lambda: HostileDict(a=1), lambda: HostileList([1]), lambda: Color.RED,
    lambda: TextColor.RED, Record, lambda: Record(RaisesAlways()), Struct, WithProperty, circular,
    lambda: nested(64), lambda: nested(65), lambda: nested(5000), lambda: nested(100_000), lambda: nested(70, "dict"),
    lambda: None, object, lambda: (), list, dict, set, lambda: frozenset({1}), lambda: b"a", lambda: bytearray(b"\xff"),
    lambda: memoryview(b"a"), lambda: range(3), lambda: (each for each in "ab"), lambda: iter([1]), lambda: len,
    lambda: (lambda: None), lambda: (lambda *a: None), lambda: print, lambda: Exception, lambda: Exception("a"),
    lambda: int, lambda: type, lambda: math, lambda: Ellipsis, lambda: NotImplemented,
    lambda: datetime.datetime.now(datetime.UTC),
    lambda: datetime.date(2024, 1, 1), lambda: uuid.UUID(int=1), lambda: collections.OrderedDict(a=1),
    lambda: collections.Counter("ab"), lambda: {"a": {1, 2}}, lambda: {1: 2}, lambda: {None: 1}, lambda: {"\ud800": 1},
    lambda: ["\ud800"], lambda: {"a": math.nan}, lambda: [10**400], lambda: ["a" * 2_000_000],
    lambda: list(range(100_000)),
)  # fmt: skip


def nasty(random: Random) -> Any:
    """One value that is probably wrong, whatever it is for."""
    match random.randrange(6):
        case 0 | 1:
            return random.choice(MAKERS)()
        case 2:
            return random.choice(NUMBERS)
        case 3:
            return random.choice(TEXTS)
        case 4:
            return mangled(random, random.choice(TEXTS))
        case _:
            return tree(random)


def mangled(random: Random, text: str) -> str:
    """A text with some of its characters replaced, removed or doubled, or random bytes."""
    if random.random() < 0.3:
        return random.randbytes(random.randrange(40)).decode("latin-1")
    letters = list(text[:300])
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(letters) + 1)
        match random.randrange(3):
            case 0:
                letters[at : at + 1] = [chr(random.choice((random.randrange(128), random.randrange(0x11_0000))))]
            case 1:
                del letters[at : at + 1]
            case _:
                letters[at:at] = letters[max(0, at - 3) : at]
    return "".join(letters)


def tree(random: Random, depth: int = 0) -> Any:
    """A structure of values, most of them harmless."""
    match random.randrange(9 if depth < 4 else 5):
        case 0:
            return random.choice(NUMBERS)
        case 1:
            return random.choice(TEXTS)
        case 2:
            return random.choice((None, True, 1, "text", 1.5))
        case 3:
            return random.choice(MAKERS)() if random.random() < 0.3 else random.randrange(1000)
        case 4:
            return mangled(random, "text")
        case 5 | 6:
            return [tree(random, depth + 1) for _ in range(random.randrange(4))]
        case _:
            return {mangled(random, "key"): tree(random, depth + 1) for _ in range(random.randrange(4))}


def size_of(value: Any, seen: set[int] | None = None, depth: int = 0) -> int:
    """Bytes in memory of a value and of what is in it, roughly."""
    seen = set() if seen is None else seen
    if id(value) in seen or depth > 200:
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        inner = [each for pair in dict.items(value) for each in pair]
    elif type(value) in (list, tuple, set, frozenset):
        inner = list(value)
    else:
        return size
    return size + sum(size_of(each, seen, depth + 1) for each in inner)

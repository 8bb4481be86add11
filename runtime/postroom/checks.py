"""Checks of numbers, words and lists that users give, in attrs fields and in arguments.

A `bool` is a number to Python; to whoever passes one it is a mistake. Subclasses of numbers and of texts may compare,
hash and iterate as they like, or raise; so what is asked here is asked of the class that Python itself has.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeGuard

import attrs

from .errors import InvalidOption

_COMPARISONS: Final = ("__eq__", "__hash__", "__lt__", "__le__", "__gt__", "__ge__")

Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def check_number(
    option: str, value: object, what: str, *, least: float = 0.0, above: bool = False, finite: bool = True
) -> float:
    """`value` as a float, if it is a number of at least `least`, or with `above` one above it.

    Args:
        what: What it is a number of, for the message.

    Raises:
        InvalidOption: it is not.
    """
    number = _as_float(value)
    # NaN, which also stands for what is no number, is neither above nor below.
    if (number > least if above else number >= least) and (math.isfinite(number) or not finite):
        return number
    kind = f"{'finite ' if finite else ''}number{' of ' if what else ''}{what}"
    bound = "" if least == -math.inf else f" {'above' if above else 'of at least'} {least:g}"
    raise InvalidOption(option, value, f"must be a {kind}{bound}")


def _as_float(value: object) -> float:
    """A number as a float; NaN for what is none, or can't be compared as one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return math.nan
    try:
        number = float(value)
        return number if (value >= number) is not NotImplemented and value <= math.inf else math.nan
    except Exception:  # beyond what a float holds; a class of the user's own
        return math.nan


def is_count(value: object, least: int, most: int | None = None) -> TypeGuard[int]:
    """Whether it is a whole number of at least `least`, and at most `most`, and compares as those do."""
    if not isinstance(value, int) or isinstance(value, bool) or not _compares_as(value, int):
        return False
    return value >= least and (most is None or value <= most)


def word(value: Any) -> Any:
    """A text as Python's own class has it; anything else as it is."""
    return str.__str__(value) if isinstance(value, str) else value


def is_word(value: object, known: Iterable[str]) -> bool:
    """Whether it is a text, one of some, and compares as texts do."""
    return isinstance(value, str) and _compares_as(value, str) and str.__str__(value) in known


def _compares_as(value: object, base: type) -> bool:
    kind = type(value)
    return kind is base or all(getattr(kind, name) is getattr(base, name) for name in _COMPARISONS)


def paired(option: str, mapping: "Mapping[Any, Any]") -> "dict[Any, Any]":
    """What is in a mapping.

    Raises:
        InvalidOption: it can't be read.
    """
    try:
        return dict(mapping)
    except Exception as error:  # of the user's own mapping; not shown, since headers may be secrets
        raise InvalidOption(option, type(mapping).__name__, f"can't be read ({type(error).__name__})") from error


def listed(option: str, values: Any, what: str) -> "list[Any]":
    """What is in something that is to hold several.

    Raises:
        InvalidOption: it holds nothing, since it is no list or the like.
        Exception: what an iterator of the user's own raises.
    """
    if isinstance(values, Iterable) and not isinstance(values, str | bytes):
        return list(values)
    raise InvalidOption(option, values, f"must be a list of {what}")


def seconds(*, above: bool = False, finite: bool = True, optional: bool = False) -> Validator:
    """A field's check: seconds, at least 0 or above it; with `optional` also None."""

    def check(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value is not None or not optional:
            check_number(attribute.alias or attribute.name, value, "seconds", above=above, finite=finite)

    return check


def check_count(name: str, value: object, what: str, most: int | None = None) -> None:
    """Raises InvalidOption for what is no whole number, at least 1, and at most `most`."""
    if not is_count(value, 1, most):
        bounds = "at least 1" if most is None else f"at least 1 and at most {most}"
        raise InvalidOption(name, value, f"must be a whole number of {what}, {bounds}")


def count_of(what: str, most: int | None = None, *, optional: bool = False) -> Validator:
    """A field's check: a whole number, at least 1, and at most `most`; with `optional`, or None."""

    def check(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if optional and value is None:
            return
        check_count(attribute.alias or attribute.name, value, what, most)

    return check

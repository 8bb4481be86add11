"""Checks of numbers that users give, in attrs fields and in arguments.

A `bool` is a number to Python; to whoever passes one it is a mistake.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from .errors import InvalidOption

Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def check_number(
    option: str, value: object, what: str, *, least: float = 0.0, above: bool = False, finite: bool = True
) -> None:
    """Raises InvalidOption unless `value` is a number of at least `least`, or with `above` one above it.

    Args:
        what: What it is a number of, for the message.
    """
    try:
        is_good = (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (float(value) > least if above else float(value) >= least)  # NaN is neither
            and (math.isfinite(value) or not finite)
        )
    except OverflowError:  # a whole number beyond what a float holds
        is_good = False
    if is_good:
        return
    kind = f"{'finite ' if finite else ''}number{' of ' if what else ''}{what}"
    bound = "" if least == -math.inf else f" {'above' if above else 'of at least'} {least:g}"
    raise InvalidOption(option, value, f"must be a {kind}{bound}")


def seconds(*, above: bool = False, finite: bool = True, optional: bool = False) -> Validator:
    """A field's check: seconds, at least 0 or above it; with `optional` also None."""

    def check(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value is not None or not optional:
            check_number(attribute.alias or attribute.name, value, "seconds", above=above, finite=finite)

    return check


def check_count(name: str, value: object, what: str) -> None:
    """Raises InvalidOption for what is no whole number, at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidOption(name, value, f"must be a whole number of {what}, at least 1")


def count_of(what: str, *, optional: bool = False) -> Validator:
    """A field's check: a whole number, at least 1; with `optional`, or None."""

    def check(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if optional and value is None:
            return
        check_count(attribute.alias or attribute.name, value, what)

    return check

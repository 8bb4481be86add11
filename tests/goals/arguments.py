"""What the programs' command lines are made of: numbers within bounds, and names out of a list."""

import argparse
from collections.abc import Callable, Iterable


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A `type=` for `add_argument`: a number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number between {least} and {most}")
        return value

    return read


def number(above: float, most: float) -> Callable[[str], float]:
    """A `type=` for `add_argument`: a number above `above`, up to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = above
        if not above < value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number above {above:g}, up to {most:g}")
        return value

    return read


def names(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """A `type=` for `add_argument`: names out of `known`, with commas between."""
    allowed = tuple(known)

    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        for name in found:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}")
        return found

    return read

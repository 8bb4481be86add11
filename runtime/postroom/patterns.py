"""How patterns of events relate: whether one of them covers another, or both match some same name."""

from .names import ONE, REST


def covers(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    """Whether every name that matches `narrow` matches `wide`; both as tokens."""
    for position, token in enumerate(wide):
        if position == len(narrow):
            return False
        if token == REST:
            return True
        other = narrow[position]
        if other == REST or token not in (ONE, other):
            return False
    return len(wide) == len(narrow)


def overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether there is a name that matches both; both as tokens."""
    for first, second in zip(one, other, strict=False):
        if REST in (first, second):
            return True
        if first != second and ONE not in (first, second):
            return False
    return len(one) == len(other)

"""Names of events, and the patterns that match them.

A name is tokens joined by dots: `order.placed.eu`. In a pattern `*` stands for exactly one token, and a last `**`
for one or more. There is nothing else to a pattern, so matching is linear and nothing hostile can slow it down.

Units: lengths in characters.
"""

import re
from typing import Final

from .errors import InvalidName

LONGEST_NAME: Final = 200

ONE: Final = "*"
REST: Final = "**"

# `fullmatch`, since `$` would let a trailing newline through.
_is_token = re.compile(r"[A-Za-z0-9_-]+").fullmatch

_RULE: Final = "names are tokens of ASCII letters, digits, `_` and `-`, joined by single dots (`order.placed`)"


def tokens_of_name(name: object) -> tuple[str, ...]:
    """The tokens of an event's name.

    Raises:
        InvalidName: says which token breaks the rules, and why.
    """
    tokens = _split(name)
    for position, token in enumerate(tokens, 1):
        if not _is_token(token):
            hint = "; a wildcard belongs in a pattern, not in the name of an event" if "*" in token else ""
            raise InvalidName(name, f"token {position}, {token[:40]!r}, breaks the rule: {_RULE}{hint}")
    return tokens


def tokens_of_pattern(pattern: object) -> tuple[str, ...]:
    """The tokens of a pattern, wildcards included.

    Raises:
        InvalidName: says which token breaks the rules, and why.
    """
    tokens = _split(pattern)
    for position, token in enumerate(tokens, 1):
        if token == REST and position < len(tokens):
            raise InvalidName(pattern, f"token {position}: `**` stands for all the rest, so it can only come last")
        if token not in (ONE, REST) and not _is_token(token):
            hint = "; `*` and `**` stand for whole tokens" if "*" in token else ""
            raise InvalidName(pattern, f"token {position}, {token[:40]!r}, breaks the rule: {_RULE}{hint}")
    return tokens


def check_subscription_name(name: object) -> str:
    """`name`, if it may name a subscription: the rules are those of events' names.

    Raises:
        InvalidName: says which token breaks the rules, and why.
    """
    tokens_of_name(name)
    assert isinstance(name, str)
    return name


def _split(name: object) -> tuple[str, ...]:
    if not isinstance(name, str):
        raise InvalidName(name, f"a name is a string, not {type(name).__name__}")
    if not name:
        raise InvalidName(name, "it is empty")
    if len(name) > LONGEST_NAME:
        raise InvalidName(name, f"it has {len(name)} characters, and {LONGEST_NAME} is the most")
    return tuple(name.split("."))

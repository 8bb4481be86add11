"""Quoting: what is refused, as an error or a log line shows it. It may be hostile, huge, or both.

Units: characters.
"""

import re
import reprlib
from typing import Any, Final

_LONGEST_QUOTE: Final = 80
_MOST_QUOTED: Final = 20

_brief: Final = reprlib.Repr()
_brief.maxlist = _brief.maxtuple = _brief.maxdict = _brief.maxset = _brief.maxfrozenset = _MOST_QUOTED
_brief.maxstring = _brief.maxother = _brief.maxlong = 4 * _LONGEST_QUOTE


def quoted(value: Any) -> str:
    """`repr`, cut to a length that a log line bears: what is refused may be hostile."""
    try:
        if isinstance(value, str):
            value = str.__str__(value)  # the text of a subclass, which may answer as it likes
        if type(value) in (str, bytes) and len(value) > _LONGEST_QUOTE:
            return f"{value[:_LONGEST_QUOTE]!r}… ({len(value)} long)"
        # A long list is not printed whole only to be cut.
        text = str.__str__(_brief.repr(value) if type(value) in (list, tuple, dict, set, frozenset) else repr(value))
    except Exception as error:  # the user's own `__repr__`
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= 4 * _LONGEST_QUOTE else text[: 4 * _LONGEST_QUOTE] + "…"


def told(error: BaseException) -> str:
    """The kind of an error and its text, cut as `quoted` cuts: it may quote what is hostile."""
    try:
        text = str.__str__(str(error))
    except Exception:  # the user's own `__str__`
        text = "which can't be shown"
    return f"{type(error).__name__}: {text if len(text) <= 4 * _LONGEST_QUOTE else text[: 4 * _LONGEST_QUOTE] + '…'}"


def printable(text: str) -> str:
    """`text` on one line, without what would steer a terminal: controls, line ends, and marks of direction."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


HIDDEN: Final = "***"

_passwords: Final = re.compile(r"(?<=//)([^\s/@:]*):\S*(?=@)")
"""Up to the last `@`, since a password may have more, and from a `//` that may have lost its scheme."""


def masked(text: str) -> str:
    """`text` with the passwords of its URLs hidden."""
    return _passwords.sub(rf"\1:{HIDDEN}", text)

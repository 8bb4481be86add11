"""The options of an emit: checked here, and nowhere else.

An event's own win over the call's.

Units: seconds.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypedDict

from .checks import check_number, paired
from .errors import InvalidOption
from .event import HEAD_STARTS, NO_HEADERS, Event, Priority
from .policy import Policy, check_quiet, check_timeout, first_said, says_nothing
from .retry import Backoff, check_attempts, check_backoff

LONGEST_KEY: Final = 200
"""Characters of a key, of an id, and of the id of a group."""

LARGEST_HEADERS: Final = 8 * 1024
"""Names and values of an event's headers together, bytes in UTF-8."""

_PRIORITIES: Final[Mapping[str, Priority]] = {priority: priority for priority in HEAD_STARTS}


class EmitOptions(TypedDict, total=False):
    """What an emit may be told beside the name and the data. An `Event`'s own values win over these.

    Attributes:
        key: Events of one key are handled in order.
        headers: Texts beside the data.
        id: Names the event; the same id within 10 minutes is the same event.
        priority: `critical`, `high`, `default`, `low` or `lowest`.
        delay: Seconds until it goes to the mailboxes; less than 0 is 0.
        expires_after: Seconds after which nobody handles it any more.
        require: Refuse an event that nobody subscribes to; of a staged one, refuse the release of its group.
        group: Stage it in the group of this id instead; see `Runtime.group`.
        attempts, backoff, timeout: Win over what its subscribers say; a `timeout` of `math.inf` is none.
        quiet: Its retries and give-ups are not logged, and its priority is `lowest` unless given.
    """

    key: str | None
    headers: Mapping[str, str] | None
    id: str | None
    priority: Priority | None
    delay: float | None
    expires_after: float | None
    require: bool
    group: str | None
    attempts: int | None
    backoff: Backoff | None
    timeout: float | None
    quiet: bool | None


def with_own(event: Event, options: EmitOptions) -> EmitOptions:
    """The options of a call, and over them those that the event itself has."""
    own: EmitOptions = {**options}
    if not says_nothing(event):
        call = Policy(
            attempts=options.get("attempts"),
            backoff=options.get("backoff"),
            timeout=options.get("timeout"),
            quiet=options.get("quiet"),
        )
        said = first_said(event, call)
        own["attempts"], own["backoff"] = said.attempts, said.backoff
        own["timeout"], own["quiet"] = said.timeout, said.quiet
    if event.key is not None:
        own["key"] = event.key
    if event.headers is not NO_HEADERS:
        own["headers"] = event.headers
    if event.priority.__class__ is not str or event.priority != "default":
        own["priority"] = event.priority
    if event.delay is not None:
        own["delay"] = event.delay
    if event.expires_after is not None:
        own["expires_after"] = event.expires_after
    if (
        event.id.__class__ is not str or event.id
    ) and event.accepted_at is None:  # the id of one that was accepted before stands for that one
        own["id"] = event.id
    return own


def checked(options: EmitOptions) -> EmitOptions:
    """What the user asked for, without what says nothing.

    Raises:
        TypeError: no such option.
        InvalidOption: a value that it can't have.
    """
    chosen: EmitOptions = {}
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is None:
            raise TypeError(f"emit got an unexpected option {name!r}; it takes {', '.join(_CHECKS)}")
        if value is not None:
            chosen[name] = check(value)  # type: ignore[literal-required]  # a name of the table
    return chosen


def is_special(event: Event) -> bool:
    """Whether an event has another way to its handlers than simply in the order of coming."""
    return (
        event.priority != "default"
        or event.delay is not None
        or event.expires_after is not None
        or event.timeout is not None
    )


def check_group(id: object) -> str:
    """The id of a group.

    Raises:
        InvalidOption: it can't be one.
    """
    return _text("group")(id)


def _text(option: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if type(value) is str and value.isascii() and 0 < len(value) <= LONGEST_KEY:  # nearly always
            return value
        if not isinstance(value, str):
            raise InvalidOption(option, value, f"must be a string, not {type(value).__name__}; use str(…)")
        value = str.__str__(value)  # the text of a subclass, which may hash as it likes
        if not value:
            raise InvalidOption(option, value, "must not be empty; leave it out instead")
        if len(value) > LONGEST_KEY:
            raise InvalidOption(option, value, f"has {len(value)} characters, and {LONGEST_KEY} is the most")
        if not value.isascii():
            _check_encodes(option, value)
        return value

    return check


def _check_encodes(option: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidOption(option, text, "has a lone surrogate, which no encoding can carry") from None


def check_headers(headers: object) -> Mapping[str, str]:
    """A copy that nobody can change. Values may be secrets, so an error shows names only."""
    if not isinstance(headers, Mapping):
        raise InvalidOption("headers", type(headers).__name__, "must be a mapping of strings to strings")
    copy = paired("headers", headers)
    size = 0
    for name, value in copy.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidOption("headers", [name], "names and values must be strings")
        try:
            size += len(name.encode()) + len(value.encode())
        except UnicodeEncodeError:
            raise InvalidOption("headers", [name], "has a lone surrogate, which no encoding can carry") from None
    if size > LARGEST_HEADERS:
        raise InvalidOption("headers", sorted(copy), f"take {size} bytes, and {LARGEST_HEADERS} is the most")
    return MappingProxyType(copy) if copy else NO_HEADERS


def _priority(priority: object) -> Priority:
    known = _PRIORITIES.get(str.__str__(priority)) if isinstance(priority, str) else None
    if known is not None:
        return known
    raise InvalidOption("priority", priority, f"must be one of {', '.join(HEAD_STARTS)}")


def _delay(delay: object) -> float | None:
    return max(0.0, check_number("delay", delay, "seconds", least=-math.inf)) or None


def _expiry(expires_after: object) -> float:
    return check_number("expires_after", expires_after, "seconds", above=True, finite=False)


def _require(require: object) -> bool:
    if not isinstance(require, bool):
        raise InvalidOption("require", require, "must be True or False")
    return require


def _checked_by(check: Callable[[object], None]) -> Callable[[object], object]:
    def checked(value: object) -> object:
        check(value)
        return value

    return checked


_CHECKS: Final[Mapping[str, Callable[[object], object]]] = {
    "key": _text("key"),
    "headers": check_headers,
    "id": _text("id"),
    "priority": _priority,
    "delay": _delay,
    "expires_after": _expiry,
    "require": _require,
    "group": _text("group"),
    "attempts": _checked_by(check_attempts),
    "backoff": _checked_by(check_backoff),
    "timeout": _checked_by(check_timeout),
    "quiet": _checked_by(check_quiet),
}

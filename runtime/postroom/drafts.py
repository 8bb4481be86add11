"""Drafts: the event that a call of an emit asks for, checked, before anything is decided about it."""

import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from .checks import check_number
from .delivery import Delivery
from .errors import CausationTooDeep, InvalidOption
from .event import LONGEST_TRAIL, NO_HEADERS, Event, Origin
from .event_types import Emitted, declaration_of
from .names import tokens_of_name
from .options import EmitOptions, check_headers, checked, with_own
from .portable import portable_copy

_RARE: Final = frozenset({"priority", "delay", "expires_after", "attempts", "backoff", "timeout", "quiet"})
"""Options of which most emits have none."""

run_in_hand: Final[ContextVar[Event | None]] = ContextVar("postroom run", default=None)
"""The run of a workflow whose step runs here, as the cause of what it emits: by its id, under its workflow's name."""


def event_of(
    name: Emitted, data: Any, options: EmitOptions, new_id: Callable[[], str], now: float, portable: bool
) -> tuple[Event, bool]:
    """Make the event that would be accepted `now`, if nothing has caused it; and whether its user chose its id.

    Raises:
        InvalidName, InvalidOption, InvalidPayload: it can't be.
        NotPortable: with `portable`, no store could keep its data.
    """
    time, declared = now, None
    if name.__class__ is not str:
        if isinstance(name, Event):
            if data is not None:
                raise InvalidOption("data", data, "comes with the Event; emit either an Event or a name with data")
            draft = name
            if draft.accepted_at is None and draft.time is not None:  # one that was accepted before is a new event
                time = draft.time
                check_number("time", time, "seconds", least=-math.inf)
            name, data, options = draft.name, draft.data, with_own(draft, options)
            declared = declaration_of(type(data))
            if declared is not None and declared.name != name:
                declared = None  # by another name it is plain data
        else:
            declared = declaration_of(type(name))
            if declared is not None:
                if data is not None:
                    raise InvalidOption("data", data, "comes with a typed event; emit either that or a name with data")
                name, data = declared.name, name
        if declared is not None:
            declared.check(data)
    if portable:
        data = portable_copy(data)
    if name.__class__ is not str:
        tokens_of_name(name)
        assert isinstance(name, str), "as just checked"
        name = str.__str__(name)  # the text of a subclass, such as a member of an enumeration
    chosen = checked(options) if options else options
    chosen_id = chosen.get("id")
    headers = chosen.get("headers") or NO_HEADERS
    if declared is not None:
        headers = declared.headers_with(headers)
        if declared.headers:  # which may be what they have too many of
            headers = check_headers(headers)
    key, id = chosen.get("key"), chosen_id or new_id()
    if _RARE.isdisjoint(chosen):
        return Event(name, data, key, headers, id, time, now), chosen_id is not None  # pyright: ignore[reportArgumentType] - a str by now
    event = Event(
        name,  # pyright: ignore[reportArgumentType] - a str by now
        data,
        key,
        headers,
        id,
        time,
        now,
        chosen.get("priority") or ("lowest" if chosen.get("quiet") else "default"),
        chosen.get("delay"),
        chosen.get("expires_after"),
        chosen.get("attempts"),
        chosen.get("backoff"),
        chosen.get("timeout"),
        chosen.get("quiet"),
    )
    return event, chosen_id is not None


def caused(event: Event, cause: Event, deepest: int) -> Event:
    """`event` with its cause named. A delayed one begins a new chain: a job that plans its next run is no loop.

    Raises:
        CausationTooDeep: the chain would get longer than `deepest`.
    """
    depth = 0 if event.delay is not None else cause.depth + 1
    trail = () if depth == 0 else (*cause.trail[1 - LONGEST_TRAIL :], cause.name)
    if depth > deepest:
        raise CausationTooDeep(event.name, depth, cause.id, (*trail, event.name))
    return msgspec.structs.replace(event, origin=Origin(cause.id, depth, trail))


def event_in_hand(message: object) -> Event | None:
    """The event that is being handled; of a batch the one that ends the longest chain of causes."""
    if isinstance(message, Delivery):
        return message.event
    if isinstance(message, list):
        return max((delivery.event for delivery in message), key=lambda event: event.depth, default=None)
    return None

"""`postroom emit` and `postroom tail`: one event in, and all that match out."""

import json as json_module
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from ...names import tokens_of_pattern
from ...quoting import told
from ..output import Output, as_json, without_secrets
from ..statuses import DONE, NOT_DONE, Refused
from ..targets import NOWHERE, Where, ask, open_target, run_waiting

MOST_READ = 16 * 1024 * 1024


def emit(
    name: str,
    data: Annotated[str, Parameter(allow_leading_hyphen=True)] = "null",
    /,
    *,
    key: str | None = None,
    header: Annotated[Sequence[str], Parameter(name=["--header", "-H"], negative=())] = (),
    id: str | None = None,
    delay: float | None = None,
    priority: Literal["critical", "high", "default", "low", "lowest"] | None = None,
    require: Annotated[bool, Parameter(negative=())] = False,
    wait: float | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    where: Where = NOWHERE,
) -> int:
    """Emit one event.

    Args:
        name: Such as order.placed.
        data: Its data as JSON, @FILE for a file of it, or - for standard input.
        key: Events of one key are handled in order.
        header: NAME=VALUE, as often as needed.
        id: Emitting it again under this id is harmless.
        delay: Seconds until it is due.
        priority: Its head start.
        require: Refuse it where nobody subscribes to it.
        wait: Seconds to wait for its outcomes; status 1 unless all of them are there and have succeeded.
        json: One object for programs.
    """
    if wait is not None and not 0 <= wait < float("inf"):
        raise Refused("--wait takes seconds")
    answer = ask(
        where,
        "emit",
        name=name,
        data=_data_of(data),
        key=key,
        headers=_headers_of(header),
        id=id,
        delay=delay,
        priority=priority,
        require=require,
        wait=wait,
    )
    return show_outcomes(Output(json), answer, waited=wait is not None)


def show_outcomes(out: Output, answer: Any, *, waited: bool) -> int:
    """Show what has become of an event; returns the exit status."""
    good = not waited or (answer["settled"] and answer["succeeded"])
    if out.json:
        out.value(answer)
    else:
        out.line(f"accepted as {answer['id']}")
        for each in answer["outcomes"] or ():
            detail = as_json(without_secrets(each["value"])) if "value" in each else each["reason"]
            out.line(f"{each['subscription']}: {each['outcome']} after {each['attempts']} attempt(s): {detail}")
        if waited and not answer["settled"]:
            out.line("not settled in time")
    return DONE if good else NOT_DONE


def _data_of(text: str) -> Any:
    try:
        if text == "-":
            text = sys.stdin.read(MOST_READ)
        elif text.startswith("@"):
            with open(text[1:], encoding="utf-8") as file:
                text = file.read(MOST_READ)
        return msgspec.json.decode(text)
    except OSError as error:
        raise Refused(f"the data can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Refused(f"the data is no JSON: {told(error)}. A text has quotes: '\"text\"'") from error


def _headers_of(given: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise Refused("--header takes NAME=VALUE")
        headers[name] = value
    return headers


def tail(
    pattern: str = "**",
    /,
    *,
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None,
    reveal: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    where: Where = NOWHERE,
) -> int:
    """Show events as they are accepted, from now on, until Ctrl-C.

    A subscription is made for it and removed at the end; beyond 1,000 events that wait for the terminal the oldest are
    dropped. An emitter that awaits its receipt awaits this subscription, too.

    Args:
        pattern: Such as 'order.**'; in quotes, since shells know stars as well.
        count: End after so many.
        reveal: Show what looks like a secret.
        json: One object a line for programs.
    """
    tokens_of_pattern(pattern)
    out = Output(json)

    async def body() -> None:
        async with open_target(where) as target, target.tail(pattern) as events:
            seen = 0
            if count == 0:
                return
            async for event in events:
                _show(out, event, reveal=reveal)
                seen += 1
                if seen == count:
                    return

    return run_waiting(body)


def _show(out: Output, event: Any, *, reveal: bool) -> None:
    if out.json:
        out.value(event, reveal=reveal)
        return
    shown = event if reveal else without_secrets(event)
    key = "" if shown["key"] is None else f" key={shown['key']}"
    headers = f" {json_module.dumps(shown['headers'])}" if shown["headers"] else ""
    out.line(f"{time_of(shown['accepted_at'])} {shown['name']} {shown['id']}{key}{headers} {as_json(shown['data'])}")


def time_of(seconds: float | None) -> str:
    """A moment, for people, in UTC."""
    from datetime import UTC, datetime

    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def register(app: App) -> None:
    """Add the commands."""
    app.command(emit)
    app.command(tail)

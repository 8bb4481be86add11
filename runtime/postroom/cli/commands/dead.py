"""`postroom dead`: look at what was given up on, and try again or let go."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from ..output import Column, Output, as_json, without_secrets
from ..statuses import DONE
from ..targets import NOWHERE, Where, ask
from .events import show_outcomes, time_of

COLUMNS = (
    Column("id", is_whole=True),
    Column("time (UTC)", is_whole=True),
    Column("subscription"),
    Column("event"),
    Column("attempts", is_number=True),
    Column("reason"),
)


def show_list(
    *,
    subscription: str | None = None,
    after: str | None = None,
    limit: int = 100,
    json: Annotated[bool, Parameter(negative=())] = False,
    where: Where = NOWHERE,
) -> int:
    """List dead letters, oldest first.

    Args:
        subscription: Only those of this one.
        after: Only those after the letter with this id: for the next page.
        limit: At most so many.
        json: One object a line for programs.
    """
    out = Output(json)
    found = ask(where, "letters", subscription=subscription, after=after, limit=limit)
    if json:
        for each in found:
            out.value(each)
        return DONE
    rows = [
        (
            each["id"],
            time_of(each["time"]),
            each["subscription"],
            each["event"]["name"],
            each["attempts"],
            each["reason"],
        )
        for each in found
    ]
    out.table(COLUMNS, rows, "no dead letters")
    if len(found) == limit:
        out.line(f"there may be more: --after {found[-1]['id']}")
    return DONE


def show(
    id: str,
    /,
    *,
    reveal: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    where: Where = NOWHERE,
) -> int:
    """Show one dead letter, with its event and its traceback.

    Args:
        id: Of the letter.
        reveal: Show what looks like a secret.
        json: One object for programs.
    """
    letter: Any = ask(where, "letter", id=id)
    out = Output(json)
    if json:
        out.value(letter, reveal=reveal)
        return DONE
    if not reveal:
        letter = without_secrets(letter)
    event = letter["event"]
    for name, value in (
        ("letter", letter["id"]),
        ("given up", f"{time_of(letter['time'])} UTC, after {letter['attempts']} attempt(s)"),
        ("subscription", letter["subscription"]),
        ("reason", letter["reason"]),
        ("event", f"{event['name']} {event['id']}"),
        ("accepted", f"{time_of(event['accepted_at'])} UTC"),
        ("key", event["key"] or "-"),
        ("cause", event["cause"] or "-"),
        ("headers", as_json(event["headers"])),
        ("data", as_json(event["data"])),
        ("raw", letter["raw"]),
    ):
        if value is not None:
            out.line(f"{name + ':':<14}{value}")
    for line in letter["traceback"].splitlines():
        out.line(f"  {line}")
    return DONE


def replay(
    id: str,
    /,
    *,
    wait: float | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    where: Where = NOWHERE,
) -> int:
    """Deliver it once more, as a new delivery, and forget the letter.

    Args:
        id: Of the letter.
        wait: Seconds to wait for the outcome; status 1 unless it is there and is a success.
        json: One object for programs.
    """
    return show_outcomes(Output(json), ask(where, "replay", id=id, wait=wait), waited=wait is not None)


def discard(id: str, /, *, json: Annotated[bool, Parameter(negative=())] = False, where: Where = NOWHERE) -> int:
    """Forget a letter.

    Args:
        id: Of the letter.
        json: One object for programs.
    """
    answer, out = ask(where, "discard", id=id), Output(json)
    if json:
        out.value(answer)
    else:
        out.line(f"discarded {id}")
    return DONE


def register(app: App) -> None:
    """Add the commands."""
    dead = App("dead", help="Dead letters: deliveries that were given up on.")
    dead.command(show_list, name="list")
    dead.command(show)
    dead.command(replay)
    dead.command(discard)
    app.command(dead)

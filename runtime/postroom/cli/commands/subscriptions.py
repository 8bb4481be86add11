"""`postroom subscriptions`: what is registered, and pausing and removing it."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from ..output import Column, Output
from ..statuses import DONE
from ..targets import NOWHERE, Where, ask

COLUMNS = (
    Column("subscription"),
    Column("patterns"),
    Column("waiting", True),
    Column("delayed", True),
    Column("in hand", True),
    Column("dead", True),
    Column("served by", True),
    Column("paused"),
)

Json = Annotated[bool, Parameter(negative=())]


def show_list(*, json: Json = False, where: Where = NOWHERE) -> int:
    """List the subscriptions, with what waits for each.

    Args:
        json: One object a line for programs.
    """
    found, out = ask(where, "subscriptions"), Output(json)
    if json:
        for each in found:
            out.value(each)
    else:
        out.table(COLUMNS, [_row(each) for each in found], "no subscriptions")
    return DONE


def _row(each: Any) -> tuple[object, ...]:
    return (
        each["name"],
        each["patterns"],
        each["waiting"],
        each["delayed"],
        each["in_hand"],
        each["dead"],
        len(each["served_by"]),
        "paused" if each["paused"] else "",
    )


def pause(name: str, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Have no process begin with anything of this subscription, until it is resumed.

    Args:
        name: Of the subscription.
        json: One object for programs.
    """
    return _told(Output(json), ask(where, "pause", name=name), f"paused {name}")


def resume(name: str, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Undo a pause.

    Args:
        name: Of the subscription.
        json: One object for programs.
    """
    return _told(Output(json), ask(where, "resume", name=name), f"resumed {name}")


def remove(name: str, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Forget a subscription that no process serves, and what waits for it.

    Args:
        name: Of the subscription.
        json: One object for programs.
    """
    answer = ask(where, "remove", name=name)
    return _told(Output(json), answer, f"removed {name}; {answer['cancelled']} deliveries that waited are cancelled")


def _told(out: Output, answer: Any, text: str) -> int:
    if out.json:
        out.value(answer)
    else:
        out.line(text)
    return DONE


def register(app: App) -> None:
    """Add the commands."""
    subscriptions = App("subscriptions", help="Subscriptions, as the store or the process knows them.")
    subscriptions.command(show_list, name="list")
    subscriptions.command(pause)
    subscriptions.command(resume)
    subscriptions.command(remove)
    app.command(subscriptions)

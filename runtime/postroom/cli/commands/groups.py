"""`postroom groups`: see, let go, or drop, what was staged together."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ..output import Column, Output
from ..statuses import DONE
from ..targets import NOWHERE, Where, ask

Json = Annotated[bool, Parameter(negative=())]


COLUMNS = (Column("group", is_whole=True), Column("events", True), Column("dropped in", True))


def show_list(
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """List the groups in which something is staged, those first that are dropped first.

    Args:
        limit: At most so many.
        json: One object a line for programs.
    """
    found, out = ask(where, "groups", limit=limit), Output(json)
    if json:
        for each in found:
            out.value(each)
        return DONE
    out.table(COLUMNS, [(each["id"], each["events"], _left(each["expires_in"])) for each in found], "nothing is staged")
    if len(found) == limit:
        out.line("there may be more: --limit")
    return DONE


def _left(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:,.0f} s"


def release(id: str, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Accept all events that are staged in a group, in their order.

    Args:
        id: Of the group.
        json: One object for programs.
    """
    answer, out = ask(where, "release", id=id), Output(json)
    if json:
        out.value(answer)
    else:
        out.line(f"released {len(answer['released'])} event(s) of {id}")
    return DONE


def clear(
    id: str,
    /,
    *,
    name: Annotated[Sequence[str], Parameter(negative=())] = (),
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Drop what is staged in a group.

    Args:
        id: Of the group.
        name: Only events of this name, as often as needed.
        json: One object for programs.
    """
    answer, out = ask(where, "clear", id=id, names=list(name) or None), Output(json)
    if json:
        out.value(answer)
    else:
        out.line(f"dropped {answer['cleared']} event(s) of {id}")
    return DONE


def register(app: App) -> None:
    """Add the commands."""
    groups = App("groups", help="Groups of events that go out together, or not at all.")
    groups.command(show_list, name="list")
    groups.command(release)
    groups.command(clear)
    app.command(groups)

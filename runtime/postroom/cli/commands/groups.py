"""`postroom groups`: let go, or drop, what was staged together."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter

from ..output import Output
from ..statuses import DONE
from ..targets import NOWHERE, Where, ask

Json = Annotated[bool, Parameter(negative=())]


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
    groups.command(release)
    groups.command(clear)
    app.command(groups)

"""`postroom check` and `postroom graph`: what a service is wired to."""

from pathlib import Path
from typing import Annotated, Literal

import anyio
import attrs
from cyclopts import App, Parameter

from ..drawing import graph_of, mermaid, svg
from ..loading import load
from ..output import Column, Output, write_file
from ..statuses import DONE, NOT_DONE
from ..wiring import Wiring, wiring_of


def check(app: str, /, *, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Load a service, validate it, and show what is wired to what and what nobody hears.

    Status 1 where an event is declared or emitted that nobody hears.

    Args:
        app: The service, module:attribute.
        json: One object for programs.
    """
    wiring, out = _wiring(app), Output(json)
    if json:
        out.value(attrs.asdict(wiring) | {"unheard": wiring.unheard, "unfed": wiring.unfed})
        return NOT_DONE if wiring.unheard else DONE
    out.line(f"{wiring.app}: {len(wiring.subscriptions)} subscription(s) on {wiring.module}, role {wiring.role}")
    out.line("")
    columns = [Column("subscription"), Column("patterns"), Column("hears"), Column("emits"), Column("handler")]
    rows = [(each.name, each.patterns, each.hears, each.emits, each.handler) for each in wiring.subscriptions]
    out.table(columns, rows, "no subscriptions")
    out.line("")
    columns = [Column("event"), Column("heard by"), Column("emitted by"), Column("declared")]
    out.table(
        columns,
        [(each.name, each.heard_by or "nobody", each.emitted_by, each.declared) for each in wiring.events],
        "no events",
    )
    out.line("")
    for name in wiring.unfed:
        out.line(f"note: no known event reaches {name}: what it hears comes from elsewhere")
    for name in wiring.unheard:
        out.line(f"nobody hears {name}")
    out.line("not all is well" if wiring.unheard else "all is well")
    return NOT_DONE if wiring.unheard else DONE


def graph(
    app: str,
    /,
    *,
    format: Annotated[Literal["mermaid", "svg"], Parameter(name=["--format", "-f"])] = "mermaid",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Draw what a service is wired to, as text for Mermaid or as a picture.

    Args:
        app: The service, module:attribute.
        format: Mermaid, or SVG, which needs no other program.
        output: A file; standard output otherwise.
        json: The nodes and edges as one object, for programs.
    """
    found = graph_of(_wiring(app))
    if json:
        Output(json).value(attrs.asdict(found))
        return
    text = mermaid(found) if format == "mermaid" else svg(found)
    if output is None:
        for line in text.splitlines():
            Output().line(line)
        return
    write_file(output, text)


def _wiring(app: str) -> Wiring:
    loaded = load(app)
    runtime = anyio.run(loaded.make)
    return wiring_of(runtime, app, loaded.module)


def register(app: App) -> None:
    """Add the commands."""
    app.command(check)
    app.command(graph)

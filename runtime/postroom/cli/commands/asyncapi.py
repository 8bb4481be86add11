"""`postroom asyncapi`: the document that describes a service to others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import App, Parameter

from ...observe.asyncapi import asyncapi as document_of
from ..loading import load, load_class
from ..output import Output, as_json, write_file


def asyncapi(
    app: str,
    /,
    *,
    title: str | None = None,
    api_version: str = "1.0.0",
    sends: Annotated[Sequence[str], Parameter(negative=())] = (),
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Describe a service as an AsyncAPI 3 document, in JSON.

    Args:
        app: The service, module:attribute.
        title: Of the service; what stands before the colon otherwise.
        api_version: Of the service.
        sends: An event type that it emits, module:Class, as often as needed.
        output: A file; standard output otherwise.
        json: On one line, for programs.
    """
    loaded = load(app)
    types = [load_class(each) for each in sends]
    runtime = anyio.run(loaded.make)
    document = document_of(runtime, title=title or app.partition(":")[0], version=api_version, sends=types)
    if output is not None:
        write_file(output, f"{as_json(document, indent=None if json else 2)}\n")
    elif json:
        Output(json).value(document, reveal=True)  # it tells the names of fields, and none of their values
    else:
        Output().document(document)


def register(app: App) -> None:
    """Add the command."""
    app.command(asyncapi)

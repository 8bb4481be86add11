"""`postroom run`: a service, until it is told to end."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from .. import logs
from ..fleet import Fleet, command_of, end_with_parent
from ..running import Backend, Wanted, run_process
from ..stopping import Stopping


def run(
    app: str,
    /,
    *,
    role: Literal["both", "emit", "handle"] | None = None,
    processes: Annotated[int, Parameter(validator=Number(gte=1, lte=64))] = 1,
    drain: Annotated[float | None, Parameter(validator=Number(gte=0))] = None,
    backend: Backend = "asyncio",
    control: Path | None = None,
    reload: Annotated[bool, Parameter(negative=())] = False,
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info",
    json: Annotated[bool, Parameter(negative=())] = False,
    worker: Annotated[int, Parameter(show=False)] = 0,
) -> int:
    """Run a service until SIGTERM or Ctrl-C: once to finish what was accepted, twice to end now.

    Args:
        app: The service, module:attribute: a Runtime, or a function (also async) that makes one.
        role: In place of what the runtime says.
        processes: How many; a dead one is replaced. They need a store that processes share.
        drain: Seconds to finish what was accepted, in place of what the runtime says.
        backend: The event loop.
        control: Where to serve a control socket for `postroom top` and others; several processes add .1, .2 and so on.
        reload: Start again when a Python file under this folder changes.
        log_level: What is logged, where the service sets up no logging of its own.
        json: Log one JSON object a line.
    """
    if worker or (processes == 1 and not reload):
        if worker:
            end_with_parent()
        logs.set_up(log_level, json=json)
        if control is not None and processes > 1:
            control = control.with_name(f"{control.name}.{worker}")
        wanted = Wanted(app=app, role=role, drain=drain, backend=backend, control=control, shares=processes > 1)
        return run_process(wanted, Stopping())
    return Fleet(command_of(sys.argv[1:]), processes, Path.cwd() if reload else None).run()


def register(app: App) -> None:
    """Add the command."""
    app.command(run)

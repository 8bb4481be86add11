"""`postroom workflows`: see what they have done, act on those that need it, and try code against their journals."""

import json as decoder
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.lowlevel
from cyclopts import App, Parameter

from ...errors import InvalidOption
from ...quoting import quoted
from ...workflows import Replayed, RunHistory, Workflow, replay_history
from ..loading import load_attribute
from ..output import Column, Output, as_json, without_secrets
from ..statuses import DONE, NOT_DONE, Refused
from ..targets import NOWHERE, Where, ask, run_waiting
from .events import time_of

Json = Annotated[bool, Parameter(negative=())]

COLUMNS = (
    Column("id"),
    Column("workflow"),
    Column("state", is_whole=True),
    Column("in hand", is_whole=True),
    Column("losses", is_number=True),
    Column("begun (UTC)", is_whole=True),
    Column("changed (UTC)", is_whole=True),
)

STEPS = (
    Column("time (UTC)", is_whole=True),
    Column("step"),
    Column("what", is_whole=True),
    Column("attempts", is_number=True),
    Column("reason"),
)


def show_list(
    *,
    workflow: str | None = None,
    state: Annotated[Sequence[str], Parameter(negative=())] = (),
    after: str | None = None,
    limit: int = 100,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """List the runs of workflows that are remembered, by id.

    Args:
        workflow: Only those of this one.
        state: Only those in this state, as often as needed: running, compensating, succeeded, failed, cancelled,
            needs_attention or parked.
        after: Only those after the run with this id: for the next page.
        limit: At most so many.
        json: One object a line for programs.
    """
    out = Output(json)
    found = ask(where, "runs", workflow=workflow, states=list(state) or None, after=after, limit=limit)
    if json:
        for each in found:
            out.value(each)
        return DONE
    rows = [
        (
            each["id"],
            each["workflow"],
            each["state"],
            each["in_hand"],
            each["losses"],
            time_of(each["created_at"]),
            time_of(each["changed_at"]),
        )
        for each in found
    ]
    out.table(COLUMNS, rows, "no workflows")
    if len(found) == limit:
        out.line(f"there may be more: --after {found[-1]['id']}")
    return DONE


def show(
    id: str,
    /,
    *,
    reveal: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Show one run, with its input, its steps and how it ended.

    Args:
        id: Of the run.
        reveal: Show what looks like a secret.
        json: One object for programs.
    """
    run: Any = ask(where, "run", id=id)
    out = Output(json)
    if json:
        out.value(run, reveal=reveal)
        return DONE
    if not reveal:
        run = without_secrets(run)
    ended = run["ended"] or {}
    for name, value in (
        ("run", run["id"]),
        ("workflow", run["workflow"]),
        ("state", run["state"] + (", in hand" if run["in_hand"] else "")),
        ("losses", run["losses"] or None),
        ("begun", f"{time_of(run['created_at'])} UTC"),
        ("changed", f"{time_of(run['changed_at'])} UTC"),
        ("input", as_json(run["input"])),
        ("result", as_json(run["result"]) if run["state"] == "succeeded" else None),
        ("failed by", ended.get("step") or ended.get("type")),
        ("reason", f"{ended['type']}: {ended.get('message', '')}" if ended.get("type") else None),
        ("not undone", ", ".join(run["stuck"]) or None),
        ("journal has", run["journal"]),
        ("code", run["code"]),
    ):
        if value:
            out.line(f"{name + ':':<13}{value}")
    rows = [
        (time_of(each["time"]), each["step"], each["kind"], each["attempt"], each["reason"]) for each in run["steps"]
    ]
    out.table(STEPS, rows, "no step is on record")
    return DONE


def cancel(id: str, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Cancel a run: what it did is undone by a process that knows its workflow, also where it has succeeded.

    Args:
        id: Of the run.
        json: One object for programs.
    """
    answer, out = ask(where, "cancel_run", id=id), Output(json)
    if json:
        out.value(answer)
    else:
        out.line(f"cancelling {id}")
    return DONE


def resume(id: str, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Let a run that needs attention, or is parked, go on.

    Args:
        id: Of the run.
        json: One object for programs.
    """
    answer, out = ask(where, "resume_run", id=id), Output(json)
    if json:
        out.value(answer)
    else:
        out.line(f"resumed {id}")
    return DONE


def export(*ids: str, workflow: str | None = None, json: Json = True, where: Where = NOWHERE) -> int:
    """Print the journals of runs, a line of JSON for each, as they are: with all that their steps were given.

    Args:
        ids: Of the runs; all of them without one.
        workflow: Only the runs of this one.
        json: It is that in any case.
    """
    out = Output(json)
    if ids and workflow is not None:
        raise Refused("give ids, or --workflow")
    after: str | None = None
    while True:
        answer = ask(where, "export_runs", ids=list(ids) or None, workflow=workflow, after=after)
        for line in answer["lines"]:
            out.value(decoder.loads(line), reveal=True)
        after = answer["after"]
        if after is None:
            return DONE


def replay(file: Annotated[str, Parameter(allow_leading_hyphen=True)], /, *workflows: str, json: Json = False) -> int:
    """Run code against journals that were exported, without effects; status 1 unless all of them fit.

    Args:
        file: Of lines that `export` has printed; - for standard input.
        workflows: The code, module:attribute for each workflow. Runs of others are passed over.
        json: One object a line for programs.
    """
    if not workflows:
        raise Refused("which code? Name a workflow, module:attribute, such as `shop.service:checkout`")
    known = {each.name: each for each in map(_load, workflows)}
    out, replayed, skipped = Output(json), list[Replayed](), 0

    async def body() -> int:
        nonlocal skipped
        for history in _histories(file):
            code = known.get(history.workflow)
            if code is None:
                skipped += 1
                continue
            found = await replay_history(code, history)
            replayed.append(found)
            _show_replayed(out, found)
            await anyio.lowlevel.checkpoint()
        return DONE

    if status := run_waiting(body):
        return status
    differing = sum(not each.fits for each in replayed)
    if not json:
        out.line(f"{len(replayed) - differing} fit, {differing} do not; {skipped} of other workflows")
    return DONE if replayed and not differing else NOT_DONE


def _load(name: str) -> Workflow[Any]:
    _, thing = load_attribute(name, "workflow")
    if not isinstance(thing, Workflow):
        raise Refused(f"{quoted(name)} is no workflow, but {quoted(thing)}")
    return thing


def _histories(file: str) -> Iterator[RunHistory]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise Refused(
            f"can't read {quoted(file)}: {error.strerror if isinstance(error, OSError) else error}"
        ) from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield RunHistory.of_line(line)
            except InvalidOption as error:
                raise Refused(f"line {number} of {quoted(file)} {error.reason}") from error


def _show_replayed(out: Output, found: Replayed) -> None:
    if out.json:
        keys = ("id", "workflow", "fits", "journal", "code", "diff")
        out.value({key: getattr(found, key) for key in keys})
    elif not found.fits:
        out.line(f"{found.workflow} {found.id}: the journal has {found.journal} the code {found.code}")
        for line in found.diff:
            out.line(f"  {line}")


def register(app: App) -> None:
    """Add the commands."""
    workflows = App("workflows", help="Workflows: what they have done, and those that need a person.")
    workflows.command(show_list, name="list")
    workflows.command(show)
    workflows.command(cancel)
    workflows.command(resume)
    workflows.command(export)
    workflows.command(replay)
    app.command(workflows)

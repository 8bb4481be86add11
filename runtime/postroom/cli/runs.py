"""What an operator may ask of the workflows of a runtime, with answers that are plain data.

Asking takes no code of the service: a block that knows no workflow takes up none.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import msgspec

from ..runtime import Runtime
from ..workflows import RunHistory, StepChange, Workflows, WorkflowStatus

MOST_EXPORTED: Final = 100
"""Histories in one answer."""


@asynccontextmanager
async def _open(runtime: Runtime) -> AsyncGenerator[Workflows]:
    async with Workflows(runtime, drain_within=0, compensate_within=0) as workflows:
        yield workflows


async def listing(
    runtime: Runtime, *, workflow: str | None, states: Sequence[str] | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """The runs that are remembered."""
    async with _open(runtime) as workflows:
        found = await workflows.list(workflow, states, after=after, limit=limit)
    return [status_as_data(each) for each in found]


async def one(runtime: Runtime, *, id: str) -> dict[str, Any]:
    """A run, with its steps, its input and its result."""
    async with _open(runtime) as workflows:
        status, history = await workflows.status(id), await workflows.history(id)
        written = await workflows.export(id)
    return {
        **status_as_data(status),
        "input": _value(written.input, "value"),
        "result": _value(written.result, "value"),
        "ended": _value(written.result, "undoing"),
        "stuck": _value(written.result, "stuck") or [],
        "journal": _value(written.result, "journal"),
        "code": _value(written.result, "code"),
        "steps": [change_as_data(each) for each in history],
    }


def _value(record: bytes, name: str) -> Any:
    """A field of a record, which may be of another release."""
    try:
        found = msgspec.json.decode(record) if record else {}
    except msgspec.MsgspecError:
        return None
    return found.get(name) if isinstance(found, dict) else None


async def cancel(runtime: Runtime, *, id: str) -> dict[str, Any]:
    """Have a run undone."""
    async with _open(runtime) as workflows:
        await workflows.cancel(id)
    return {"id": id, "cancelling": True}


async def resume(runtime: Runtime, *, id: str) -> dict[str, Any]:
    """Let one that has stopped go on."""
    async with _open(runtime) as workflows:
        await workflows.resume(id)
    return {"id": id, "resumed": True}


async def export(
    runtime: Runtime, *, ids: Sequence[str] | None, workflow: str | None, after: str | None
) -> dict[str, Any]:
    """Histories as lines, of some runs or of the next page of all; and where the page after that begins."""
    async with _open(runtime) as workflows:
        if ids is not None:
            return {"lines": [(await workflows.export(each)).line() for each in ids], "after": None}
        found = await workflows.list(workflow, after=after, limit=MOST_EXPORTED)
        histories: list[RunHistory] = [await workflows.export(each.id) for each in found]
    more = found[-1].id if len(found) == MOST_EXPORTED else None
    return {"lines": [each.line() for each in histories], "after": more}


def status_as_data(status: WorkflowStatus) -> dict[str, Any]:
    """How far a run is."""
    return attrs.asdict(status) | {"state": status.state.value}


def change_as_data(change: StepChange) -> dict[str, Any]:
    """What happened to a step."""
    return attrs.asdict(change)

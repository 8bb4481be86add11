"""The history of a run: what its journal says of its steps."""

from collections.abc import Sequence

from ..journal import Entry
from .changes import StepChange, StepChangeKind
from .records import Done, Failure, Kind, Undone, read


def history_of(entries: Sequence[Entry]) -> list[StepChange]:
    """The steps in a journal, in the order in which they were recorded."""
    history: list[StepChange] = []
    for entry in entries:
        kind: StepChangeKind
        if entry.kind == Kind.STEP:
            done = read(entry.body, Done, "step")
            kind = "skipped" if done.skipped else "finished"
            history.append(StepChange(kind=kind, step=entry.key, time=done.at, attempt=done.attempts))
        elif entry.kind == Kind.FAILED:
            failure = read(entry.body, Failure, "step")
            kind = "interrupted" if failure.interrupted else "failed"
            reason = "" if failure.interrupted else failure.type
            history.append(
                StepChange(kind=kind, step=entry.key, time=failure.at, attempt=failure.attempts, reason=reason)
            )
        elif entry.kind == Kind.COMPENSATED:
            undone = read(entry.body, Undone, "compensation")
            history.append(StepChange(kind="undone", step=entry.key, time=undone.at, attempt=undone.attempts))
    return history

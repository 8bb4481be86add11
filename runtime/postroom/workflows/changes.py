"""What goes on in a run, for whoever watches; and what its history tells afterwards."""

from typing import Literal, TypeAlias

import attrs

StepChangeKind: TypeAlias = Literal[
    "started",
    "finished",
    "skipped",
    "retrying",
    "failed",
    "interrupted",
    "undoing",
    "undone",
    "stuck",
    "over",
]


@attrs.frozen(kw_only=True)
class StepChange:
    """One thing that happened to a step of a run, or with `over` to the run.

    Attributes:
        kind: What it was.
        step: Its path; empty for `over`.
        time: In seconds since the epoch.
        attempt: The number of the attempt, where it is about one; of one that is over, how many there were.
        reason: Why; the class of what was raised, or for `over` the run's state.
    """

    kind: StepChangeKind
    step: str
    time: float
    attempt: int = 0
    reason: str = ""

"""R24: a workflow's process is killed with `kill -9` at every step boundary and in every compensation."""

import itertools
import time
from pathlib import Path
from typing import Final

from tests.processes.child import Child, end_all
from tests.processes.command import BACKENDS
from tests.soak.goal import Goal

from .shopping import EVENTS, STEPS, Books

LEASE: Final = 0.5
OUTCOMES: Final = ("succeeds", "fails")


def workflows(folder: Path, cycles: int, seed: int) -> Goal:
    """For each outcome, kill a process at its first point, its second, and so on, until one ends by itself; or so often
    as there are cycles."""
    start = time.monotonic()
    killed = 0
    broken: list[str] = []
    points: dict[str, int] = {}
    for outcome in OUTCOMES:
        for point in itertools.count(1):
            if point > cycles // len(OUTCOMES):
                break
            was_killed, wrong = _one(folder, outcome, point, BACKENDS[(point + seed) % 2])
            broken += wrong
            if not was_killed:
                break
            killed += 1
        points[outcome] = point - 1
    return Goal(
        name="R24",
        figure=len(broken),
        most=0,
        broken=tuple(broken),
        details={
            "killed": killed,
            **{f"points_{outcome}": count for outcome, count in points.items()},
            "seconds": round(time.monotonic() - start, 1),
            "seed": seed,
        },
    )


def _one(folder: Path, outcome: str, point: int, backend: str) -> tuple[bool, list[str]]:
    """Kill one process at a point, and let another one finish; whether it was killed, and what is wrong then."""
    name = f"{outcome}-{point}"
    path, ledger = folder / f"{name}.db", folder / f"{name}.books"
    children: list[Child] = []

    def begin(deadly: int, on: str) -> int:
        arguments = (path, ledger, on, outcome, deadly, LEASE)
        children.append(Child("tests.crash.shopping", folder, f"{name}-{len(children)}", arguments))
        return children[-1].status()

    try:
        was_killed = begin(point, backend) == -9
        status = begin(0, BACKENDS[1 - BACKENDS.index(backend)]) if was_killed else 0
    finally:
        end_all(children)
    books = Books(ledger)
    done, heard = books.rows("done"), books.rows("heard")
    expected = (sorted(STEPS), sorted(EVENTS)) if outcome == "succeeds" else ([], [])
    wrong = [] if (done, heard) == expected else [f"{name}: the effects are {done} and the events {heard}"]
    if status or (not was_killed and children[0].status()):
        wrong.append(f"{name}: a process that was not killed ended with {children[-1].status()}")
    return was_killed, wrong

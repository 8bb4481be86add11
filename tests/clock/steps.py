"""R20: the wall clock is stepped while events wait for their time, and while two processes keep their leases."""

import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.processes.child import Child, end_all
from tests.processes.command import BACKENDS
from tests.soak.goal import Goal

LEASE: Final = 0.6
STEPS: Final = (3600, -3600, 86400, -86400)
PATIENCE: Final = 5.0
"""Seconds after its time by which an event must have been handled, on a busy machine."""

DELAYED: Final = 4


def clock(folder: Path, cycles: int, seed: int) -> Goal:
    """Step the clock so often, each way in turn; the figure is how many events came early, late, twice or never."""
    start = time.monotonic()
    totals: Counter[str] = Counter()
    for cycle in range(cycles):
        inside = folder / str(cycle)
        inside.mkdir()
        totals += _step(inside, STEPS[cycle % len(STEPS)], BACKENDS[cycle // len(STEPS) % 2])
    wrong = totals["early"] + totals["late"] + totals["lost"] + totals["twice"] + totals["leases"]
    details = {name: totals[name] for name in ("early", "late", "lost", "twice", "leases")}
    return Goal(
        name="R20",
        figure=wrong,
        most=0,
        details={**details, "steps": cycles, "events": DELAYED * cycles, "seconds": round(time.monotonic() - start, 1),
                 "seed": seed},
    )  # fmt: skip


def _step(folder: Path, step: int, backend: str) -> Counter[str]:
    path = folder / "events.db"
    handler = Child("tests.clock.program", folder, "two", (path, backend, LEASE, "handle"))
    children = [handler]
    try:
        handler.wait_for("ready")
        emitter = Child("tests.clock.program", folder, "one", (path, backend, LEASE, "emit"))
        children.append(emitter)
        emitter.wait_for("ready")
        scratch = path.with_suffix(".next")
        scratch.write_text(str(step), encoding="ascii")
        scratch.rename(path.with_suffix(".step"))
        until = time.monotonic() + PATIENCE
        while sum(line.word == "begun" for line in handler.said()) < DELAYED and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)
        path.with_suffix(".stop").touch()
        statuses = [each.status() for each in children]
    finally:
        end_all(children)
    assert statuses == [0, 0], statuses
    begun = [line for line in handler.said() if line.word == "begun"]
    due = {line.what: float(line.more[0]) for line in emitter.said() if line.word == "stored"}
    count = Counter(line.what for line in begun)
    return Counter(
        early=sum(line.time < due[line.what] for line in begun),
        late=sum(line.time > due[line.what] + PATIENCE for line in begun),
        lost=sum(not count[each] for each in due),
        twice=sum(each - 1 for each in count.values()),
        leases=sum(line.more[0] != "0" for line in begun),
    )

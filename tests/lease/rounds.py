"""R19: a handler blocks the event loop for three leases, beside a process that would take over."""

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.processes.child import Child, Said, end_all
from tests.processes.command import BACKENDS
from tests.processes.stores import Places
from tests.soak.goal import Goal

LEASE: Final = 0.6


def blocked(folder: Path, cycles: int, seed: int, places: Places) -> Goal:
    """The blocked process lives: nobody else may run what it has in hand."""
    start = time.monotonic()
    wrong: list[str] = []
    runs = 0
    for cycle in range(cycles):
        said = _beside_each_other(places, folder / f"blocked-{cycle}", BACKENDS[cycle % 2], 3 * LEASE, stop=False)
        runs += said["begun"].total()
        if said["begun"] != {"one.0": 1} or said["ended"] != {"one.0": 1} or said["settled"] != {"one.0": 1}:
            wrong.append(f"it ran, ended and settled {said}")
        if said["log"]["lost"] or said["log"]["refused"]:
            wrong.append("its lease was lost while it lived")
    return _goal("R19 blocked", wrong, cycles, runs, start, seed, places)


def stopped(folder: Path, cycles: int, seed: int, places: Places) -> Goal:
    """The whole process stands still: its lease is lost, the other one runs it, and the late settle is refused."""
    start = time.monotonic()
    wrong: list[str] = []
    runs = 0
    for cycle in range(cycles):
        said = _beside_each_other(places, folder / f"stopped-{cycle}", BACKENDS[cycle % 2], 0.3, stop=True)
        runs += said["begun"].total()
        if said["ended"] != {"one.0": 2} or said["settled"] != {"one.0": 1}:
            wrong.append(f"it ran, ended and settled {said}")
        if not said["log"]["lost"]:
            wrong.append("it did not learn that its lease was lost")
    return _goal("R19 stopped", wrong, cycles, runs, start, seed, places)


def _beside_each_other(
    places: Places, folder: Path, backend: str, block: float, *, stop: bool
) -> dict[str, Counter[str]]:
    """What two processes say in all; the first one has an event in hand."""
    folder.mkdir()
    place, halt = places.place(folder), folder / "stop"
    one = Child("tests.lease.program", folder, "one", (place, backend, LEASE, block, 1, halt))
    children = [one]
    try:
        one.wait_for("begun")
        if stop:
            one.signal(signal.SIGSTOP)
        two = Child("tests.lease.program", folder, "two", (place, backend, LEASE, 0.0, 0, halt))
        children.append(two)
        two.wait_for("ready")
        if stop:
            two.wait_for("ended")
            one.signal(signal.SIGCONT)
        one.wait_for("settled")
        time.sleep(LEASE)
        halt.touch()
        statuses = [each.status() for each in children]
    finally:
        end_all(children)
    lines: list[Said] = [line for child in children for line in child.said()]
    said = {word: Counter(line.what for line in lines if line.word == word) for word in ("begun", "ended", "settled")}
    said["log"] = Counter(line.what for line in lines if line.word == "log")
    assert statuses == [0, 0], statuses
    return said


def _goal(name: str, wrong: list[str], cycles: int, runs: int, start: float, seed: int, places: Places) -> Goal:
    details = {
        "store": "sqlite" if places.server is None else "redis",
        "rounds": cycles,
        "runs": runs,
        "lease": LEASE,
        "seconds": round(time.monotonic() - start, 1),
        "seed": seed,
    }
    return Goal(name=name, figure=len(wrong), most=0, broken=tuple(wrong), details=details)

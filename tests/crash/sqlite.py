"""R6: busy processes on one SQLite file, killed with `kill -9` at random moments."""

import random
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

import apsw

from tests.processes.child import Child, Said, end_all
from tests.processes.command import BACKENDS
from tests.soak.goal import Goal

LEASE: Final = 1.0
SUBSCRIPTIONS: Final = ("ledger", "mail")


def sqlite(folder: Path, cycles: int, seed: int) -> Goal:
    """Kill so many processes, two of which are at work at any time, one on each backend; let a last one finish."""
    path, stop = folder / "events.db", folder / "stop"
    chance = random.Random(seed)
    children: list[Child] = []
    start = time.monotonic()

    def begin() -> Child:
        backend = BACKENDS[len(children) % 2]
        children.append(Child("tests.crash.busy", folder, f"c{len(children)}", (path, backend, LEASE, stop)))
        return children[-1]

    try:
        running = [begin(), begin()]
        for _ in range(cycles):
            victim = running.pop(0)
            victim.wait_for("ready")
            time.sleep(chance.uniform(0.0, 0.2))
            victim.kill()
            running.append(begin())
        stop.touch()
        statuses = [each.status() for each in running]
    finally:
        end_all(children)
    said: dict[str, list[Said]] = defaultdict(list)
    for child in children:
        for line in child.said():
            said[line.word].append(line)
    lost, rerun = lost_in(said), rerun_in(said)
    return Goal(
        name="R6",
        figure=lost + rerun,
        most=0,
        broken=tuple(_broken(path, said, statuses)),
        details={
            "lost": lost,
            "settled_again": rerun,
            "cycles": cycles,
            "stored": len(said["stored"]),
            "runs": len(said["begun"]),
            "settled": len(said["settled"]),
            "seconds": round(time.monotonic() - start, 1),
            "seed": seed,
        },
    )


def lost_in(said: dict[str, list[Said]]) -> int:
    """Deliveries of events whose emit had returned that no handler has finished."""
    ended = {line.what for line in said["ended"]}
    return sum(f"{name}:{line.what}" not in ended for line in said["stored"] for name in SUBSCRIPTIONS)


def rerun_in(said: dict[str, list[Said]]) -> int:
    """Deliveries that began once more after somebody knew that they had succeeded."""
    settled = {line.what: line.time for line in said["settled"]}
    return sum(line.time > settled.get(line.what, line.time) for line in said["begun"])


def _broken(path: Path, said: dict[str, list[Said]], statuses: list[int]) -> list[str]:
    broken = [f"a process that was not killed ended with {status}" for status in statuses if status]
    if said["failed"]:
        broken.append(f"{len(said['failed'])} deliveries failed")
    if not said["settled"]:
        broken.append("nobody heard of a success")
    db = apsw.Connection(str(path))
    if (found := db.pragma("integrity_check")) != "ok":
        broken.append(f"integrity_check: {found}")
    for table in ("events", "waiting", "lent", "letters"):
        if left := db.execute(f"SELECT count(*) FROM {table}").get:
            broken.append(f"{left} rows are left in {table}")
    db.close()
    return broken

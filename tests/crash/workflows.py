"""R24: a workflow's process is killed with `kill -9` at every step boundary and in every compensation."""

import itertools
import time
from pathlib import Path
from typing import Final

import attrs

from tests.processes.child import Child, end_all
from tests.processes.command import BACKENDS
from tests.processes.stores import Places, open_places
from tests.soak.goal import Goal

from .shopping import EVENTS, STEPS, Books

LEASES: Final = {"sqlite": 0.5, "redis": 1.0}
OUTCOMES: Final = ("succeeds", "fails")


def workflows(folder: Path, cycles: int, seed: int, store: str) -> Goal:
    """For each outcome, kill a process at its first point, its second, and so on, until one ends by itself; or so often
    as there are cycles."""
    with open_places(store) as places:
        return _all(Shops(folder, places, LEASES[store]), cycles, seed, store)


def _all(shops: "Shops", cycles: int, seed: int, store: str) -> Goal:
    start = time.monotonic()
    killed = 0
    broken: list[str] = []
    points: dict[str, int] = {}
    for outcome in OUTCOMES:
        for point in itertools.count(1):
            if point > cycles // len(OUTCOMES):
                break
            was_killed, wrong = shops.kill_one(outcome, point, BACKENDS[(point + seed) % 2])
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
            "store": store,
            "killed": killed,
            **{f"points_{outcome}": count for outcome, count in points.items()},
            "seconds": round(time.monotonic() - start, 1),
            "seed": seed,
        },
    )


@attrs.frozen
class Shops:
    """Where processes that are killed, and those that go on for them, have their store and their books."""

    folder: Path
    places: Places
    lease: float

    def kill_one(self, outcome: str, point: int, backend: str) -> tuple[bool, list[str]]:
        """Kill one process at a point, and let another one finish; whether it was killed, and what is wrong then."""
        name = f"{outcome}-{point}"
        own = self.folder / name
        own.mkdir()
        place, ledger = self.places.place(own), own / "books"
        children: list[Child] = []

        def begin(deadly: int, on: str) -> int:
            arguments = (place, ledger, on, outcome, deadly, self.lease)
            children.append(Child("tests.crash.shopping", own, f"{name}-{len(children)}", arguments))
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

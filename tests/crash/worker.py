"""R11: a worker is killed with `kill -9` after its handler has succeeded and before the store has heard of it."""

import random
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.processes.child import Child, Said, end_all
from tests.processes.command import BACKENDS
from tests.processes.stores import open_places
from tests.soak.goal import Goal

LEASE: Final = 0.3
SLOTS: Final = 3
EVENTS: Final = 10


def worker(folder: Path, cycles: int, seed: int, store: str = "sqlite") -> Goal:
    """Let so many workers kill themselves at a settle, one after the other; a last one finishes what is left."""
    chance = random.Random(seed)
    children: list[Child] = []
    statuses: list[int] = []
    start = time.monotonic()
    with open_places(store) as places:
        place = places.place(folder)
        try:
            for cycle in range(cycles + 1):
                is_last = cycle == cycles
                numbers = (SLOTS, 0 if is_last else EVENTS, 0 if is_last else chance.randint(1, 5))
                arguments = (place, BACKENDS[cycle % 2], LEASE, *numbers)
                children.append(Child("tests.crash.settling", folder, f"c{cycle}", arguments))
                statuses.append(children[-1].status())
        finally:
            end_all(children)
    return goal_of([line for child in children for line in child.said()], statuses, cycles, seed, start, store)


def goal_of(said: list[Said], statuses: list[int], cycles: int, seed: int, start: float, store: str) -> Goal:
    """What the lines of all processes show."""
    begun: dict[str, list[Said]] = defaultdict(list)
    ended: dict[str, int] = defaultdict(int)
    for line in said:
        if line.word == "begun":
            begun[line.what].append(line)
        elif line.word == "ended":
            ended[line.what] += 1
    stored = [line.what for line in said if line.word == "stored"]
    lost = sum(not ended[each] for each in stored)
    unmarked = sum(_unmarked(runs) for runs in begun.values())
    again = sum(count - 1 for count in ended.values() if count)
    broken = [] if statuses == [-9] * cycles + [0] else [f"the statuses were {statuses}"]
    if again > cycles * SLOTS:
        broken.append("more than one extra run for each kill and slot")
    details = {
        "store": store,
        "lost": lost,
        "unmarked": unmarked,
        "extra_runs": again,
        "kills": cycles,
        "slots": SLOTS,
        "stored": len(stored),
        "seconds": round(time.monotonic() - start, 1),
        "seed": seed,
    }
    return Goal(name="R11", figure=lost + unmarked, most=0, broken=tuple(broken), details=details)


def _unmarked(runs: list[Said]) -> int:
    """Runs after the first one that don't say that the process of the run before was lost."""
    runs.sort(key=lambda line: line.time)
    wrong = int(runs[0].more[1] != str(int(int(runs[0].more[0]) > 0)))
    for before, after in pairwise(runs):
        losses, redelivered, attempt = (int(each) for each in after.more)
        wrong += not (losses > int(before.more[0]) and redelivered and attempt == 1)
    return wrong

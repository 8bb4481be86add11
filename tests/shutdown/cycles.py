"""R14: programs with busy handlers get SIGTERM at random moments, and every third one gets it twice."""

import random
import re
import signal
import time
from pathlib import Path
from typing import Final

import attrs

from tests.processes.child import Child, end_all
from tests.processes.command import BACKENDS
from tests.processes.stores import Places, left_at, open_places
from tests.soak.goal import Goal

from .through_run import ERRORS

GRACE: Final = 0.3
LONG_GRACE: Final = 20.0
"""Of those that get two signals."""

TOLERANCE: Final = 0.5
HANDLERS: Final = 4
TOGETHER: Final = 2
"""Programs that run at the same time."""

CUT_SHORT: Final = re.compile(r"^postroom: cut short: ledger with order.placed (\S+) in attempt 1$", re.MULTILINE)


@attrs.define
class Found:
    """What one program has shown.

    Attributes:
        late: How long it took, beyond what it may take; seconds, mostly negative.
        wrong: What it did wrong.
    """

    late: float
    wrong: list[str]
    status: int


def shutdown(folder: Path, cycles: int, seed: int, store: str = "sqlite", *, through_run: bool = False) -> Goal:
    """Run and end so many programs; the figure is how many of them were too late or wrong.

    Args:
        through_run: By the command line, `postroom run`.
    """
    with open_places(store) as places:
        return _shutdown(folder, cycles, seed, store, places, through_run)


def _shutdown(folder: Path, cycles: int, seed: int, store: str, places: Places, through_run: bool) -> Goal:
    program = "tests.shutdown.through_run" if through_run else "tests.shutdown.program"
    chance = random.Random(seed)
    found: list[Found] = []
    start = time.monotonic()
    while len(found) < cycles:
        batch: list[tuple[Child, float, bool]] = []
        try:
            for number in range(len(found), min(cycles, len(found) + TOGETHER)):
                twice = number % 3 == 2
                grace, longest = (LONG_GRACE, 15.0) if twice else (GRACE, chance.choice([0.1, 0.5]))
                inside = folder / str(number)
                inside.mkdir()
                arguments = (places.place(inside), BACKENDS[number // 3 % 2], grace, HANDLERS, longest, number)
                child = Child(program, inside, f"c{number}", arguments)
                batch.append((child, chance.uniform(0.0, 0.1), twice))
            found += [_end(*each) for each in batch]
        finally:
            end_all([child for child, _, _ in batch])
    wrong = [each for each in found if each.late > 0 or each.wrong]
    return Goal(
        name="R14 run" if through_run else "R14",
        figure=len(wrong),
        most=0,
        broken=tuple({text for each in found for text in each.wrong}),
        details={
            "store": store,
            "cycles": cycles,
            "latest": f"{max(each.late for each in found) + TOLERANCE:.2f}",
            "unfinished": sum(each.status == 1 for each in found),
            "grace": GRACE,
            "seconds": round(time.monotonic() - start, 1),
            "seed": seed,
        },
    )


def _end(child: Child, after: float, twice: bool) -> Found:
    child.wait_for("ready")
    time.sleep(after)
    child.signal(signal.SIGTERM)
    if twice:
        child.wait_for("stopping")
        time.sleep(after)
        child.signal(signal.SIGTERM)
    sent = time.monotonic()
    status = child.status()
    took = time.monotonic() - sent
    return Found(took - (0.0 if twice else GRACE) - TOLERANCE, _wrong(child, status), status)


def _wrong(child: Child, status: int) -> list[str]:
    """What was settled has ended, what has not ended is in the store, as if nobody had had it, and was listed."""
    said: dict[str, set[str]] = {"begun": set(), "ended": set(), "unfinished": set()}
    for line in child.said():
        said.setdefault(line.word, set()).add(line.what)
    errors = child.folder / ERRORS
    if errors.exists():  # through `postroom run`, which names what it has cut short
        said["unfinished"].update(CUT_SHORT.findall(errors.read_text(encoding="utf-8")))
    wrong: list[str] = []
    if status != int(bool(said["unfinished"])):
        wrong.append(f"the status was {status}")
    if said["unfinished"] != said["begun"] - said["ended"]:
        wrong.append("not all that was cut short was listed")
    left = left_at(str(child.arguments[0]))
    if left.waiting != 3 * HANDLERS - len(said["ended"]):
        wrong.append(f"{len(said['ended'])} of {3 * HANDLERS} have ended, and {left.waiting} are in the store")
    if left.marked or left.lent or left.letters:
        wrong.append(f"{left.marked} are marked as tried or lost, {left.lent} are lent, {left.letters} are dead")
    return wrong

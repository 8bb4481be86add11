"""What postroom costs, beside the event bus that one would write by hand.

Run: make bench ARGS="[--backend NAME] [--only SCENARIO] [--rounds N] [--quick] [--json] [--against PATH]"
Prints: a table for each backend and one of memory; with --json one object instead.
Status: 0 whatever the figures are; 2 for what can't be run. It measures, it judges nobody.

What is measured: the CPU time of the process (all of its threads), in real time, from the first emit until the last
handler has returned; starting and stopping are left out. The floor is the bus of `floor.py`: one memory stream and
one task for each subscriber. Handlers only count, so all that is seen is the way from emit to handler. The two sides
take turns in one process, each in a loop of its own and with the garbage collected before: floor, postroom, floor
again, several rounds of that.

How to read it: `best` is the ratio of the fastest turn of postroom to the fastest of the floor, `median` that of the
rounds' ratios; 0.40 means that postroom needs 0.40 of the floor's CPU time. Where the two differ much, or `noise` (the
floor against itself, the lowest and the highest of the rounds) is far from 1.00, the machine was busy: run again.
Microseconds are those of the fastest turns, for one event or delivery; they only compare within one run.
`first goal` is what the first version was to reach, `goal` what counts; `reached` says "nearly" where only one of
the two ratios is there. The routing scenarios and those with a feature compare postroom with itself.

What nobody uses costs nothing: the scenarios `unused…` emit plain events in a runtime in which other subscriptions
put one feature to use, or all of them at once, beside a runtime in which nobody does.

--against PATH shows what a change costs: PATH is another checkout (`git worktree add PATH COMMIT`), or any folder
with its runtime/ and actors/. This checkout's benchmarks run with the postroom of each, in processes that take turns:
the other one (the floor), this one, and a second process of the other one, which makes the noise.

Memory is what Python has allocated (tracemalloc) for each of many. Of an idle subscriber a bare parked task is
taken off, and its declaration counts; of a queued event the data is left out, and its receipt counts.
"""

import argparse
import json
import logging
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console

from . import checkouts
from .beside import UNUSED
from .checkouts import Checkouts, WorkerFailed, open_checkouts
from .measure import BACKENDS, Comparison, Memory, available_backends, compare, weigh
from .memory import MEMORY
from .scenarios import SCENARIOS
from .show import show_comparisons, show_memory
from .workload import Size

NAMES = [scenario.name for scenario in (*SCENARIOS, *UNUSED)] + [scenario.name for scenario in MEMORY]

ROUNDS = 5
QUICK_ROUNDS = 3
QUICK_PART = 5


@attrs.frozen(kw_only=True)
class Figures:
    """Everything that a run has measured."""

    comparisons: list[Comparison] = attrs.field(factory=list)
    memory: list[Memory] = attrs.field(factory=list)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", choices=tuple(BACKENDS), action="append", help="only this one; may be repeated")
    parser.add_argument("--only", choices=NAMES, action="append", metavar="SCENARIO", help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--against", type=_checkout, metavar="PATH", help="compare with another checkout, not with the hand-written bus"
    )
    parser.add_argument("--rounds", type=_rounds, help=f"rounds of three turns each (default {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="fewer events and rounds: rough, for a first look")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args(arguments)
    if asked.against is not None:
        beside = [name for name in asked.only or () if name not in checkouts.NAMES]
        if beside:
            parser.error(f"--only {beside[0]} can't be compared with another checkout, which may not have the feature")
    return asked


def _checkout(text: str) -> Path:
    path = Path(text).resolve()
    missing = checkouts.missing_in(path)
    if missing is not None:
        raise argparse.ArgumentTypeError(f"{text} is no checkout: it has no {missing}")
    return path


def _rounds(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no number of rounds between 1 and 1000")
    return value


def run(
    backends: Sequence[str],
    only: Sequence[str],
    rounds: int,
    sized: Callable[[Size], Size],
    tell: Callable[[str], None],
    against: Checkouts | None = None,
) -> Figures:
    """Measure the scenarios in `only` on each of `backends`.

    Arguments:
        sized: The size at which to run a scenario that has a given one.
        tell: Told what is about to be measured.
        against: Another checkout to compare with; without, postroom is compared with the hand-written bus.

    Raises:
        WorkerFailed: the other checkout can't be measured.
    """
    figures = Figures()
    compared, weighed = (compare, weigh) if against is None else (against.compare, against.weigh)
    for backend in backends:
        for scenario in SCENARIOS if against is not None else (*SCENARIOS, *UNUSED):
            if scenario.name in only:
                tell(f"{backend}: {scenario.title}")
                figures.comparisons.append(compared(backend, scenario, sized(scenario.size), rounds))
    for memory in MEMORY:
        for backend in backends:
            if memory.name in only:
                tell(f"{backend}: {memory.title}")
                figures.memory.append(weighed(backend, memory, sized(Size(memory.count)).events))
    return figures


def as_json(figures: Figures, rounds: int) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("anyio", "trio", "msgspec", "attrs")},
        "rounds": rounds,
        **attrs.asdict(figures),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    available = available_backends()
    backends = [name for name in BACKENDS if name in (asked.backend or available)]
    missing = [name for name in backends if name not in available]
    if missing:
        print(f"bench: {missing[0]} is not installed", file=sys.stderr)
        return 2
    rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else ROUNDS)
    logging.getLogger("postroom").addHandler(logging.NullHandler())  # what fails, fails on purpose
    sized = _quick if asked.quick else _whole
    try:
        with (
            Console(stderr=True).status("") as status,
            nullcontext() if asked.against is None else open_checkouts(asked.against) as against,
        ):
            figures = run(backends, asked.only or NAMES, rounds, sized, status.update, against)
    except WorkerFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps(as_json(figures, rounds)))
    else:
        console = Console()
        show_comparisons(console, figures.comparisons)
        show_memory(console, figures.memory)
    return 0


def _whole(size: Size) -> Size:
    return size


def _quick(size: Size) -> Size:
    return attrs.evolve(size, events=max(1, size.events // QUICK_PART))


if __name__ == "__main__":
    sys.exit(main())

"""Goal R18: a storm of events that always fail ends in dead letters, and healthy traffic hardly notices it.

Run: python -m tests.poison [--poison 10000] [--rounds 5] [--module local,sqlite] [--backend trio,asyncio] [--load 0.33]
Prints: `GOAL R18 <module> <ratio> PASS|FAIL name=value …` for each module on each backend.
Status: 0 if the goal is reached, 1 if it is not, 2 for what can't be run.

The ratio is that of the 99th percentiles of an acknowledged emit, beside the storm and without it: turns of both kinds
follow each other in one process, and the figure is the median of the rounds' ratios. It may be 2. Each event of the
storm has to be tried three times, and then to be a dead letter, or to be counted where the cap on those in memory let
it go. Healthy traffic takes a third of the time, and the storm as much again; `--load 1` lets it come as fast as it
can, which shows what any subscriber does that never lets the loop rest. The times are real, so the figures need a
machine that is not busy with something else.
"""

import argparse
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import attrs

from postroom import Local
from postroom.modules.sqlite import SqliteModule
from tests.benchmarks.measure import BACKENDS, available_backends
from tests.goals.arguments import names, number, whole_number
from tests.processes.command import report, seed_of
from tests.soak.goal import Goal

from .storm import Plan, Turn, poison_alone, quiet, storm

POISON: Final = 10_000
ROUNDS: Final = 5
MOST_RATIO: Final = 2.0
LOAD: Final = 1 / 3
SECONDS: Final = 1.5
"""Of a turn without a storm."""

FIRST_POISON: Final = 300
"""Of the calibration; where a whole storm has fewer, turns are shorter as well."""

MODULES: Final[dict[str, Callable[[Path], Any]]] = {
    "local": lambda _folder: Local(),
    "sqlite": lambda folder: SqliteModule(folder / "poison.db"),
}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="poison", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--poison", type=whole_number(1, 1_000_000), default=POISON, help=f"events, over all rounds (default {POISON})"
    )
    parser.add_argument("--rounds", type=whole_number(1, 1000), default=ROUNDS, help=f"(default {ROUNDS})")
    parser.add_argument(
        "--module", type=names(MODULES), default=tuple(MODULES), metavar="NAME,…",
        help=f"of {', '.join(MODULES)} (default all)",
    )  # fmt: skip
    parser.add_argument(
        "--backend", type=names(BACKENDS), default=("trio", "asyncio"), metavar="NAME,…",
        help=f"of {', '.join(BACKENDS)} (default trio,asyncio)",
    )  # fmt: skip
    parser.add_argument(
        "--load", type=number(0, 1), default=LOAD, help="the storm's part of the time (default a third)"
    )
    parser.add_argument("--seed", type=int, help="of the order of turns (default: a new one, which is printed)")
    return parser.parse_args(arguments)


@attrs.frozen
class _Stage:
    """Where turns are run: a module of its own for each, on one backend."""

    module: str
    backend: str

    def run(self, kind: Callable[[Any, Plan], Any], plan: Plan) -> Turn:
        library, options = BACKENDS[self.backend]
        with tempfile.TemporaryDirectory() as folder:
            module = MODULES[self.module](Path(folder))
            turn: Turn = anyio.run(partial(kind, module, plan), backend=library, backend_options=options)
        return turn

    def calibrated(self, poison: int, load: float) -> Plan:
        """A plan that suits this machine: what bursts and poison take is measured first, each by itself."""
        first = Plan(poison=min(poison, FIRST_POISON), pace=0, rest=0, seconds=0)
        for _ in range(2):  # the first one warms up
            burst = statistics.median(self.run(quiet, first).taken)
            alone = self.run(poison_alone, first).lasted / first.poison
        # All of a burst start at once, and are served one after the other: half of them have waited for the median.
        seconds = SECONDS * min(1.0, poison / FIRST_POISON)
        return Plan(poison=poison, pace=0 if load == 1 else alone / load, rest=2 * burst / LOAD, seconds=seconds)


def measure(module: str, backend: str, poison: int, rounds: int, load: float, seed: int) -> Goal:
    """Run the rounds of a module on a backend, and judge them."""
    stage = _Stage(module, backend)
    plan = stage.calibrated(-(-poison // rounds), load)
    random = Random(f"{seed} {module} {backend}")
    pairs: list[tuple[Turn, Turn]] = []
    for _ in range(rounds):
        if random.random() < 0.5:
            without = stage.run(quiet, plan)
            pairs.append((without, stage.run(storm, plan)))
        else:
            beside = stage.run(storm, plan)
            pairs.append((stage.run(quiet, plan), beside))
    return _judge(stage, plan, pairs, seed)


def _judge(stage: _Stage, plan: Plan, pairs: Sequence[tuple[Turn, Turn]], seed: int) -> Goal:
    without, beside = zip(*((one.percentile_99, other.percentile_99) for one, other in pairs), strict=True)
    ratios = [figure / base for base, figure in zip(without, beside, strict=True)]
    storms = [each for _, each in pairs]
    return Goal(
        name=f"R18 {stage.module}",
        figure=statistics.median(ratios),
        most=MOST_RATIO,
        broken=tuple(what for each in storms for what in each.wrong(plan.poison)),
        details={
            "unit": "ratio",
            "backend": stage.backend,
            "seed": seed,
            "rounds": f"{min(ratios):.2f}..{max(ratios):.2f}",
            "without": f"{1000 * statistics.median(without):.1f}ms",
            "beside": f"{1000 * statistics.median(beside):.1f}ms",
            "poison": plan.poison * len(pairs),
            "attempts": max(max(each.tries.values(), default=0) for each in storms),
            "letters": sum(each.letters for each in storms),
            "evicted": sum(each.evicted for each in storms),
            "pace": f"{1000 * plan.pace:.2f}ms",
            "healthy": sum(len(each.taken) for each in storms),
        },
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    missing = [name for name in asked.backend if name not in available_backends()]
    if missing:
        print(f"poison: {missing[0]} is not installed", file=sys.stderr)
        return 2
    return report(_all(asked, seed_of(asked)))


def _all(asked: argparse.Namespace, seed: int) -> Iterator[Goal]:
    for backend in asked.backend:
        for module in asked.module:
            yield measure(module, backend, asked.poison, asked.rounds, asked.load, seed)


if __name__ == "__main__":
    # Each attempt fails here on purpose; to tell of each would measure the terminal.
    logging.getLogger("postroom").addHandler(logging.NullHandler())
    sys.exit(main())

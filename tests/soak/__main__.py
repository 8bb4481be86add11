"""What shows only after a while, or only beside many others: memory under overload, and isolation.

Run: python -m tests.soak [--seconds 60] [--only overload,isolation] [--backend trio,asyncio] [--rounds N] [--seed N]
Prints: `GOAL R12 <MB a minute> PASS|FAIL …` for each backend, and `GOAL R15 <variant> <ratio> PASS|FAIL …` for each
backend and each way in which a subscriber may be sick; behind that the seed and what else was measured.
Status: 0 if every goal is reached, 1 if one is not, 2 for what can't be run.

`--seconds` is how long each of the two runs on each backend; to start and to stop comes on top. The times are real, so
the figures need a machine that is not busy with something else.
"""

import argparse
import logging
import secrets
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import anyio

from tests.benchmarks.measure import BACKENDS, available_backends
from tests.goals.arguments import names, number, whole_number

from .goal import Goal
from .isolation import ROUNDS, VARIANTS, calibrated, isolation
from .overload import overload

SUBSCRIBERS: Final = 1000
PARTS: Final = ("overload", "isolation")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=number(0, 86400), default=60.0, help="for each part and backend (default 60)")
    parser.add_argument("--only", type=names(PARTS), default=PARTS, metavar="PART,…", help=f"of {', '.join(PARTS)}")
    parser.add_argument(
        "--backend", type=names(BACKENDS), default=("trio", "asyncio"), metavar="NAME,…",
        help=f"of {', '.join(BACKENDS)} (default trio,asyncio)",
    )  # fmt: skip
    parser.add_argument(
        "--subscribers",
        type=whole_number(2, 100_000),
        default=SUBSCRIBERS,
        help=f"for isolation (default {SUBSCRIBERS})",
    )
    parser.add_argument(
        "--rounds", type=whole_number(2, 100_000), default=ROUNDS, help=f"of isolation (default {ROUNDS})"
    )
    parser.add_argument("--seed", type=int, help="of all that is random (default: a new one, which is printed)")
    return parser.parse_args(arguments)


def run(
    parts: Sequence[str], backends: Sequence[str], seconds: float, subscribers: int, rounds: int, seed: int
) -> Iterator[Goal]:
    """Run the parts on each backend, and give each goal as soon as it is measured."""
    for backend in backends:
        library, options = BACKENDS[backend]
        if "overload" in parts:
            yield anyio.run(overload, seconds, seed, backend, backend=library, backend_options=options)
        if "isolation" in parts:
            plan = calibrated(subscribers - 1, seconds / len(VARIANTS) / rounds / 2, backend)
            for variant in VARIANTS:
                yield isolation(variant, plan, rounds, seed, backend)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    missing = [name for name in asked.backend if name not in available_backends()]
    if missing:
        print(f"soak: {missing[0]} is not installed", file=sys.stderr)
        return 2
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    passed = True
    for goal in run(asked.only, asked.backend, asked.seconds, asked.subscribers, asked.rounds, seed):
        print(goal.line, flush=True)
        passed = passed and goal.passed
    return 0 if passed else 1


if __name__ == "__main__":
    # Thousands of handlers fail here on purpose; to tell of each would measure the terminal.
    logging.getLogger("postroom").addHandler(logging.NullHandler())
    sys.exit(main())

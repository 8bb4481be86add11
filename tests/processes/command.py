"""The command line of a goal that takes cycles: a seed, a number, the backends; and its closing lines."""

import argparse
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.goals.arguments import whole_number
from tests.soak.goal import Goal

from .stores import STORES

BACKENDS = ("trio", "asyncio")


def options(program: str, doc: str | None, cycles: int, *, has_stores: bool = False) -> argparse.ArgumentParser:
    """A parser that knows the options that all have, and on which store, where there is a choice."""
    parser = argparse.ArgumentParser(prog=program, description=(doc or "").partition("\n")[0])
    parser.add_argument(
        "--cycles", type=whole_number(2, 100_000), default=cycles, help=f"(default {cycles}), split over the backends"
    )
    parser.add_argument("--seed", type=int, help="of all that is random (default: a new one, which is printed)")
    if has_stores:
        parser.add_argument("--store", choices=STORES, default=STORES[0], help="which event module")
    return parser


def seed_of(asked: argparse.Namespace) -> int:
    """The seed that was asked for, or a new one."""
    return secrets.randbelow(1_000_000) if asked.seed is None else int(asked.seed)


def report(goals: Iterable[Goal]) -> int:
    """Print each goal as soon as it is known; returns the exit status."""
    passed = True
    for goal in goals:
        print(goal.line, flush=True)
        passed = passed and goal.passed
    return 0 if passed else 1


def main(
    program: str, doc: str | None, cycles: int, run: Callable[[Path, int, int], Goal], arguments: Sequence[str] | None
) -> int:
    """A whole program with one goal; `run` is given a folder, the cycles and the seed."""
    asked = options(program, doc, cycles).parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        return report([run(Path(folder), asked.cycles, seed_of(asked))])

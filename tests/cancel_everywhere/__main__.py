"""Goal R4: a cancellation at every scheduling step of every scenario leaves nothing half done and nothing behind.

Run: python -m tests.cancel_everywhere [--seeds 3] [--backend trio,asyncio] [--victim call,…] [--only NAME,…] [--pairs]
Prints: one line `GOAL R4 <violations> PASS|FAIL name=value …`; above it each run that violates something, with the
command that repeats it. The figure counts such runs.
Status: 0 if there is none, 1 if there is one, 2 for a command line that makes no sense.

A step is what one task does until another one may run. What is cancelled is the call that a scenario is about, or the
runtime's block; or the block ends by itself, or by an error, or the first subscription is stopped. `--pairs` cancels
the call, and then the block after each number of steps more, in the scenarios of fewest steps.
"""

import argparse
import logging
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tests.goals.arguments import names, whole_number
from tests.simulation.schedules import BACKENDS

from .case import Case, Verdict
from .one_run import run_case
from .scenarios import SCENARIOS, WITH_THREADS
from .sweep import sweep, sweep_pairs
from .world import VICTIMS

SEEDS: Final = 3
SHORTEST: Final = 5
MOST_SHOWN: Final = 20


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="cancel_everywhere", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--seeds", type=whole_number(1, 100_000), default=SEEDS, help=f"schedules of each sweep (default {SEEDS})"
    )
    parser.add_argument("--seed", type=int, help="the first of them (default: a new one, which is printed)")
    parser.add_argument("--only", type=names(SCENARIOS), default=tuple(SCENARIOS), metavar="NAME,…")
    parser.add_argument("--backend", type=names(BACKENDS), default=BACKENDS, metavar="NAME,…")
    parser.add_argument("--victim", type=names(VICTIMS), default=VICTIMS, metavar="NAME,…")
    parser.add_argument(
        "--step", type=whole_number(0, 1_000_000), help="one run, with the cancellation after this step"
    )
    parser.add_argument(
        "--second", type=whole_number(0, 1_000_000), help="with --step: cancel the block so many steps later"
    )
    parser.add_argument("--pairs", action="store_true", help=f"two cancellations, in the {SHORTEST} shortest scenarios")
    asked = parser.parse_args(arguments)
    if asked.second is not None and asked.step is None:
        parser.error("argument --second: comes with --step")
    if asked.pairs and asked.step is not None:
        parser.error("argument --pairs: runs every step, so --step makes no sense beside it")
    return asked


def cases(asked: argparse.Namespace, seed: int) -> Iterator[Case]:
    """The first case of each sweep."""
    for name in asked.only:
        for library in asked.backend:
            for victim in asked.victim:
                for number in range(asked.seeds):
                    yield Case(scenario=name, library=library, victim=victim, seed=seed + number, step=0)


def runs(asked: argparse.Namespace, seed: int) -> Iterator[tuple[Case, Verdict]]:
    """All runs."""
    for case in cases(asked, seed):
        scenario, threads = SCENARIOS[case.scenario], case.scenario in WITH_THREADS
        if asked.step is not None:
            alone = Case(
                scenario=case.scenario, library=case.library, victim=case.victim, seed=case.seed,
                step=asked.step, second=asked.second,
            )  # fmt: skip
            yield alone, run_case(alone, scenario, threads=threads)
            return
        yield from (sweep_pairs(case, scenario) if asked.pairs else sweep(case, scenario, threads=threads))


def shortest(names: Sequence[str], seed: int) -> list[str]:
    """The scenarios of fewest steps, of those without threads."""

    def steps(name: str) -> int:
        return sum(
            1 for _ in sweep(Case(scenario=name, library="trio", victim="block", seed=seed, step=0), SCENARIOS[name])
        )

    return sorted((name for name in names if name not in WITH_THREADS), key=steps)[:SHORTEST]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    if asked.pairs:
        asked.only, asked.victim = shortest(asked.only, seed), ("call",)
    if asked.step is not None:
        asked.seeds = 1
    started = time.perf_counter()
    count = bad = steps = 0
    for case, verdict in runs(asked, seed):
        count += 1
        steps += verdict.steps
        if verdict.wrong:
            bad += 1
            if bad <= MOST_SHOWN:
                print(f"python -m tests.cancel_everywhere {case.arguments}", *verdict.wrong, sep="\n    ", flush=True)
    print(
        f"GOAL R4{' pairs' if asked.pairs else ''} {bad} {'FAIL' if bad else 'PASS'} runs={count} steps={steps} "
        f"scenarios={len(asked.only)} victims={','.join(asked.victim)} backends={','.join(asked.backend)} "
        f"seeds={asked.seeds} seed={seed} seconds={time.perf_counter() - started:.1f}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    logging.getLogger("postroom").addHandler(logging.NullHandler())  # handlers fail here on purpose
    sys.exit(main())

"""Simulated schedules: whole runtimes under random programs, each held against a plain model at every step.

Run: make simulate ARGS="[--backend both] [--seeds 2000] [--first-seed N] [--require-sometimes]"
     make simulate ARGS="--store …", of several processes on a store that fails
     make simulate ARGS="--check-determinism 50"
     make simulate ARGS="--backend trio --seed 17 [--steps K]", which prints the trace of one seed
Prints: `GOAL R1 <failures> PASS|FAIL …` for each backend, with its first seed and its rate, and `GOAL R1-store` with
    `--store`; `GOAL R2 <differences> …`.
Status: 0 if every goal is reached and a single seed has not failed, 1 if not, 2 for what can't be run.

`--first-seed today` begins at a block of a million seeds that is the day's, so that no two nights run the same.
"""

import argparse
import datetime
import sys
from collections.abc import Sequence
from typing import Final

from . import schedules
from .campaign import LOCAL, STORE, Campaign, Simulator, regressions, run_all, told, versions
from .determinism import differences, digests
from .schedules import BACKENDS, Backend
from .world import MOST_STEPS

SEEDS: Final = 2000
BLOCK: Final = 1_000_000


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="simulation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", action="store_true", help="simulate processes on a store, too, and how it fails")
    parser.add_argument("--backend", choices=("both", *BACKENDS), default="both")
    parser.add_argument("--seeds", type=_count, default=SEEDS, help=f"how many (default {SEEDS})")
    parser.add_argument("--first-seed", type=_first, default=0, help="a number, or `today` (default 0)")
    parser.add_argument("--seed", type=int, help="run this one and print its trace")
    parser.add_argument("--steps", type=_count, default=MOST_STEPS, help="where to end it")
    parser.add_argument("--require-sometimes", action="store_true", help="fail if a rare situation never came about")
    parser.add_argument("--check-determinism", type=_count, metavar="SEEDS", help="run these again, here and elsewhere")
    parser.add_argument("--digests", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= BLOCK:
        raise argparse.ArgumentTypeError(f"{text} is no number between 1 and {BLOCK}")
    return value


def _first(text: str) -> int:
    if text == "today":
        return datetime.datetime.now(datetime.UTC).date().toordinal() * BLOCK
    return int(text)


def replay(backend: Backend, seed: int, steps: int, simulator: Simulator = LOCAL) -> int:
    """Run one seed and print all of its trace; returns the exit status."""
    with schedules.no_garbage():
        result = simulator.run_seed(seed, backend, most_steps=steps, traced=True)
    print(f"{backend} seed {seed}: {result.steps} steps, digest {result.digest}; {versions()}")
    if result.failure is None:
        print(*result.lines, sep="\n")
        return 0
    print(*told(result, simulator), sep="\n")
    return 1


def campaign(
    backend: Backend, first: int, seeds: int, simulator: Simulator = LOCAL, *, require_sometimes: bool
) -> bool:
    """Run seeds, those that failed once first, and print the goal; returns whether it is reached."""
    old = run_all(backend, regressions(backend, simulator), simulator=simulator)
    new = run_all(backend, range(first, first + seeds), simulator=simulator)
    for each in (*old.failures, *new.failures):
        print(*told(each, simulator), sep="\n", flush=True)
    missing = new.sometimes.missing() if require_sometimes else []
    for situation in missing:
        print(f"{backend}: it never came about that {new.sometimes.situations[situation]} ({situation})")
    passed = not old.failures and not new.failures and not missing
    failures = len(old.failures) + len(new.failures)
    print(f"GOAL {simulator.goal} {_figures(new, failures, first, len(missing), passed=passed)}", flush=True)
    return passed


def _figures(new: Campaign, failures: int, first: int, missing: int, *, passed: bool) -> str:
    verdict = "PASS" if passed else "FAIL"
    details = f"backend={new.backend} seed={first} seeds={new.runs} steps={new.steps} seeds_per_second={new.rate:.0f}"
    all_of_them = len(new.sometimes.situations)
    met = f"situations={all_of_them - len(new.sometimes.missing())}/{all_of_them}"
    return f"{failures} {verdict} {details} {met} never={missing}"


def check_determinism(seeds: int, first: int, backends: Sequence[Backend], simulator: Simulator = LOCAL) -> bool:
    """Print whether seeds do the same again; returns whether they do."""
    different = differences(range(first, first + seeds), backends, simulator)
    verdict = "FAIL" if different else "PASS"
    details = f"seed={first} seeds={seeds} backends={','.join(backends)} simulator={simulator.goal}"
    print(f"GOAL R2 {len(different)} {verdict} {details}", *different)
    return not different


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    backends: Sequence[Backend] = BACKENDS if asked.backend == "both" else (asked.backend,)
    simulator = STORE if asked.store else LOCAL
    if asked.digests:
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        print(*digests(backends[0], seeds, simulator), sep="\n")
        return 0
    if asked.check_determinism is not None:
        return 0 if check_determinism(asked.check_determinism, asked.first_seed, backends, simulator) else 1
    if asked.seed is not None:
        return max(replay(backend, asked.seed, asked.steps, simulator) for backend in backends)
    reached = [
        campaign(backend, asked.first_seed, asked.seeds, simulator, require_sometimes=asked.require_sometimes)
        for backend in backends
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())

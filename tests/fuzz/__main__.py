"""Goal R17: whatever comes in, only postroom's own errors come out, soon and in bounded memory.

Run: python -m tests.fuzz [--inputs 50000] [--seed N] [--only DOOR,…] [--input N]
Prints: one line `GOAL R17 <failures> PASS|FAIL name=value …`; above it each input that something else came out for,
reduced to the arguments that matter, with the command that repeats it.
Status: 0 if there is none, 1 if there is one, 2 for a command line that makes no sense.

Input N of a seed is the same in each run. Each one has 50 ms of CPU time, one of more than 256 KiB that much for each
256 KiB. One in fifty is watched for its memory, of which it may take ten times its own size, and 256 KiB.
"""

import argparse
import logging
import secrets
import sys
import time
from collections.abc import Sequence
from typing import Final

from tests.goals.arguments import names, whole_number

from .inputs import ALL, Failure, run_inputs

MOST_SHOWN: Final = 20


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=whole_number(1, 10**9), default=50_000, help="how many (default 50000)")
    parser.add_argument("--seed", type=int, help="of all that is random (default: a new one, which is printed)")
    parser.add_argument("--only", type=names(ALL), default=tuple(ALL), metavar="DOOR,…", help=f"of {', '.join(ALL)}")
    parser.add_argument("--input", type=whole_number(0, 10**9), help="this one alone")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    numbers = range(asked.inputs) if asked.input is None else range(asked.input, asked.input + 1)
    started = time.perf_counter()
    failures: list[Failure] = []
    slowest = run_inputs(seed, numbers, list(asked.only), failures.append)
    for failure in failures[:MOST_SHOWN]:
        doors = "" if len(asked.only) == len(ALL) else f" --only {','.join(asked.only)!r}"
        print(f"python -m tests.fuzz --seed {seed} --input {failure.number}{doors}\n    {failure.text}")
    print(
        f"GOAL R17 {len(failures)} {'FAIL' if failures else 'PASS'} inputs={len(numbers)} doors={len(asked.only)} "
        f"slowest={slowest * 1000:.1f}ms seed={seed} seconds={time.perf_counter() - started:.1f}"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    logging.getLogger("postroom").addHandler(logging.NullHandler())  # deliveries fail here on purpose
    sys.exit(main())

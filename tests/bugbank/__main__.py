"""The bank of planted bugs: each is put back in memory, and the simulator must find it within 500 seeds.

Run: make bugbank ARGS="[--only NAME,…] [--seeds 500] [--first-seed 1] [--jobs 2] [--limit 120] [--list]"
Prints: a line for each bug, with the first seed that failed and the promise that it broke; then
    `GOAL R3 found <found> of <all> within <seeds> seeds PASS|FAIL …`.
Status: 0 if all of them were found, 1 if one was not, 2 for what can't be run.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import attrs
import msgspec

from .bank import BANK
from .hunting import hunt_all, hunt_here


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="bugbank", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", type=_names, default=list(BANK), help="names, with commas between them")
    parser.add_argument("--seeds", type=int, default=500, help="how many each bug has (default 500)")
    parser.add_argument("--first-seed", type=int, default=1, help="default 1")
    parser.add_argument("--jobs", type=int, default=2, help="hunts beside each other (default 2)")
    parser.add_argument(
        "--limit", type=float, default=120.0, help="seconds after which a bug is not found (default 120)"
    )
    parser.add_argument("--list", action="store_true", help="say which bugs there are, and what they re-introduce")
    parser.add_argument("--here", choices=BANK, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in BANK]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no bug {', '.join(unknown)}; --list says which there are")
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    if asked.list:
        for name in asked.only:
            bug = BANK[name]
            print(f"{name}: {bug.mistake}\n    {bug.where}")
        return 0
    if asked.here is not None:
        print(msgspec.json.encode(attrs.asdict(hunt_here(BANK[asked.here], asked.first_seed, asked.seeds))).decode())
        return 0
    started = time.monotonic()
    caught = hunt_all(asked.only, asked.first_seed, asked.seeds, asked.limit, asked.jobs)
    found = sum(catch.seed is not None for catch in caught)
    verdict = "PASS" if found == len(asked.only) else "FAIL"
    print(
        f"GOAL R3 found {found} of {len(asked.only)} within {asked.seeds} seeds {verdict} "
        f"seed={asked.first_seed} seconds={time.monotonic() - started:.0f}"
    )
    return 0 if found == len(asked.only) else 1


if __name__ == "__main__":
    sys.exit(main())

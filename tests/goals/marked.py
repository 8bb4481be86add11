"""Goals that are tests with a mark: S2 (`limits`), R10 (`redis_errors`) and R21 (`supervision`).

Run: python -m tests.goals.marked S2 [R21 …]
Prints: `GOAL S2 <tests that failed> PASS|FAIL mark=limits passed=N` for each; above it what pytest says of failures.
Status: 0 if all have passed, 1 if one has failed or there is none, 2 for a command line that makes no sense.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Final

from .lanes import run

MARKS: Final = {"R10": "redis_errors", "R21": "supervision", "S2": "limits"}


def marked(goal: str) -> bool:
    """Run the tests of a goal and print it; returns whether it is reached."""
    mark = MARKS[goal]
    done = run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", mark, "tests"])
    last = done.output.strip().rpartition("\n")[2]
    passed, failed, errors = (_number_of(word, last) for word in ("passed", "failed", "errors?"))
    reached = done.status == 0 and passed > 0
    if not reached:
        print(done.output)
    print(f"GOAL {goal} {failed + errors} {'PASS' if reached else 'FAIL'} mark={mark} passed={passed}", flush=True)
    return reached


def _number_of(word: str, line: str) -> int:
    found = re.search(rf"(\d+) {word}\b", line)
    return int(found[1]) if found else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="marked", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("goals", nargs="+", choices=tuple(MARKS))
    asked = parser.parse_args(arguments)
    reached = [marked(goal) for goal in asked.goals]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())

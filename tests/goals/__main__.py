"""All goals in one run: those that each change has to reach, or the larger set of a night.

Run: python -m tests.goals [--nightly] [--only R4,R18] [--lanes 2] [--list]
Prints: what each program prints, in one piece when it has ended: its `GOAL …` lines, and above them what went wrong;
behind that `GOALS <goals missed> PASS|FAIL name=value …`.
Status: 0 if every goal is reached, 1 if one is not or a program could not run, 2 for what makes no sense.

What counts or compares runs beside each other, one program a lane. What measures times runs after that, alone.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from .arguments import whole_number
from .lanes import Done, run_beside
from .programs import CHANGE, NIGHT, Program


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="goals", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nightly", action="store_true", help="the larger set, of about an hour")
    parser.add_argument("--only", metavar="ID,…", help="these goals, such as R4,S1")
    parser.add_argument(
        "--lanes", type=whole_number(1, 64), default=2, help="programs at a time (default 2, one a core)"
    )
    parser.add_argument("--list", action="store_true", help="print the commands, and run nothing")
    asked = parser.parse_args(arguments)
    asked.programs = NIGHT if asked.nightly else CHANGE
    if asked.only is not None:
        wanted = asked.only.split(",")
        known = {goal.split()[0] for program in asked.programs for goal in program.goals}
        for goal in wanted:
            if goal not in known:
                parser.error(f"argument --only: {goal!r} is none of {', '.join(sorted(known))}")
        asked.programs = [each for each in asked.programs if any(goal.split()[0] in wanted for goal in each.goals)]
    return asked


def tell(done: Done) -> None:
    """Print what a program has printed."""
    goals = [line for line in done.output.splitlines() if line.startswith("GOAL ")]
    if done.status or not goals:
        print(f"python {' '.join(done.arguments)} ended with status {done.status}:")
    print(done.output, end="", flush=True)


def run_all(programs: Sequence[Program], lanes: int) -> list[Done]:
    """Run all: first those that may run beside others."""
    beside = [each.arguments for each in programs if not each.alone]
    alone = [each.arguments for each in programs if each.alone]
    return [*run_beside(beside, lanes, tell), *run_beside(alone, 1, tell)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    if asked.list:
        for program in asked.programs:
            print(f"{' '.join(program.goals)}: python {' '.join(program.arguments)}")
        return 0
    started = time.perf_counter()
    ended = run_all(asked.programs, asked.lanes)
    lines = [line for done in ended for line in done.output.splitlines() if line.startswith("GOAL ")]
    missed = sum(done.status != 0 for done in ended)
    print(
        f"GOALS {missed} {'FAIL' if missed else 'PASS'} programs={len(ended)} lines={len(lines)} "
        f"seconds={time.perf_counter() - started:.0f}"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

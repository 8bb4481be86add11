"""A fault at every n-th call of a store: the first one fails, then the second, and so on until none does.

Run: python -m tests.fault_everywhere [--scenario NAME,…] [--backend trio,asyncio] [--faults busy,…] [--show]
Prints: `GOAL R5 <runs that went wrong> PASS|FAIL runs=… …`, and before it each run that went wrong.
Status: 0 if all of them keep what was promised, 1 if one does not, 2 for a command line that makes no sense.
"""

import argparse
import logging
import sys
import time
import traceback
from collections.abc import Sequence

from postroom.testing.faults import Fault
from postroom.testing.faults.plan import ERRORS
from tests.goals.arguments import names
from tests.simulation.schedules import BACKENDS

from .scenarios import SCENARIOS
from .sweep import sweep

MOST_SHOWN = 20

FAULTS = tuple(Fault)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="fault_everywhere", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--scenario",
        type=names(SCENARIOS),
        default=tuple(SCENARIOS),
        metavar="NAME,…",
        help=f"of {', '.join(SCENARIOS)}",
    )
    parser.add_argument("--backend", type=names(BACKENDS), default=BACKENDS, metavar="NAME,…", help="default both")
    parser.add_argument(
        "--faults", type=names(FAULTS), default=tuple(ERRORS), metavar="KIND,…",
        help=f"of {', '.join(FAULTS)} (default {','.join(ERRORS)})",
    )  # fmt: skip
    parser.add_argument("--show", action="store_true", help="with tracebacks")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all of it; returns the status."""
    chosen = parse(arguments)
    started = time.perf_counter()
    faults = tuple(Fault(name) for name in chosen.faults)
    runs = wrong = 0
    for scenario in chosen.scenario:
        for backend in chosen.backend:
            for attempt, failure in sweep(scenario, backend, faults=faults):
                runs += 1
                if failure is None:
                    continue
                wrong += 1
                if wrong <= MOST_SHOWN:
                    print(f"{attempt}: {type(failure).__name__}: {failure}")
                    if chosen.show:
                        traceback.print_exception(failure)
    seconds = time.perf_counter() - started
    verdict = "FAIL" if wrong else "PASS"
    print(
        f"GOAL R5 {wrong} {verdict} runs={runs} scenarios={','.join(chosen.scenario)} kinds={len(faults)} "
        f"seconds={seconds:.0f}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    logging.getLogger("postroom").setLevel(logging.CRITICAL)
    sys.exit(main())

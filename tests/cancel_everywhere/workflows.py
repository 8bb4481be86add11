"""Goal R4 for workflows: cancelled at every scheduling step, all effects and events are there in the end, or none.

Run: python -m tests.cancel_everywhere.workflows [--seeds 1] [--seed N] [--backend trio,asyncio] [--module NAME,…]
     [--victim NAME,…] [--outcome NAME,…] [--step K]
Prints: one line `GOAL R4 workflows <violations> PASS|FAIL name=value …`; above it each run that violates something,
with the command that repeats it. The figure counts such runs.
Status: 0 if there is none, 1 if there is one, 2 for a command line that makes no sense.

The workflow has steps with compensations, two of them side by side, one nested in another, `flow.emit`, `context.emit`
and the emit step, `flow.sleep` and `flow.wait_for`; it succeeds, or its last step refuses. What is cancelled is the
caller of `workflows.run`, the run by its handle, the blocks of runtime and workflows, or a mere wait for the result.
"""

import argparse
import logging
import secrets
import sys
import time
from collections.abc import Iterator, Sequence

import attrs

from tests.goals.arguments import names, whole_number
from tests.simulation.schedules import BACKENDS

from .one_workflow import MODULES, OUTCOMES, VICTIMS, Case, One, run_one

MOST_SHOWN = 20


def sweep(case: Case) -> Iterator[tuple[Case, One]]:
    """Run `case` with a cancellation after each step in turn, from none on, until it comes too late."""
    while True:
        one = run_one(case)
        yield case, one
        if not one.struck:
            return
        case = attrs.evolve(case, step=case.step + 1)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="cancel_workflows", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--seeds", type=whole_number(1, 100_000), default=1, help="schedules of each sweep (default 1)")
    add("--seed", type=int, help="the first of them (default: a new one, which is printed)")
    add("--outcome", type=names(OUTCOMES), default=OUTCOMES, metavar="NAME,…")
    add("--module", type=names(MODULES), default=MODULES, metavar="NAME,…")
    add("--backend", type=names(BACKENDS), default=BACKENDS, metavar="NAME,…")
    add("--victim", type=names(VICTIMS), default=VICTIMS, metavar="NAME,…")
    add("--step", type=whole_number(0, 1_000_000), help="one run of each, with the cancellation after this step")
    return parser.parse_args(arguments)


def runs(asked: argparse.Namespace, seed: int) -> Iterator[tuple[Case, One]]:
    """All runs."""
    for outcome in asked.outcome:
        for module in asked.module:
            for library in asked.backend:
                for victim in asked.victim:
                    for number in range(asked.seeds):
                        case = Case(
                            outcome=outcome, module=module, library=library, victim=victim, seed=seed + number,
                            step=asked.step or 0,
                        )  # fmt: skip
                        yield from sweep(case) if asked.step is None else [(case, run_one(case))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    started = time.perf_counter()
    count = bad = 0
    for case, one in runs(asked, seed):
        count += 1
        if one.wrong:
            bad += 1
            if bad <= MOST_SHOWN:
                wrong = dict.fromkeys(one.wrong)
                print(f"python -m tests.cancel_everywhere.workflows {case.arguments}", *wrong, sep="\n    ", flush=True)
    print(
        f"GOAL R4 workflows {bad} {'FAIL' if bad else 'PASS'} runs={count} outcomes={','.join(asked.outcome)} "
        f"modules={','.join(asked.module)} victims={','.join(asked.victim)} backends={','.join(asked.backend)} "
        f"seeds={asked.seeds} seed={seed} seconds={time.perf_counter() - started:.1f}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    logging.getLogger("postroom").addHandler(logging.NullHandler())  # workflows fail here on purpose
    sys.exit(main())

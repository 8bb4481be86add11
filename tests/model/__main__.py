"""Random programs on every event module and on a model, which must come out the same.

Run: python -m tests.model [--examples 200] [--seed N] [--module local|reference|sqlite|redis] [--backend trio|asyncio]
Prints: `GOAL R16 <modules and backends that differ from the model> PASS|FAIL …`; of one that differs the smallest
program that shows it, before that.
Status: 0 if the goal is reached, 1 if not, 2 for what can't be run.

A program is 40 commands. Each is run on each module, which has a fresh store, and on each backend; in real time where
the module is SQLite or Redis, in virtual time where it is not.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, given, seed, settings

from tests.processes.command import report
from tests.soak.goal import Goal

from .commands import STEPS, Program, programs
from .modules import BACKENDS, MODULES, Backend, ModuleName, Stage, open_stage


def differs(stage: Stage, module: ModuleName, backend: Backend, examples: int, number: int) -> str | None:
    """Run so many programs; what the smallest one shows that does not come out the same."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(program=programs)
    def run(program: Program) -> None:
        stage.run(module, backend, program)

    try:
        run()
    except Exception as error:
        return "\n".join([*getattr(error, "__notes__", ()), f"{type(error).__name__}: {error}"])
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=200, help="programs for each module and backend (default 200)")
    parser.add_argument("--seed", type=int, help="of all that is random (default: a new one, which is printed)")
    parser.add_argument("--module", choices=MODULES, action="append", help="only this one; may be repeated")
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="only this one; may be repeated")
    asked = parser.parse_args(arguments)
    if asked.examples < 1:
        parser.error("--examples is at least 1")
    number = secrets.randbelow(1_000_000) if asked.seed is None else int(asked.seed)
    start = time.monotonic()
    wrong: list[str] = []
    with open_stage() as stage:
        for module in asked.module or MODULES:
            for backend in asked.backend or BACKENDS:
                shown = differs(stage, module, backend, asked.examples, number)
                if shown is not None:
                    print(f"{module} on {backend}:\n{shown}", flush=True)
                    wrong.append(f"{module}/{backend}")
    details = {
        "examples": asked.examples,
        "steps": STEPS,
        "modules": ",".join(asked.module or MODULES),
        "backends": ",".join(asked.backend or BACKENDS),
        "seconds": round(time.monotonic() - start, 1),
        "seed": number,
    }
    return report([Goal(name="R16", figure=len(wrong), most=0, broken=tuple(wrong), details=details)])


if __name__ == "__main__":
    sys.exit(main())

"""Goal R22: every line and every branch of the core is taken by some test.

Run: python -m tests.branches [--seeds 100] [--only PATH,…]
Prints: what was never taken, a file a line, and `GOAL R22 <percent> PASS|FAIL name=value …`.
Status: 0 if it is 100 percent, 1 if it is less or a test has failed, 2 for a command line that makes no sense.

What the core is says `[tool.coverage.run]` in pyproject.toml. The tests run in two processes beside each other, and
some seeds of the simulator with them.

It takes Python 3.12 or newer: until 3.11 the trace function hears of more returns than calls where a cancellation is
thrown into a coroutine, and the functions that run an event loop lose the lines behind it.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.goals.arguments import whole_number
from tests.goals.lanes import Done, run, run_beside

ROOT: Final = Path(__file__).parent.parent.parent
SEEDS: Final = 100

MEMORY: Final = "tests/workflows/test_many.py::test_many_workflows_side_by_side_take_a_bounded_memory"
"""Coverage keeps notes in the memory that it measures."""

SUITES: Final = (
    ("tests/cli",),
    ("tests/integrations", "tests/workflows", "tests/observe", f"--deselect={MEMORY}"),
    ("tests/runtime", "tests/actors"),
    ("tests/promises", "tests/testing", "tests/docs", "tests/examples/test_journal_module.py"),
    ("tests/attacks", "tests/carrying", "tests/conformance/test_modules.py", "tests/conformance/test_sqlite.py"),
    ("tests/cancel_everywhere", "tests/fault_everywhere", "tests/fuzz", "tests/modules/sqlite"),
)
"""Folders whose tests run in one process each."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="branches", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--seeds", type=whole_number(1, 1_000_000), default=SEEDS, help=f"of the simulator, on each backend ({SEEDS})"
    )
    parser.add_argument("--only", type=_paths, metavar="PATH,…", help="these tests, and no seeds")
    return parser.parse_args(arguments)


def _paths(text: str) -> list[str]:
    paths = text.split(",")
    for path in paths:
        if not (ROOT / path).exists():
            raise argparse.ArgumentTypeError(f"there is no {path}")
    return paths


def programs(seeds: int, only: Sequence[str] | None) -> list[list[str]]:
    """What runs under coverage."""
    under = ["-m", "coverage", "run", "-m"]
    if only is not None:
        return [[*under, "pytest", "-q", *only]]
    suites = [[*under, "pytest", "-q", *folders] for folders in SUITES]
    return [*suites, [*under, "tests.simulation", "--seeds", str(seeds)]]


def measure(seeds: int, only: Sequence[str] | None) -> tuple[dict[str, Any], list[Done]]:
    """Coverage's report as it writes JSON, and the programs that failed."""
    shutil.rmtree(ROOT / ".coverage", ignore_errors=True)
    failed = [done for done in run_beside(programs(seeds, only), 2, lambda _done: None) if done.status]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        for command in (["combine", "-q"], ["json", "-q", "-o", str(report)]):
            done = run(["-m", "coverage", *command])
            if done.status:
                raise SystemExit(done.output)
        return json.loads(report.read_text()), failed


def missing_in(file: dict[str, Any]) -> str:
    """What of a file was never taken: lines, and branches as line->line; a negative one is the way out."""
    lines = [str(line) for line in file["missing_lines"]]
    unseen = set(file["missing_lines"])
    branches = [f"{a}->{b}" for a, b in file["missing_branches"] if a not in unseen and b not in unseen]
    return ", ".join([*lines, *branches])


def told(report: dict[str, Any]) -> list[str]:
    """A line for each file of which something was never taken."""
    missing = {name: missing_in(file) for name, file in sorted(report["files"].items())}
    return [f"{name}: {what}" for name, what in missing.items() if what]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    started = time.perf_counter()
    report, failed = measure(asked.seeds, asked.only)
    for done in failed:
        print(f"python {' '.join(done.arguments)} ended with status {done.status}:\n{done.output}")
    print(*told(report), sep="\n")
    totals = report["totals"]
    passed = not failed and totals["covered_lines"] == totals["num_statements"] and not totals["missing_branches"]
    # Never rounded up: 99.999 is not 100.
    percent = int(totals["percent_covered"] * 100) / 100
    print(
        f"GOAL R22 {percent:.2f} {'PASS' if passed else 'FAIL'} unit=percent branches={totals['covered_branches']}"
        f"/{totals['num_branches']} lines={totals['covered_lines']}/{totals['num_statements']} failed={len(failed)} "
        f"seconds={time.perf_counter() - started:.0f}"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

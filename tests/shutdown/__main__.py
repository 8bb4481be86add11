"""Programs with busy handlers that are told to end by SIGTERM, once or twice.

Run: python -m tests.shutdown [--store sqlite|redis] [--through-run] [--cycles 100] [--seed N]
Prints: `GOAL R14 <programs that were late or did something wrong> PASS|FAIL …`; `latest` is the longest time, in
seconds, that one took beyond its grace (0.5 are allowed), or after the second signal.
Status: 0 if the goal is reached, 1 if not, 2 for what can't be run.

What has not finished by the end of the grace is in the store afterwards, without a trace of having been tried; and
nothing that has not finished was settled. Half of the programs are on trio, half on asyncio. With --through-run they
are services that `postroom run` runs.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.processes import command

from .cycles import shutdown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = command.options("shutdown", __doc__, 100, has_stores=True)
    parser.add_argument("--through-run", action="store_true", help="services that `postroom run` runs, on SQLite")
    asked = parser.parse_args(arguments)
    if asked.through_run and asked.store != "sqlite":
        parser.error("--through-run runs its services on SQLite")
    with tempfile.TemporaryDirectory() as folder:
        goal = shutdown(Path(folder), asked.cycles, command.seed_of(asked), asked.store, through_run=asked.through_run)
        return command.report([goal])


if __name__ == "__main__":
    sys.exit(main())

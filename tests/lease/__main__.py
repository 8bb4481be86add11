"""A handler that blocks the event loop for three leases: its process lives, so nobody else runs what it has in hand.

Run: python -m tests.lease [--store sqlite|redis] [--cycles 4] [--seed N]
Prints: `GOAL R19 blocked <rounds that went wrong> PASS|FAIL …`, and `GOAL R19 stopped …` for a process that is stopped
as a whole until its lease is lost: another one runs the event, and what the first one says of it later counts no more.
Status: 0 if both goals are reached, 1 if not, 2 for what can't be run.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.processes.command import options, report, seed_of
from tests.processes.stores import open_places

from .rounds import blocked, stopped


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = options("lease", __doc__, 4, has_stores=True).parse_args(arguments)
    seed = seed_of(asked)
    with tempfile.TemporaryDirectory() as folder, open_places(asked.store) as places:
        return report(each(Path(folder), asked.cycles, seed, places) for each in (blocked, stopped))


if __name__ == "__main__":
    sys.exit(main())

"""The wall clock is stepped by an hour and by a day, both ways, while events with a delay are in a SQLite file.

Run: python -m tests.clock [--cycles 8] [--seed N]
Prints: `GOAL R20 <events that came early, late, twice or never, and leases that were lost> PASS|FAIL …`.
Status: 0 if the goal is reached, 1 if not, 2 for what can't be run.

One process emits, another one handles. It is the processes' own wall clocks that are stepped, not the machine's.
"""

import sys
from collections.abc import Sequence

from tests.processes import command

from .steps import clock


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command.main("clock", __doc__, 8, clock, arguments)


if __name__ == "__main__":
    sys.exit(main())

"""Very many workflows side by side on Local: how much memory each takes.

Run: python -m tests.workflows [--cycles 10000]
Prints: `GOAL R25 BACKEND <kilobytes of each> PASS|FAIL …`.
Status: 0 if the goal is reached, 1 if not, 2 for what can't be run.
"""

import sys
from collections.abc import Sequence

from tests.processes.command import options, report

from .many import many


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = options("workflows", __doc__, 10_000).parse_args(arguments)
    return report(many(asked.cycles, backend) for backend in ("trio", "asyncio"))


if __name__ == "__main__":
    sys.exit(main())

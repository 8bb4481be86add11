"""A runtime on Redis behind a network that does what networks do: nothing is lost, no reply reaches another caller.

Run: python -m tests.netfault [--seconds 20] [--only latency] [--seed N]
Prints: for each toxic `GOAL R9 <toxic> <events lost, or answered for another one> PASS|FAIL …`; `longest_emit` and
`recovered` are seconds: of the longest emit meanwhile, and from the end of the toxic until all receipts were there.
Status: 0 if all are reached, 1 if not, 2 for what can't be run.

Every other toxic is on trio. A proxy of the tests' own stands for the network; toxiproxy's list was the menu.
"""

import logging
import sys
from collections.abc import Sequence

from tests.processes.command import options, report, seed_of

from .toxics import TOXICS, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = options("netfault", __doc__, 2)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each toxic (default 20)")
    parser.add_argument("--only", choices=tuple(TOXICS), action="append", help="only this one; may be repeated")
    asked = parser.parse_args(arguments)
    seed = seed_of(asked)
    return report(run(name, number, asked.seconds, seed) for number, name in enumerate(asked.only or TOXICS))


if __name__ == "__main__":
    logging.getLogger("postroom").setLevel(logging.CRITICAL)  # it says much about a bad network
    logging.getLogger("coredis").setLevel(logging.CRITICAL + 1)
    sys.exit(main())

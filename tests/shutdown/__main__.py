"""Programs with busy handlers that are told to end by SIGTERM, once or twice.

Run: python -m tests.shutdown [--through-run] [--cycles 100] [--seed N]
Prints: `GOAL R14 <programs that were late or did something wrong> PASS|FAIL …`; `latest` is the longest time, in
seconds, that one took beyond its grace (0.5 are allowed), or after the second signal.
Status: 0 if the goal is reached, 1 if not, 2 for what can't be run.

What has not finished by the end of the grace is in the store afterwards, without a trace of having been tried; and
nothing that has not finished was settled. Half of the programs are on trio, half on asyncio. With --through-run they
are services that `postroom run` runs.
"""

import sys
from collections.abc import Sequence
from functools import partial

from tests.processes import command

from .cycles import shutdown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    through_run = "--through-run" in given
    if through_run:
        given.remove("--through-run")
    return command.main("shutdown", __doc__, 100, partial(shutdown, through_run=through_run), given)


if __name__ == "__main__":
    sys.exit(main())

"""Processes that are killed with `kill -9`: nothing acknowledged is lost, nothing settled runs again.

Run: python -m tests.crash sqlite [--cycles 100] [--seed N]
     python -m tests.crash redis [--cycles 30] [--seed N]
     python -m tests.crash worker [--at settle] [--store sqlite|redis] [--cycles 50] [--seed N]
     python -m tests.crash workflows [--store sqlite|redis] [--cycles 100] [--seed N]
Prints: `GOAL R6 <lost or run again> PASS|FAIL …`, `GOAL R8 …` likewise, `GOAL R11 <lost or not marked as redelivered>
PASS|FAIL …`, or `GOAL R24 <runs that end half done> PASS|FAIL …`.
Status: 0 if the goal is reached, 1 if not, 2 for what can't be run.

`sqlite` kills a busy process on a file that two share, at random moments; `redis` kills the server that two busy
processes share, and starts it again; `worker` kills a process between a handler's success and its settle; `workflows`
kills one at every step boundary of a workflow and in every compensation, which takes fewer cycles.
Every other process is on trio.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.processes.command import options, report, seed_of

from .redis import redis
from .sqlite import sqlite
from .worker import worker
from .workflows import workflows

DEFAULTS = {"sqlite": 100, "redis": 30, "worker": 50, "workflows": 100}
ON_EITHER = {"worker": worker, "workflows": workflows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = options("crash", __doc__, 0, has_stores=True)
    parser.add_argument("what", choices=tuple(DEFAULTS))
    parser.add_argument("--at", choices=("settle",), default="settle", help="where a worker is killed")
    asked = parser.parse_args(arguments)
    cycles = asked.cycles or DEFAULTS[asked.what]
    with tempfile.TemporaryDirectory() as folder:
        if asked.what in ON_EITHER:
            return report([ON_EITHER[asked.what](Path(folder), cycles, seed_of(asked), asked.store)])
        goal = sqlite if asked.what == "sqlite" else redis
        return report([goal(Path(folder), cycles, seed_of(asked))])


if __name__ == "__main__":
    sys.exit(main())

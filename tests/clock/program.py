"""A process whose wall clock somebody steps: it is told how far by a file.

Run: python -m tests.clock.program NAME FILE BACKEND LEASE ROLE
Says: `ready`; of a role of `emit` `stored N DUE` for events with a delay; otherwise `begun N LOSSES`.
"""

import logging
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import attrs

from postroom import Context, Event, Runtime, subscriber
from postroom.modules.sqlite import SqliteModule
from postroom.modules.sqlite.times import MachineClock, machine_clock
from tests.processes.child import say

DELAYS = (0.2, 0.5, 0.8, 1.1)


@attrs.frozen
class SteppedClock:
    """A wall clock that is as far off as a file says."""

    file: Path

    def time(self) -> float:
        return time.time() + float(self.file.read_text(encoding="ascii") if self.file.exists() else 0)


@subscriber("order.*")
async def ledger(event: Event, context: Context) -> None:
    say("begun", event.data, context.losses)
    await anyio.sleep(0.05)


async def main(name: str, path: Path, lease: float, role: Any) -> None:
    wall = SteppedClock(path.with_suffix(".step"))
    machine = machine_clock()
    module: Any = SqliteModule(path, lease=lease, clock=MachineClock(machine.reading, wall.time, machine.boot))
    async with Runtime(module=module, role=role, subscribers=[ledger], clock=wall) as runtime:
        for delay in DELAYS if role == "emit" else ():
            text = f"{name}.{delay}"
            due = time.monotonic() + delay
            await runtime.emit("order.placed", text, delay=delay)
            say("stored", text, due)
        say("ready")
        while not path.with_suffix(".stop").exists():
            await anyio.sleep(0.02)


if __name__ == "__main__":
    logging.getLogger("postroom").setLevel(logging.CRITICAL)
    _, name, path, backend, lease, role = sys.argv
    anyio.run(main, name, Path(path), float(lease), role, backend=backend)

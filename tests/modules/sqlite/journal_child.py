"""A process of a crash test: it runs workflows of three steps until it is killed.

Run: python -m tests.modules.sqlite.journal_child FILE SESSION BACKEND LEASE
Prints: a line for each thing that it knows has happened: `begun RUN`, `recorded RUN STEP`, `over RUN`, `ready`.
Reads: nothing; when `FILE.stop` exists it begins nothing more, and ends once nothing is left to do.
"""

import sys
from pathlib import Path
from typing import cast

import anyio

from postroom.contract import Binding, StoredEvent
from postroom.journal import Entry, HasJournal, Journal, NewRun, RunLoan, RunState
from postroom.modules.sqlite import SqliteModule

from .child import say

STEPS = 3
MOST = 10


async def execute(journal: Journal, loan: RunLoan) -> None:
    """Go on after the last recorded step; the end lets one event out."""
    run = loan.run.id
    for step in range(len(loan.entries), STEPS):
        await anyio.sleep(0.002)
        if not await journal.record(loan.token, [Entry("step", str(step))]):
            return
        say(f"recorded {run} {step}\n")
    event = StoredEvent(f"of {run}", "order.placed", b"{}")
    if await journal.conclude(loan.token, RunState.SUCCEEDED, b"", [event], 1e6) is not None:
        say(f"over {run}\n")


async def begin(journal: Journal, session: str, stop: Path) -> None:
    number = 0
    while not stop.exists():
        number += 1
        run = f"{session}.{number}"
        loan = await journal.begin(number, NewRun(run, "ship", b"", b""), lend=True)
        say(f"begun {run}\n")
        assert isinstance(loan, RunLoan)
        await execute(journal, loan)


async def take_up(journal: Journal, stop: Path) -> None:
    while True:
        loans = (await journal.take({"ship": MOST})).loans
        for loan in loans:
            say(f"taken {loan.run.id} {loan.run.losses}\n")
            await execute(journal, loan)
        states = [RunState.RUNNING]
        if not loans and stop.exists() and not await journal.runs(None, states, None, 1):
            return
        await anyio.sleep(0.02)


async def main(path: Path, session: str, lease: float) -> None:
    stop = path.with_suffix(".stop")
    async with SqliteModule(path, lease=lease).open(session) as store:
        await store.bind([Binding("ledger", ("order.*",))], serve=False)
        journal = cast("HasJournal", store).journal
        say("ready\n")
        async with anyio.create_task_group() as tasks:
            for worker in range(4):
                tasks.start_soon(begin, journal, f"{session}-{worker}", stop)
            tasks.start_soon(take_up, journal, stop)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], float(sys.argv[4]), backend=sys.argv[3])

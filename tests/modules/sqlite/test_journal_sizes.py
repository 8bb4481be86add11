"""What a call of the journal costs does not grow with the runs that there are: counted in steps of SQLite's machine."""

from pathlib import Path

import pytest

from postroom.journal import Entry, NewRun, RunLoan, RunState
from postroom.modules.sqlite import journalling

from .driver import Driver, HandClock
from .test_sizes import steps_of

FEW, MANY = 1_000, 100_000


def filled(path: Path, count: int) -> Driver:
    """A session on a file with so many runs: most are over, some wait now or for long, one in 1,000 is parked."""
    driver = Driver(path, HandClock(now=100.0).machine(), "one")
    driver.tx.db.execute("PRAGMA synchronous = OFF")

    def begin(tx: object) -> None:
        for number in range(count):
            new = NewRun(f"old-{number:06}", "ship", b"input" * 10, b"digest", delay=1000.0 * (number % 10 == 1))
            is_lent = number % 10 > 1
            begun = journalling.begin(driver.tx, number, new, is_lent)
            if isinstance(begun, RunLoan):
                state = RunState.PARKED if number % 1000 == 5 else RunState.SUCCEEDED
                journalling.conclude(driver.tx, begun.token, state, b"", [], 1e6)

    driver.run(begin)
    return driver


def cycle(driver: Driver, number: int) -> None:
    """Begin, take, write, signal, look, list, conclude, forget."""
    loan = driver.run(journalling.begin, 10**7 + number, NewRun(f"new-{number}", "ship", b"", b"", "lane"), True)
    assert isinstance(loan, RunLoan)
    driver.run(journalling.record, loan.token, [Entry("step", "x")], None)
    (taken,) = driver.run(journalling.take, {"ship": 1, "other": 5}).loans
    driver.run(journalling.signal, taken.run.id, Entry("signal", f"s{number}"))
    driver.run(journalling.hand_back, taken.token, 0.0, None)
    assert driver.run(journalling.run, taken.run.id, True) is not None
    for states in (None, [RunState.PARKED], [RunState.CANCELLED]):
        for workflow in ("ship", None):
            driver.run(journalling.listing, workflow, states, "old-000003", 2)
    driver.run(journalling.conclude, loan.token, RunState.FAILED, b"", [], 1e6)
    assert driver.run(journalling.forget, [loan.run.id]) == 1
    driver.run(journalling.reclaim, [])


@pytest.mark.slow
def test_what_a_cycle_costs_does_not_depend_on_how_many_runs_there_are(path: Path) -> None:
    costs = []
    for name, count in (("few.db", FEW), ("many.db", MANY)):
        driver = filled(path.with_name(name), count)
        cycle(driver, 1)
        costs.append(steps_of(driver, lambda driver=driver: cycle(driver, 2)))  # type: ignore[misc]
        driver.close()
    assert costs[1] < 1.2 * costs[0] + 200

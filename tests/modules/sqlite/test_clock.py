"""The store's time goes on evenly, whatever people and time servers do to the wall clock."""

from pathlib import Path

import pytest

from postroom.modules.sqlite import lending, publishing
from postroom.modules.sqlite.times import machine_clock

from .calls import LEDGER, event
from .driver import Driver, HandClock

STEPS = [3600.0, -3600.0, 86400.0, -86400.0]


def ids(driver: Driver) -> list[str]:
    return [loan.id for loan in driver.run(lending.fetch, {"ledger": 10}).loans]


def start(path: Path, clock: HandClock, name: str, boot: str = "first start") -> Driver:
    driver = Driver(path, clock.machine(boot), name)
    driver.bind(LEDGER)
    return driver


@pytest.mark.parametrize("step", STEPS)
def test_44_a_step_of_the_wall_clock_makes_no_delay_end_early_or_late(path: Path, step: float) -> None:
    clock = HandClock(now=100.0)
    driver = start(path, clock, "one")
    driver.run(publishing.publish, 1, [[event("e1", delay=10.0)]])
    clock.stepped = step
    clock.now += 9.5
    later = start(path, clock, "two")
    assert ids(driver) == ids(later) == []
    clock.now += 0.5
    assert ids(later) == ["e1"]
    driver.close()
    later.close()


@pytest.mark.parametrize("step", STEPS)
def test_44_a_step_of_the_wall_clock_makes_no_lease_end(path: Path, step: float) -> None:
    clock = HandClock(now=100.0)
    one, two = start(path, clock, "one"), start(path, clock, "two")
    one.run(publishing.publish, 1, [[event("e1")]])
    assert ids(one) == ["e1"]
    clock.stepped = step
    clock.now += 14.0
    assert ids(two) == []
    clock.now += 1.0
    (loan,) = two.run(lending.fetch, {"ledger": 10}).loans
    assert loan.losses == 1
    one.close()
    two.close()


@pytest.mark.parametrize("step", STEPS)
def test_44_after_a_restart_of_the_machine_a_delay_goes_on_and_time_never_goes_back(path: Path, step: float) -> None:
    clock = HandClock(now=1000.0)
    driver = start(path, clock, "one")
    driver.run(publishing.publish, 1, [[event("e1", delay=10.0)]])
    before = driver.tx.now
    driver.close()
    again = HandClock(now=3.0, stepped=1000.0 + step)  # the machine counts from its start, and was set meanwhile
    driver = start(path, again, "two", boot="second start")
    assert driver.tx.now >= before
    again.now += 10.0
    assert ids(driver) == ["e1"]
    driver.close()


def test_44_when_an_event_was_accepted_is_told_by_the_wall_clock(path: Path) -> None:
    clock = HandClock(now=100.0)
    driver = start(path, clock, "one")
    clock.stepped = 3600.0
    ((published,),) = driver.run(publishing.publish, 1, [[event("e1")]])  # type: ignore[misc]
    assert published.accepted_at == clock.machine().wall()
    driver.close()


def test_46_a_delay_of_ten_years_is_stored(path: Path) -> None:
    clock = HandClock(now=100.0)
    driver = start(path, clock, "one")
    driver.run(publishing.publish, 1, [[event("e1", delay=10 * 365 * 86400.0)]])
    fetched = driver.run(lending.fetch, {"ledger": 1})
    assert (fetched.loans, fetched.next_due) == ([], 10 * 365 * 86400.0)
    driver.close()


def test_the_machines_clock_counts_on_and_names_its_start() -> None:
    clock = machine_clock()
    first = clock.reading()
    assert clock.reading() >= first
    assert clock.boot == machine_clock().boot

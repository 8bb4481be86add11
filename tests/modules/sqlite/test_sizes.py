"""What a call costs does not grow with what waits: counted in steps of SQLite's machine, not in seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.contract import Binding
from postroom.modules.sqlite import lending, operating, publishing, settling

from .calls import NUMBERS, event, settled
from .driver import Driver, HandClock

FEW, MANY = 1_000, 30_000

SUBSCRIPTIONS = [Binding(f"s{number}", (f"order.n{number}",)) for number in range(1000)]


def filled(path: Path, count: int, **options: Any) -> Driver:
    """A session on a file where so many deliveries wait for one of 1,000 subscriptions."""
    driver = Driver(path, HandClock(now=100.0).machine(), "one")
    driver.tx.db.execute("PRAGMA synchronous = OFF")
    driver.bind(*SUBSCRIPTIONS)
    events = [event(f"w{number}", "order.n7", **options) for number in range(count)]
    driver.run(publishing.publish, 1, [events])
    return driver


def steps_of(driver: Driver, call: Callable[[], Any]) -> int:
    count = 0

    def step() -> bool:
        nonlocal count
        count += 1
        return False

    driver.tx.db.set_progress_handler(step, 1)
    call()
    driver.tx.db.set_progress_handler(None)
    return count


def cycle(driver: Driver) -> None:
    """Publish, fetch, settle, give back, listen."""
    for number in range(3):
        driver.run(publishing.publish, 10 + number, [[event(f"e{number}", "order.n7", key="k")]])
    driver.run(publishing.publish, 20, [[event("f", "order.n7")]])
    loans = driver.run(lending.fetch, {each.name: 5 for each in SUBSCRIPTIONS}).loans
    assert loans
    driver.run(settling.settle, next(NUMBERS), settled(loans[:3]))
    driver.run(settling.reclaim, [])
    driver.run(operating.notices, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"key": "k"}, {"delay": 50.0}, {"head_start": 300.0}, {"delay": 50.0, "key": "k"}],
    ids=["plain", "one key", "delayed", "low", "one key, delayed"],
)
def test_what_a_cycle_costs_does_not_depend_on_what_waits(path: Path, options: Any) -> None:
    few, many = filled(path, FEW, **options), filled(path.with_name("many.db"), MANY, **options)
    cycle(few)
    cycle(many)
    assert steps_of(many, lambda: cycle(many)) < 1.2 * steps_of(few, lambda: cycle(few)) + 200
    few.close()
    many.close()


def test_no_statement_is_compiled_a_second_time(path: Path) -> None:
    driver = filled(path, 10)
    compiled = []

    def asked(*what: Any) -> int:
        compiled.append(what)
        return 0  # allowed

    driver.tx.db.authorizer = asked  # has all of them compiled once more
    cycle(driver)
    assert compiled
    compiled.clear()
    cycle(driver)
    assert compiled == []
    driver.close()


@pytest.mark.slow
def test_another_sessions_key_is_stepped_over_at_once(path: Path) -> None:
    few, many = filled(path, FEW, key="k"), filled(path.with_name("many.db"), MANY, key="k")
    costs = []
    for driver in (few, many):
        driver.run(lending.fetch, {"s7": 1})
        other = Driver(driver.path, driver.clock, "two")
        driver.run(publishing.publish, 50, [[event("other", "order.n7", key="l")]])
        costs.append(steps_of(other, lambda other=other: other.run(lending.fetch, {"s7": 1})))  # type: ignore[misc]
        assert len(other.run(lending.fetch, {"s7": 1}).loans) == 0  # the one of key `l` was lent before
        other.close()
        driver.close()
    assert costs[1] < costs[0] + 100


@pytest.mark.slow
@pytest.mark.parametrize("overflow", ["wait", "drop_oldest", "drop_newest", "coalesce"])
def test_a_full_backlog_costs_the_same_whatever_its_size(path: Path, overflow: str) -> None:
    costs = []
    for name, count in (("few.db", FEW), ("many.db", MANY)):
        driver = filled(path.with_name(name), count, key="k")
        driver.bind(Binding("s7", ("order.n7",), count, overflow))
        driver.run(publishing.publish, 2, [[event("first", "order.n7", key="k")]])
        publish = [[event("second", "order.n7", key="k")]]
        costs.append(steps_of(driver, lambda d=driver, p=publish: d.run(publishing.publish, 3, p)))  # type: ignore[misc]
        driver.close()
    assert costs[1] < costs[0] + 100

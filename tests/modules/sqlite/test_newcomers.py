"""What is accepted and lent in one transaction never stands in line, and nobody can tell; see the state machine too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.contract import Binding, Emit
from postroom.modules.sqlite import lending, operating, publishing
from postroom.modules.sqlite.lending import FEW
from postroom.modules.sqlite.transaction import Transaction

from .calls import LEDGER, event
from .driver import Driver, HandClock


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path / "events.db", HandClock(100.0).machine(), "one")
    driver.bind(LEDGER)
    yield driver
    driver.close()


def emit(*ids: str, name: str = "order.placed") -> Emit:
    return [event(id, name) for id in ids]


def test_what_is_lent_in_the_transaction_in_which_it_came_was_never_in_line(driver: Driver) -> None:
    driver.tx.db.execute(
        "CREATE TEMP TRIGGER seen AFTER INSERT ON main.waiting BEGIN SELECT raise(ABORT, 'in line'); END"
    )
    with driver.together():
        driver.run(publishing.publish, 1, [emit("e1", "e2")])
        loans = driver.run(lending.fetch, {"ledger": 16}).loans
    assert [each.id for each in loans] == ["e1", "e2"]


def test_what_came_before_a_rollback_is_lent_to_nobody_nor_what_has_its_number_now(driver: Driver) -> None:
    driver.bind(Binding("mail", ("mail.*",)))
    with pytest.raises(ZeroDivisionError), driver.together():
        driver.run(publishing.publish, 1, [emit("e1")])
        _ = 1 / 0
    driver.run(publishing.publish, 1, [emit("m1", name="mail.came")])
    loans = driver.run(lending.fetch, {"ledger": 16, "mail": 16}).loans
    assert [(each.subscription, each.id) for each in loans] == [("mail", "m1")]


def test_newcomers_count_where_their_subscription_gets_a_backlog_in_the_same_transaction(driver: Driver) -> None:
    with driver.together():
        driver.run(publishing.publish, 1, [emit("e1", "e2")])
        driver.run(operating.bind, [Binding("ledger", ("order.*",), 2, "drop_oldest")], True)
    driver.run(publishing.publish, 2, [emit("e3")])
    assert [each.id for each in driver.run(lending.fetch, {"ledger": 16}).loans] == ["e2", "e3"]


def test_newcomers_are_found_among_many_subscriptions(driver: Driver) -> None:
    names = [f"s{number}" for number in range(FEW + 1)]
    driver.bind(*(Binding(name, (f"{name}.*",)) for name in names))
    with driver.together():
        driver.run(publishing.publish, 1, [emit("e1", name="s3.came")])
        assert [each.id for each in driver.run(lending.fetch, dict.fromkeys(names, 4)).loans] == ["e1"]


def test_those_of_others_are_in_line_in_the_end(driver: Driver) -> None:
    driver.bind(Binding("mail", ("mail.*",)))
    with driver.together():
        driver.run(publishing.publish, 1, [emit("e1"), emit("m1", name="mail.came"), emit("e2")])
        assert [each.id for each in driver.run(lending.fetch, {"ledger": 16}).loans] == ["e1", "e2"]
    assert [each.id for each in driver.run(lending.fetch, {"mail": 16}).loans] == ["m1"]


def newcomers_of(tx: Transaction) -> list[tuple[int, int]]:
    return [(each.first, each.last) for each in tx.newcomers]


def test_a_row_for_each_run_of_numbers(driver: Driver) -> None:
    with driver.together():
        driver.run(publishing.publish, 1, [emit(*(f"e{number}" for number in range(100)))])
        ((first, last),) = newcomers_of(driver.tx)
        assert last - first == 99
    assert len(driver.run(lending.fetch, {"ledger": 1000}).loans) == 100

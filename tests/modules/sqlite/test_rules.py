"""Rules of the store that a random program rarely meets."""

from pathlib import Path

import pytest

from postroom.contract import Binding, Letter, Settlement, Step, letter_id
from postroom.modules.sqlite import groups, lending, operating, publishing, settling
from postroom.modules.sqlite.transaction import LEASES, LINGER, Terms

from .calls import LEDGER, NUMBERS, event, settled
from .driver import Driver, HandClock

MAIL = Binding("mail", ("order.*",))


@pytest.fixture
def clock() -> HandClock:
    return HandClock(now=100.0)


def pass_while_awake(driver: Driver, clock: HandClock, seconds: float) -> None:
    """Let time pass for a session that keeps its lease."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now = min(end, clock.now + driver.terms.lease / 3)
        driver.run(operating.notices, 0)


def ids(driver: Driver, count: int = 10) -> list[str]:
    return [loan.id for loan in driver.run(lending.fetch, {"ledger": count}).loans]


@pytest.mark.parametrize("bindings", [[LEDGER], [LEDGER, MAIL]], ids=["one", "two"])
def test_who_settles_is_not_told(path: Path, clock: HandClock, bindings: list[Binding]) -> None:
    one, two = (Driver(path, clock.machine(), name) for name in ("one", "two"))
    one.bind(*bindings)
    one.run(publishing.publish, 1, [[event("e1"), event("e2")]])
    one.run(settling.settle, next(NUMBERS), settled(one.run(lending.fetch, {"ledger": 1}).loans))
    two.run(settling.settle, next(NUMBERS), settled(two.run(lending.fetch, {"ledger": 1}).loans))
    (notice,) = one.run(operating.notices, 0).notices
    assert notice.event == "e2"
    assert two.run(operating.notices, 0).notices == ()
    one.close()
    two.close()


def test_a_delivery_that_was_given_back_for_later_closes_its_key_to_those_after_it(
    path: Path, clock: HandClock
) -> None:
    driver = Driver(path, clock.machine(), "one")
    driver.bind(LEDGER)
    driver.run(publishing.publish, 1, [[event("a", key="k"), event("b", key="k"), event("c", key="k")]])
    first, second, third = driver.run(lending.fetch, {"ledger": 3}).loans
    back = [Settlement(loan.token, Step.RETURNED, wait=wait) for loan, wait in ((first, 0), (second, 5), (third, 0))]
    driver.run(settling.settle, next(NUMBERS), back)
    assert ids(driver) == ["a"]
    assert ids(driver) == []
    clock.now += 5
    assert ids(driver) == ["b", "c"]
    driver.close()


def test_a_key_has_one_session_also_where_an_earlier_delivery_was_given_back(path: Path, clock: HandClock) -> None:
    one, two = (Driver(path, clock.machine(), name) for name in ("one", "two"))
    one.bind(LEDGER)
    one.run(publishing.publish, 1, [[event("a", key="k"), event("b", key="k")]])
    first, second = one.run(lending.fetch, {"ledger": 2}).loans
    one.run(settling.settle, next(NUMBERS), [Settlement(first.token, Step.RETURNED)])
    assert ids(two) == []
    one.run(settling.settle, next(NUMBERS), settled([second]))
    assert ids(two) == ["a"]
    one.close()
    two.close()


def test_a_dead_letter_has_the_id_that_its_loans_token_gives(path: Path, clock: HandClock) -> None:
    one, two = (Driver(path, clock.machine(), name) for name in ("one", "two"))
    one.bind(LEDGER)
    one.run(publishing.publish, 1, [[event("a"), event("b")]])
    letter = Letter("gave up", None, "", "", 1)
    (second,) = two.run(lending.fetch, {"ledger": 1}).loans
    (first,) = one.run(lending.fetch, {"ledger": 1}).loans
    for driver, loan in ((one, first), (two, second)):
        driver.run(settling.settle, next(NUMBERS), [Settlement(loan.token, Step.SETTLED, b"", letter, 1)])
    found = [each.id for each in one.run(operating.letters, None, None, 10)]
    assert found == sorted([letter_id(second.token), letter_id(first.token)])
    assert found[0] == letter_id(second.token)  # it was lent first
    assert [each.id for each in one.run(operating.letters, None, found[0], 10)] == found[1:]
    one.close()
    two.close()


@pytest.mark.parametrize("id", ["", "x", "-1", "9" * 20, "9" * 40, "٣"])
def test_an_id_that_is_no_letters_finds_none(path: Path, clock: HandClock, id: str) -> None:
    driver = Driver(path, clock.machine(), "one")
    assert driver.run(operating.replay, 1, id) is None
    assert driver.run(operating.discard, [id]) == 0
    driver.close()


def test_numbers_of_leases_that_begin_anew_pass_over_those_in_use(path: Path, clock: HandClock) -> None:
    one = Driver(path, clock.machine(), "one")
    one.run(lambda tx: tx.db.execute("UPDATE state SET incarnation = ?", (LEASES - 1,)))
    two, three = (Driver(path, clock.machine(), name) for name in ("two", "three"))
    assert len({one.tx.incarnation, two.tx.incarnation, three.tx.incarnation}) == 3
    for driver in (one, two, three):
        driver.close()


def test_settled_events_are_kept_as_long_as_the_user_says(path: Path, clock: HandClock) -> None:
    driver = Driver(path, clock.machine(), "one", Terms(lease=1e6, window=600.0, keep=50.0))
    driver.bind(LEDGER)
    driver.run(publishing.publish, 1, [[event("a")]])
    driver.run(settling.settle, next(NUMBERS), settled(driver.run(lending.fetch, {"ledger": 1}).loans))
    clock.now += 49
    driver.run(operating.notices, 0)
    kept = driver.tx.db.execute("SELECT events.id, outcome FROM events JOIN outcomes ON event = number").fetchall()
    assert kept == [("a", b"done")]
    clock.now += 1
    driver.run(operating.notices, 0)
    assert driver.tx.db.execute("SELECT count(*) FROM events").get == 0
    driver.close()


def test_an_id_can_be_used_again_after_its_window_also_where_settled_events_are_kept(
    path: Path, clock: HandClock
) -> None:
    driver = Driver(path, clock.machine(), "one", Terms(lease=1e6, window=10.0, keep=50.0))
    driver.bind(LEDGER)
    driver.run(publishing.publish, 1, [[event("a", digest=b"1")]])
    driver.run(settling.settle, next(NUMBERS), settled(driver.run(lending.fetch, {"ledger": 1}).loans))
    clock.now += 11
    driver.run(publishing.publish, 2, [[event("a", digest=b"2")]])
    assert ids(driver) == ["a"]
    driver.close()


def test_a_stage_that_is_repeated_after_its_release_stages_nothing(path: Path, clock: HandClock) -> None:
    driver = Driver(path, clock.machine(), "one")
    driver.bind(LEDGER)
    assert driver.run(groups.stage, "g", [event("a")], None) == [None]
    driver.run(groups.release, 1, "g")
    assert driver.run(groups.stage, "g", [event("a")], None) == [None]
    assert driver.run(groups.release, 2, "g") == ([], [])
    assert ids(driver) == ["a"]
    driver.close()


def test_a_session_that_was_forgotten_learns_what_it_may_never_be_told_of(path: Path, clock: HandClock) -> None:
    sleeper, other = (Driver(path, clock.machine(), name) for name in ("sleeper", "other"))
    (published,) = sleeper.run(publishing.publish, 1, [[event("e1")]])
    pass_while_awake(other, clock, sleeper.terms.lease)
    assert sleeper.run(operating.notices, 0).forgotten == 0.0  # it was taken for dead, and nothing has been forgotten
    assert isinstance(published, list)
    accepted_at = published[0].accepted_at
    pass_while_awake(other, clock, sleeper.terms.lease)
    pass_while_awake(other, clock, LINGER)
    assert sleeper.run(operating.notices, 0).forgotten == accepted_at + 2 * sleeper.terms.lease + LINGER
    for each in (sleeper, other):
        each.leave()


def test_a_lone_session_that_could_not_write_for_a_whole_lease_keeps_what_it_was_lent(
    path: Path, clock: HandClock
) -> None:
    lone = Driver(path, clock.machine(), "lone")
    lone.bind(LEDGER)
    lone.run(publishing.publish, 1, [[event("e1")]])
    loans = lone.run(lending.fetch, {"ledger": 1}).loans
    clock.now += 3 * lone.terms.lease
    assert ids(lone) == []
    assert lone.run(settling.settle, next(NUMBERS), settled(loans)) == [True]
    assert not lone.tx.lost
    lone.leave()


def test_who_could_not_write_for_a_whole_lease_takes_nobody_else_for_dead_before_another_one(
    path: Path, clock: HandClock
) -> None:
    one, other = (Driver(path, clock.machine(), name) for name in ("one", "other"))
    for each in (one, other):
        each.bind(LEDGER)
    one.run(publishing.publish, 1, [[event("e1")]])
    assert ids(other) == ["e1"]
    clock.now += one.terms.lease
    assert ids(one) == []
    clock.now += one.terms.lease / 2
    assert ids(one) == []
    clock.now += one.terms.lease / 2
    (loan,) = one.run(lending.fetch, {"ledger": 1}).loans
    assert (loan.id, loan.losses) == ("e1", 1)
    assert other.run(lambda tx: tx.lost) is True
    for each in (one, other):
        each.leave()


def test_a_session_that_begins_takes_over_at_once_what_had_its_time_while_nobody_was_there(
    path: Path, clock: HandClock
) -> None:
    before = Driver(path, clock.machine(), "before")
    before.bind(LEDGER)
    before.run(publishing.publish, 1, [[event("e1")]])
    assert ids(before) == ["e1"]
    before.close()
    clock.now += before.terms.lease
    after = Driver(path, clock.machine(), "after")
    (loan,) = after.run(lending.fetch, {"ledger": 1}).loans
    assert (loan.id, loan.losses) == ("e1", 1)
    after.leave()

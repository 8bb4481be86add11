"""How a store meters a rate: never more than it says, and none lost by asking a little late."""

from hypothesis import given
from hypothesis import strategies as st

from postroom.metering import SLACK, due_after, may_lend, opens_at

intervals = st.sampled_from([0.001, 0.01, 0.1, 1.0, 7.5])
bursts = st.integers(1, 5)


@given(intervals, bursts, st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), max_size=60))
def test_over_any_time_it_lends_no_more_than_the_rate_and_its_burst(
    interval: float, burst: int, asks: list[tuple[float, int]]
) -> None:
    now, due, lent = 0.0, 0.0, list[float]()
    for pause, wanted in asks:
        now += pause
        count = min(wanted, may_lend(interval, burst, due, now))
        due = due_after(interval, due, now, count)
        lent += [now] * count
    for first, since in enumerate(lent):
        allowed = (lent[-1] - since + SLACK) / interval + burst
        assert len(lent) - first <= allowed + 1e-3


@given(intervals, bursts, st.floats(0, 100), st.integers(1, 9))
def test_when_it_opens_one_may_be_lent_and_not_before(interval: float, burst: int, now: float, ahead: int) -> None:
    due = now + (burst - 1 + ahead) * interval
    opening = opens_at(interval, burst, due)
    assert may_lend(interval, burst, due, opening) == 1
    assert may_lend(interval, burst, due, opening - interval / 2) == 0


def test_who_asks_a_little_late_each_time_gets_the_whole_rate() -> None:
    due, lent = 1000.0, 0
    for n in range(100):
        count = may_lend(0.1, 1, due, now := 1000.0 + n * 0.1 + 0.03)
        due = due_after(0.1, due, now, count)
        lent += count
    assert lent == 100


def test_who_has_not_asked_for_long_gets_the_burst() -> None:
    assert may_lend(1.0, 3, 5.0, 1000.0) == 3

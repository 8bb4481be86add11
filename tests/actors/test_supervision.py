"""The rules of supervision: whole tables, and the intensity beside a plain account of all restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom_actors import Directive, Intensity, Moment, Phase, Strategy, affected, effective, may_start, may_stop

RESUME, RESTART, STOP, ESCALATE = Directive
TABLE = {
    Moment.HANDLING: (RESUME, RESTART, STOP, ESCALATE),
    Moment.STARTING: (RESTART, RESTART, STOP, ESCALATE),
    Moment.LIVING: (RESTART, RESTART, STOP, ESCALATE),
    Moment.STOPPING: (RESUME, RESUME, RESUME, ESCALATE),
}


@pytest.mark.parametrize("moment", Moment)
def test_each_directive_comes_to_this_at_each_moment(moment: Moment) -> None:
    assert tuple(effective(moment, directive) for directive in Directive) == TABLE[moment]


@pytest.mark.parametrize(
    ("strategy", "by_position"),
    [
        (Strategy.ONE_FOR_ONE, [{0}, {1}, {2}]),
        (Strategy.ONE_FOR_ALL, [{0, 1, 2}] * 3),
        (Strategy.REST_FOR_ONE, [{0, 1, 2}, {1, 2}, {2}]),
    ],
)
def test_a_strategy_restarts_these_of_three_siblings(strategy: Strategy, by_position: list[set[int]]) -> None:
    assert [set(affected(strategy, failed, 3)) for failed in range(3)] == by_position


@pytest.mark.parametrize("phase", Phase)
def test_an_instance_stops_unless_a_later_one_has_yet_to(phase: Phase) -> None:
    assert may_stop([phase]) == (phase is not Phase.LEAVING)


@pytest.mark.parametrize("phase", Phase)
def test_an_instance_starts_after_all_have_stopped_and_those_before_it_have_started(phase: Phase) -> None:
    assert may_start([phase], [phase]) == (phase in (Phase.ALIVE, Phase.ENDED))
    assert may_start([], [phase]) == (phase is not Phase.LEAVING)


@given(
    st.integers(0, 5),
    st.floats(0.1, 10),
    st.lists(st.floats(0, 4, allow_nan=False), max_size=40),
)
def test_more_than_the_intensity_within_the_period_is_too_many(most: int, within: float, gaps: list[float]) -> None:
    intensity, now = Intensity(most, within), 0.0
    made: list[float] = []
    for gap in gaps:
        now += gap
        allowed = sum(time + within >= now for time in made) < most
        assert intensity.allows(now) == allowed
        if not allowed:
            return
        made.append(now)


@given(st.integers(0, 20))
def test_a_burst_of_exactly_the_intensity_is_absorbed_and_one_more_is_not(most: int) -> None:
    intensity = Intensity(most, 1.0)
    assert [intensity.allows(0.0) for _ in range(most + 1)] == [True] * most + [False]

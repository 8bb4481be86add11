"""The soak runs give their lines, whatever their figures are: each with a tiny budget, in real time."""

import re

import pytest

from tests.soak.__main__ import main, parse
from tests.soak.goal import Goal
from tests.soak.isolation import Latencies
from tests.soak.resident import resident_bytes, slope_per_minute

LINE = re.compile(r"GOAL (R12|R15 \S+) (-?\d+\.\d\d) (PASS|FAIL) (\S+=\S+ )*\S+=\S+( BROKEN: .*)?")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_run_prints_one_line_for_each_goal(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seconds", "0.3", "--subscribers", "12", "--rounds", "2", "--seed", "20", "--backend"]
    status = main([*arguments, backend])
    printed = capsys.readouterr().out
    matches = [LINE.fullmatch(line) for line in printed.splitlines()]
    assert [match and match[1] for match in matches] == [
        "R12",
        "R15 raises",
        "R15 floods",
        "R15 hangs-timeout",
        "R15 hangs-overflow",
        "R15 hangs-own-events",
    ]
    assert printed.count(f"backend={backend} seed=20 ") == 6
    assert printed.count("lost=0") == 5
    assert "BROKEN" not in printed
    assert status == ("FAIL" in printed)


def test_a_part_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(["--only", "overload,patience"])
    assert refused.value.code == 2
    assert "'patience' is none of overload, isolation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("figure", "broken", "verdict"),
    [(1.5, (), "PASS"), (1.51, (), "FAIL"), (float("nan"), (), "FAIL"), (1.0, ("one is lost",), "FAIL")],
)
def test_a_goal_is_reached_by_its_figure_if_nothing_is_broken(
    figure: float, broken: tuple[str, ...], verdict: str
) -> None:
    goal = Goal(name="R15 raises", figure=figure, most=1.5, broken=broken, details={"seed": 1})
    assert goal.line.startswith(f"GOAL R15 raises {figure:.2f} {verdict} seed=1")
    assert goal.passed is (verdict == "PASS")


def test_the_slope_is_that_of_the_straight_line() -> None:
    assert slope_per_minute([(0, 5_000_000), (30, 6_000_000), (60, 7_000_000)]) == pytest.approx(2.0)


def test_the_resident_size_is_that_of_this_process() -> None:
    before = resident_bytes()
    ballast = bytearray(b"x" * 50_000_000)
    assert resident_bytes() - before > len(ballast) / 2


def test_deliveries_that_are_missing_or_too_many_are_lost() -> None:
    latencies = Latencies(expected=2)
    assert latencies.lost == 2
    latencies.taken.extend([0.1, 0.1, 0.1])
    assert latencies.lost == 1

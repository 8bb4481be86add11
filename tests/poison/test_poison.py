"""Goal R18, in small: the storm is counted rightly whatever the ratio is. The whole is `python -m tests.poison`."""

import re

import pytest

from tests.poison.__main__ import main
from tests.poison.storm import ATTEMPTS, Turn

LINE = re.compile(r"GOAL R18 (\w+) \d+\.\d\d (PASS|FAIL) unit=ratio backend=(\w+) seed=4 .*")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_each_event_of_a_storm_is_tried_three_times_and_is_a_dead_letter(
    backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--poison", "60", "--rounds", "2", "--seed", "4", "--load", "1", "--backend", backend])
    printed = capsys.readouterr().out
    matches = [LINE.fullmatch(line) for line in printed.splitlines()]
    assert [match and match.group(1, 3) for match in matches] == [("local", backend), ("sqlite", backend)]
    assert printed.count(" poison=60 attempts=3 letters=60 evicted=0 ") == 2
    assert "BROKEN" not in printed
    assert status == ("FAIL" in printed)


@pytest.mark.slow
def test_what_the_cap_lets_go_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--poison", "1100", "--rounds", "1", "--load", "1", "--module", "local", "--backend", "asyncio"])
    printed = capsys.readouterr().out
    assert " poison=1100 attempts=3 letters=1000 evicted=100 " in printed
    assert "BROKEN" not in printed


def storm_of_two() -> Turn:
    turn = Turn()
    turn.tries.update({0: ATTEMPTS, 1: ATTEMPTS})
    turn.failed = turn.letters = 2
    return turn


def test_a_storm_that_went_as_it_should_is_not_broken() -> None:
    assert storm_of_two().wrong(2) == ()


@pytest.mark.parametrize("tries", [ATTEMPTS - 1, ATTEMPTS + 1])
def test_an_event_with_other_attempts_is_found(tries: int) -> None:
    turn = storm_of_two()
    turn.tries[1] = tries
    assert turn.wrong(2) == (f"1 events had not 3 attempts, such as {tries}",)


def test_an_event_that_was_not_given_up_on_or_has_no_letter_is_found() -> None:
    turn = storm_of_two()
    turn.failed = turn.letters = 1
    assert turn.wrong(2) == ("1 of 2 failed", "1 dead letters and 0 that went are not 2")

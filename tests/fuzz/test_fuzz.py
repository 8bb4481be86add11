"""Goal R17, in small. The whole is `python -m tests.fuzz`."""

import re
from random import Random
from unittest.mock import patch

import pytest

from tests.fuzz import doors
from tests.fuzz.__main__ import main
from tests.fuzz.inputs import ALL
from tests.fuzz.nasties import MAKERS, size_of, tree


@pytest.mark.slow
def test_only_errors_of_postrooms_come_out(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--inputs", "3000", "--seed", "20"])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert re.fullmatch(rf"GOAL R17 0 PASS inputs=3000 doors={len(ALL)} slowest=.*ms seed=20 seconds=.*\n", printed)


def broken(text: str) -> None:
    """Raises what is none of postroom's errors."""
    raise TypeError(text)


def test_what_else_comes_out_is_found_and_told_with_the_command_that_repeats_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with patch.object(doors, "tokens_of_name", broken):
        assert main(["--inputs", "50", "--seed", "1", "--only", "name"]) == 1
        printed = capsys.readouterr().out
        command = re.search(
            r"python -m tests\.fuzz (--seed 1 --input \d+ --only 'name')\n.*TypeError came out", printed
        )
        assert command
        assert main(command[1].replace("'", "").split()) == 1
    assert "GOAL R17 1 FAIL inputs=1 " in capsys.readouterr().out
    assert main(command[1].replace("'", "").split()) == 0


def test_a_door_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--only", "window"])
    assert refused.value.code == 2


def test_the_size_of_any_value_can_be_told() -> None:
    random = Random(1)
    for value in [*(make() for make in MAKERS), *(tree(random) for _ in range(100))]:
        assert size_of(value) > 0

"""The table of what an acknowledged emit is made of is printed, whatever its figures are."""

import pytest

from tests.benchmarks.parts import main


def test_each_part_is_shown_on_each_backend_with_the_sum_and_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--events", "20"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    names = ["commits", "handover", "turns", "sum", "whole", "by"]
    assert [row[0] for row in rows] == ["trio", *names, "asyncio", *names]
    assert all(float(row[-1]) > 0 for row in rows if row[0] in names)

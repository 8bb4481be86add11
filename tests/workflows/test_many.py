"""The goals of workflows that take many runs, or real processes, in small."""

import re

import pytest

from tests.crash.__main__ import main as crash
from tests.workflows.__main__ import main as many


@pytest.mark.slow
def test_many_workflows_side_by_side_take_a_bounded_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert many(["--cycles", "300"]) == 0
    assert re.findall(r"GOAL R25 (\w+) [\d.]+ PASS", capsys.readouterr().out) == ["trio", "asyncio"]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_process_killed_between_two_steps_leaves_nothing_half_done(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crash(["workflows", "--store", store, "--cycles", "6", "--seed", "3"]) == 0
    assert f"GOAL R24 0.00 PASS store={store} killed=6" in capsys.readouterr().out

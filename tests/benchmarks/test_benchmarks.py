"""The benchmarks run, whatever their figures are: every scenario at a tiny size on each backend."""

import json

import pytest

from tests.benchmarks.__main__ import as_json, main, run
from tests.benchmarks.measure import BACKENDS, Round
from tests.benchmarks.scenarios import SCENARIOS
from tests.benchmarks.workload import Size


def _tiny(size: Size) -> Size:
    return Size(min(size.events, 12), min(size.subscribers, 3))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_the_scenario_runs_and_gives_a_ratio(name: str, backend: str) -> None:
    figures = as_json(run([backend], [name], 2, _tiny, lambda _: None), 2)
    (comparison,) = json.loads(json.dumps(figures))["comparisons"]
    assert comparison["scenario"] == name
    assert comparison["backend"] == backend
    assert comparison["ratio_best"] > 0
    assert comparison["ratio_median"] > 0
    assert [set(each) for each in comparison["rounds"]] == [{"floor", "postroom", "floor_again"}] * 2


def test_a_round_compares_postroom_with_the_mean_of_the_floors_around_it() -> None:
    assert Round(1.0, 4.0, 3.0).ratio == 2.0
    assert Round(1.0, 4.0, 3.0).noise == 3.0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["idle-memory", "queued-memory"])
def test_the_memory_of_postroom_is_weighed(name: str, backend: str) -> None:
    figures = as_json(run([backend], [name], 1, _tiny, lambda _: None), 1)
    (memory,) = json.loads(json.dumps(figures))["memory"]
    assert memory["scenario"] == name
    assert memory["backend"] == backend
    assert memory["postroom"] > 0


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "queued-memory", "--backend", "asyncio", "--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"python", "versions", "rounds", "comparisons", "memory"}
    assert [each["backend"] for each in printed["memory"]] == ["asyncio"]


def test_a_table_names_each_scenario_that_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "queued-memory", "--backend", "trio", "--quick"]) == 0
    assert "a queued event, beside its data" in capsys.readouterr().out

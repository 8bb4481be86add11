"""The benchmarks run, whatever their figures are: every scenario at a tiny size on each backend."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from postroom import Runtime
from tests.benchmarks.__main__ import as_json, main, run
from tests.benchmarks.beside import UNUSED, everything
from tests.benchmarks.checkouts import HERE, open_checkouts
from tests.benchmarks.measure import BACKENDS, Round
from tests.benchmarks.scenarios import SCENARIOS
from tests.benchmarks.workload import Size


@pytest.fixture(autouse=True)
def _what_fails_on_purpose_is_not_logged() -> Iterator[None]:
    log = logging.getLogger("postroom")
    handlers = list(log.handlers)
    log.addHandler(logging.NullHandler())
    yield
    log.handlers[:] = handlers


def _tiny(size: Size) -> Size:
    return Size(min(size.events, 12), min(size.subscribers, 3))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [scenario.name for scenario in (*SCENARIOS, *UNUSED)])
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


async def test_each_feature_is_in_use_while_plain_events_are_emitted() -> None:
    async with Runtime() as runtime, AsyncExitStack() as stack:
        await everything(runtime, stack)
        waiting = {each.name for each in runtime.snapshot().subscriptions if each.stats.pending}
        assert waiting >= {"keyed", "urgent", "retried", "timed", "later", "batched", "newest", "rated", "paused"}
        assert runtime.stats.staged == 8
        for subscription in tuple(runtime.subscriptions.values()):
            await subscription.stop(drain=False)


def test_two_checkouts_are_compared_in_turns() -> None:
    with open_checkouts(HERE) as against:
        figures = run(["trio"], ["emit", "idle-memory"], 2, _tiny, lambda _: None, against)
    (comparison,), (memory,) = figures.comparisons, figures.memory
    assert comparison.beside == str(HERE)
    assert comparison.ratio_best > 0
    assert len(comparison.rounds) == 2
    assert memory.floor == pytest.approx(memory.postroom, rel=0.2)


def test_a_folder_without_a_checkout_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["--against", str(tmp_path)])
    assert ending.value.code == 2
    assert "it has no runtime/postroom" in capsys.readouterr().err


def test_what_another_checkout_may_lack_is_not_compared_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["--against", str(HERE), "--only", "unused-keys"])
    assert ending.value.code == 2
    assert "unused-keys can't be compared" in capsys.readouterr().err


def test_a_checkout_that_does_not_run_ends_the_program(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for part in ("runtime/postroom", "actors/postroom_actors"):
        shutil.copytree(HERE / part, tmp_path / part)
    (tmp_path / "runtime/postroom/__init__.py").write_text("raise ImportError('half merged')")
    assert main(["--against", str(tmp_path), "--only", "emit", "--quick", "--backend", "trio"]) == 2
    assert f"bench: the benchmarks failed with the postroom of {tmp_path}" in capfd.readouterr().err


def test_a_worker_refuses_the_postroom_of_another_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("runtime/postroom", "actors/postroom_actors"):
        (tmp_path / part).mkdir(parents=True)  # folders without a package in them: the path goes on to the next
    assert main(["--against", str(tmp_path), "--only", "emit", "--quick", "--backend", "trio"]) == 2
    assert "was found, not that of" in capsys.readouterr().err

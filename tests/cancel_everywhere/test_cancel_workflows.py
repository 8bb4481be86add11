"""Goal R4 for workflows, in small: one schedule. The whole is `python -m tests.cancel_everywhere.workflows`."""

import re

import pytest

from tests.cancel_everywhere.one_workflow import MODULES, OUTCOMES, VICTIMS, Case, Module, Victim, run_one
from tests.cancel_everywhere.shopping import Shop
from tests.cancel_everywhere.workflows import main, sweep
from tests.simulation.schedules import BACKENDS, Backend

SEED = 1


@pytest.mark.slow
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("library", BACKENDS)
def test_a_workflow_cancelled_at_any_step_is_done_and_told_or_neither(
    outcome: str, module: Module, victim: Victim, library: Backend
) -> None:
    case = Case(outcome=outcome, module=module, library=library, victim=victim, seed=SEED, step=0)
    swept = list(sweep(case))
    assert len(swept) > 40
    assert not {run.arguments: one.wrong for run, one in swept if one.wrong}


@pytest.mark.parametrize("library", BACKENDS)
def test_what_is_half_done_is_found(library: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shop, "EFFECTS", Shop.EFFECTS - {"pay"})
    case = Case(outcome="succeeds", module="local", library=library, victim="task", seed=SEED, step=3)
    assert any(wrong.startswith("half done, and the run is succeeded") for wrong in run_one(case).wrong)


def test_the_command_prints_its_goal_and_takes_a_single_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--victim", "run", "--module", "local", "--backend", "trio", "--outcome", "fails", "--seed", "5"]) == 0
    line = capsys.readouterr().out.strip()
    assert re.fullmatch(r"GOAL R4 workflows 0 PASS runs=\d+ outcomes=fails modules=local .* seed=5 seconds=.*", line)
    case = Case(outcome="fails", module="local", library="trio", victim="block", seed=5, step=3)
    assert main(case.arguments.split()) == 0
    assert "GOAL R4 workflows 0 PASS runs=1 " in capsys.readouterr().out


def test_a_victim_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--victim", "nobody"])
    assert refused.value.code == 2

"""A part of the sweep in every test run: `python -m tests.fault_everywhere` does all of it."""

import pytest

from postroom.testing.faults import Fault, Random
from postroom.testing.faults.plan import ERRORS
from tests.fault_everywhere.__main__ import main
from tests.fault_everywhere.scenarios import SCENARIOS
from tests.fault_everywhere.sweep import Run, sweep
from tests.fault_everywhere.world import run

BACKENDS = ("trio", "asyncio")


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_whichever_call_fails_nothing_is_lost_or_done_twice(scenario: str, backend: str) -> None:
    wrong = [f"{attempt}: {failure!r}" for attempt, failure in sweep(scenario, backend, step=5) if failure is not None]
    assert not wrong


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("seed", range(3))
async def test_with_faults_at_random_nothing_is_lost_or_done_twice(scenario: str, seed: int) -> None:
    await run(SCENARIOS[scenario], Random(seed, rate=0.2, faults=(*ERRORS, Fault.SLOW, Fault.TWICE)))


def test_a_run_whose_invariants_do_not_hold_is_told() -> None:
    # No runtime lives on with a store that is broken: the scenario fails, and the sweep says so.
    attempt = Run("emitting", "trio", 9, Fault.BROKEN, lasts=False)
    with pytest.raises(Exception, match="can't be used"):
        attempt.execute()
    ((first, failure), *_) = sweep("emitting", "trio", faults=(Fault.BROKEN,), step=9)
    assert first.number == 1
    assert failure is not None


def test_the_command_prints_its_goal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "under_an_id", "--backend", "trio", "--faults", "busy"]) == 0
    assert capsys.readouterr().out.startswith("GOAL R5 0 PASS runs=")

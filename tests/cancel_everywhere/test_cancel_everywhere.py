"""Goal R4, in small: each scenario under one schedule. The whole is `python -m tests.cancel_everywhere`."""

import re
from collections.abc import Iterator

import anyio
import pytest

from postroom import Context, Event
from tests.cancel_everywhere.__main__ import main, shortest
from tests.cancel_everywhere.case import Case, Verdict
from tests.cancel_everywhere.one_run import run_case
from tests.cancel_everywhere.scenarios import SCENARIOS, WITH_THREADS
from tests.cancel_everywhere.schedule import LIBRARIES, Library
from tests.cancel_everywhere.sweep import sweep
from tests.cancel_everywhere.world import VICTIMS, World

SEED = 11


def test_there_are_scenarios_enough() -> None:
    assert len(SCENARIOS) >= 25


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_cancelled_call_leaves_nothing_half_done(name: str, library: Library) -> None:
    case = Case(scenario=name, library=library, victim="call", seed=SEED, step=0)
    wrong = {run.arguments: verdict.wrong for run, verdict in sweep_of(case) if verdict.wrong}
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), [*enumerate(SCENARIOS)])
def test_whatever_else_is_cancelled_leaves_nothing_half_done(number: int, name: str) -> None:
    victim, library = VICTIMS[1 + number % 4], LIBRARIES[number // 4 % 2]  # one each, since time is short here
    case = Case(scenario=name, library=library, victim=victim, seed=SEED, step=0)
    wrong = {run.arguments: verdict.wrong for run, verdict in sweep_of(case) if verdict.wrong}
    assert not wrong


def sweep_of(case: Case) -> Iterator[tuple[Case, Verdict]]:
    return sweep(case, SCENARIOS[case.scenario], threads=case.scenario in WITH_THREADS)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_same_seed_gives_the_same_run_and_another_one_another(library: Library) -> None:
    def traced(seed: int) -> list[tuple[str, str]]:
        trace: list[tuple[str, str]] = []

        async def busy(world: World) -> None:
            async def act(event: Event, context: Context) -> None:
                trace.append((context.subscription, event.id))
                await anyio.sleep(1)

            for name in "abc":
                await world.spawn(name, act, concurrency=2)
            async with anyio.create_task_group() as tasks:
                for number in range(4):
                    tasks.start_soon(world.runtime.emit_and_wait, "n", number)

        case = Case(scenario="busy", library=library, victim="call", seed=seed, step=1)
        assert not run_case(case, busy).wrong
        return trace

    first = traced(1)
    assert first == traced(1)
    assert any(traced(seed) != first for seed in range(2, 6))


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_wrong_is_found(library: Library) -> None:
    async def leaves_a_subscription_paused(world: World) -> None:
        subscription = await world.spawn("one")
        with world.at_risk():
            await subscription.pause()
            await anyio.sleep(1)
            await subscription.resume()

    case = Case(scenario="paused", library=library, victim="call", seed=SEED, step=0)
    found = [verdict for _, verdict in sweep(case, leaves_a_subscription_paused) if verdict.wrong]
    assert found
    assert any("gates are left in front of one" in what for verdict in found for what in verdict.wrong)


def test_the_command_prints_its_goal_and_takes_a_single_run(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--only", "emit", "--victim", "call,block", "--seeds", "1", "--seed", "5"])
    line = capsys.readouterr().out.strip()
    assert re.fullmatch(r"GOAL R4 0 PASS runs=\d+ steps=\d+ scenarios=1 victims=call,block .* seed=5 seconds=.*", line)
    assert status == 0
    case = Case(scenario="emit", library="trio", victim="call", seed=5, step=3, second=2)
    assert main(case.arguments.split()) == 0
    assert "GOAL R4 0 PASS runs=1 " in capsys.readouterr().out


def test_a_scenario_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--only", "nothing"])
    assert refused.value.code == 2


@pytest.mark.slow
def test_pairs_are_swept_in_the_shortest_scenarios() -> None:
    [name] = shortest(["spawn"], SEED)
    assert main(["--pairs", "--only", name, "--seeds", "1", "--seed", "3", "--backend", "asyncio"]) == 0

"""The simulator finds planted bugs, tells how to run them again, makes them small, and is repeatable itself."""

import contextlib
import io
import re
from collections.abc import Callable
from typing import Any

import pytest

from postroom.behaviour import SubscriptionBehaviour
from postroom.receipt import Receipt
from postroom_actors import Mailbox, Schedule

from . import __main__ as command
from . import schedules
from .campaign import Campaign, command_for, regressions, run_all, told
from .determinism import digests, digests_elsewhere
from .generator import generate
from .program import Emit, Program, Stop
from .running import run_program, run_seed
from .schedules import BACKENDS, Backend
from .shrinking import Shrinker, shown
from .sometimes import SITUATIONS, Sometimes


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_promise_is_broken_in_some_runs(backend: Backend) -> None:
    campaign = run_all(backend, range(40))
    assert not campaign.failures, "\n".join(told(campaign.failures[0]))
    assert campaign.runs == 40


@pytest.mark.parametrize("backend", BACKENDS)
def test_seeds_that_failed_once_fail_no_more(backend: Backend) -> None:
    campaign = run_all(backend, regressions(backend))
    assert not campaign.failures, "\n".join(told(campaign.failures[0]))


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_seed_does_the_same_again_here_and_in_another_process_with_other_hashes(backend: Backend) -> None:
    here = digests(backend, range(6))
    assert len(set(here)) == 6
    assert digests(backend, range(6)) == here
    assert digests_elsewhere(backend, range(6), 4242) == here


def test_the_program_of_a_seed_is_the_same_each_time_and_those_of_seeds_differ() -> None:
    assert generate(1) == generate(1)
    assert len({shown(generate(seed)) for seed in range(20)}) == 20


def forget_the_key(self: Any, delivery: Any, *, was_taken: bool) -> None:
    if self.when_settled and not self.tally.pending:
        for call in self.when_settled:
            call()


def wake_nobody(self: Any, outcome: Any) -> None:
    self.outcomes = [outcome] if self.outcomes is None else self.outcomes
    if outcome not in self.outcomes:
        self.outcomes.append(outcome)


def leave_the_line_standing(self: Any) -> None:
    pass


def forget_what_waits(self: Any, due_after: float = 0.0) -> list[Any]:
    return []


PLANTED: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "a key that is never released": (SubscriptionBehaviour, "_finish", forget_the_key),
    "a receipt that wakes nobody": (Receipt, "settle", wake_nobody),
    "a line that is never let in": (Mailbox, "admit_next", leave_the_line_standing),
    "a schedule that outlives its subscription": (Schedule, "cancel", forget_what_waits),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, method, wrong = PLANTED[name]
    monkeypatch.setattr(kind, method, wrong)
    assert run_all(backend, range(100), stop_at=1).failures


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failure_is_told_with_its_command_and_a_small_program(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mailbox, "admit_next", leave_the_line_standing)
    (failed,) = run_all(backend, range(100), stop_at=1).failures
    text = "\n".join(told(failed, shrinks=False))
    assert f"--backend {backend} --seed {failed.seed} --steps {failed.steps}" in text
    assert "BROKEN: " in text
    assert re.search(r"python 3\.\d+\.\d+, trio \S+, anyio \S+", text)
    with schedules.no_garbage():
        least = Shrinker(failed, most_runs=200).shrink()
    assert least.kind == failed.kind
    assert len(least.program.operations) <= 5 < len(failed.program.operations)
    with schedules.no_garbage():
        assert run_program(least.program, least.seed, backend).failure == least.failure


def test_the_command_that_runs_a_failure_again_runs_into_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Receipt, "settle", wake_nobody)
    (failed,) = run_all("trio", range(100), stop_at=1).failures
    words = command_for(failed).split()[3:]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert command.main(words) == 1
    assert str(failed.failure) in printed.getvalue()


def test_a_single_seed_prints_its_trace_as_far_as_it_is_asked_for() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert command.main(["--backend", "asyncio", "--seed", "3", "--steps", "30"]) == 0
    lines = printed.getvalue().splitlines()
    assert "30 steps" in lines[0]
    assert any("is at work" in line for line in lines)


def test_the_goal_is_printed_with_its_seed_and_missed_where_a_situation_never_came_about() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert command.main(["--backend", "trio", "--seeds", "3", "--first-seed", "5"]) == 0
        assert command.main(["--backend", "trio", "--seeds", "1", "--require-sometimes"]) == 1
    goals = [line for line in printed.getvalue().splitlines() if line.startswith("GOAL R1 ")]
    assert re.match(r"GOAL R1 0 PASS backend=trio seed=5 seeds=3 ", goals[0])
    assert re.match(r"GOAL R1 0 FAIL ", goals[1])
    assert "it never came about that" in printed.getvalue()


def test_a_night_has_a_block_of_seeds_of_its_own() -> None:
    first = command.parse(["--first-seed", "today"]).first_seed
    assert first % command.BLOCK == 0
    assert first > 700_000 * command.BLOCK


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--backend", "curio"], ["--check-determinism", "x"]])
def test_what_makes_no_sense_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught, contextlib.redirect_stderr(io.StringIO()):
        command.main(words)
    assert caught.value.code == 2


def test_a_situation_that_is_not_listed_cannot_be_counted() -> None:
    sometimes = Sometimes()
    sometimes.hit("expired")
    assert "expired" not in sometimes.missing()
    assert len(sometimes.missing()) == len(SITUATIONS) - 1
    with pytest.raises(AssertionError):
        sometimes.hit("never heard of")


def test_a_program_is_shown_without_what_is_as_usual() -> None:
    program = Program(operations=(Emit(drafts=()), Stop(which="s0", drain=False)), tick=0.5)
    assert shown(program) == "Program(tick=0.5):\n    Emit(drafts=())\n    Stop(which='s0', drain=False)"


def test_the_rate_of_a_campaign_is_counted_in_the_process_s_own_time() -> None:
    assert Campaign("trio", runs=10, seconds=2.0).rate == 5.0


def test_a_broken_run_ends_with_the_step_that_broke_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Receipt, "settle", wake_nobody)
    (failed,) = run_all("trio", range(100), stop_at=1).failures
    with schedules.no_garbage():
        again = run_seed(failed.seed, "trio", most_steps=failed.steps, traced=True)
    assert again.failure == failed.failure
    assert again.lines[-1].split()[0] == str(failed.steps)

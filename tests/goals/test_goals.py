"""The runner of all goals: what it runs, beside each other and alone, and what it makes of a failure."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.branches.__main__ import main as branches
from tests.bugbank.__main__ import main as bugbank
from tests.cancel_everywhere.__main__ import main as cancel_everywhere
from tests.cancel_everywhere.workflows import main as cancel_workflows
from tests.clock.__main__ import main as clock
from tests.crash.__main__ import main as crash
from tests.fault_everywhere.__main__ import main as fault_everywhere
from tests.fuzz.__main__ import main as fuzz
from tests.gate_unsafe.__main__ import main as gate_unsafe
from tests.goals import __main__ as goals
from tests.goals.lanes import Done, run, run_beside
from tests.goals.marked import main as marked
from tests.goals.programs import CHANGE, NIGHT, Program
from tests.lease.__main__ import main as lease
from tests.model.__main__ import main as model
from tests.poison.__main__ import main as poison
from tests.shutdown.__main__ import main as shutdown
from tests.simulation.__main__ import main as simulation
from tests.soak.__main__ import main as soak
from tests.workflows.__main__ import main as workflows

MAINS = {
    "branches": branches,
    "bugbank": bugbank,
    "cancel_everywhere": cancel_everywhere,
    "cancel_everywhere.workflows": cancel_workflows,
    "clock": clock,
    "crash": crash,
    "fault_everywhere": fault_everywhere,
    "fuzz": fuzz,
    "gate_unsafe": gate_unsafe,
    "goals.marked": marked,
    "lease": lease,
    "model": model,
    "poison": poison,
    "shutdown": shutdown,
    "simulation": simulation,
    "soak": soak,
    "workflows": workflows,
}

ROOT = Path(__file__).parent.parent.parent


def saying(text: str, status: int = 0) -> list[str]:
    return ["-c", f"import sys; print({text!r}); sys.exit({status})"]


def test_each_program_is_told_of_whole_with_its_status() -> None:
    told: list[Done] = []
    ended = run_beside([saying("one"), saying("two", 3)], 2, told.append)
    assert sorted((done.output, done.status) for done in ended) == [("one\n", 0), ("two\n", 3)]
    assert told == ended


def test_in_one_lane_they_follow_each_other() -> None:
    ended = run_beside([saying("one"), saying("two"), saying("three")], 1, lambda _done: None)
    assert [done.output for done in ended] == ["one\n", "two\n", "three\n"]


def test_what_is_printed_on_either_stream_is_kept_in_its_order() -> None:
    script = "import sys; print(1, flush=True); print(2, file=sys.stderr, flush=True); print(3)"
    assert run(["-c", script]).output == "1\n2\n3\n"


@pytest.mark.parametrize("program", [*CHANGE, *NIGHT], ids=lambda program: program.command)
def test_the_command_of_every_program_is_understood(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    _, name, *arguments = program.arguments
    with pytest.raises(SystemExit) as explained:
        MAINS[name.removeprefix("tests.")]([*arguments, "--help"])
    assert explained.value.code == 0
    assert "usage:" in capsys.readouterr().out


class Some(Program):
    """A program of the test's own."""

    @property
    def arguments(self) -> list[str]:
        return saying(self.command, int("FAIL" in self.command))


@pytest.mark.parametrize(("verdict", "status"), [("PASS", 0), ("FAIL", 1)])
def test_one_goal_that_is_missed_fails_the_run(
    verdict: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = (Some(["R1"], "GOAL R1 0 PASS"), Some(["R9"], f"GOAL R9 0 {verdict}", alone=True))
    monkeypatch.setattr(goals, "CHANGE", programs)
    assert goals.main([]) == status
    printed = capsys.readouterr().out
    assert f"GOALS {status} {verdict} programs=2 lines=2 " in printed
    assert (" ended with status 1:" in printed) == (verdict == "FAIL")


def test_only_those_asked_for_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert goals.main(["--list", "--only", "S1"]) == 0
    assert capsys.readouterr().out == "S1: python -m tests.gate_unsafe\n"


@pytest.mark.parametrize("arguments", [["--only", "R99"], ["--lanes", "0"], ["--sometimes"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        goals.main(arguments)
    assert refused.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "branches --seeds 0",
        "branches --only tests/nowhere",
        "cancel_everywhere --seeds 0",
        "cancel_everywhere --seeds many",
        "cancel_everywhere --second 2",
        "cancel_everywhere --pairs --step 3",
        "clock --cycles 0",
        "crash sqlite --cycles none",
        "fault_everywhere --faults everything",
        "fault_everywhere --scenario nothing",
        "fault_everywhere --backend curio",
        "fuzz --inputs 0",
        "fuzz --input -4",
        "gate_unsafe --nonsense",
        "poison --load 0",
        "poison --module paper",
        "soak --seconds nan",
        "soak --seconds soon",
        "soak --rounds 1",
    ],
)
def test_a_program_refuses_what_makes_no_sense_in_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *arguments = command.split()
    with pytest.raises(SystemExit) as refused:
        MAINS[name](arguments)
    assert refused.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"{name}: error: ")
    assert "invalid _" not in last


def test_a_goal_without_a_mark_is_refused() -> None:
    with pytest.raises(SystemExit) as refused:
        marked(["R1"])
    assert refused.value.code == 2


def test_make_lists_what_it_can_do() -> None:
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"make goals", "make soak", "make coverage"} <= {
        line.strip().partition("\t")[0][:13].rstrip() for line in printed.splitlines()
    }


def test_the_interpreter_is_the_tests_own() -> None:
    assert run(["-c", "import sys; print(sys.executable)"]).output.strip() == sys.executable

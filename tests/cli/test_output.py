"""What a command says has somewhere to go, or the command ends with a word of why."""

import shlex
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from postroom import Runtime
from postroom.modules.sqlite import SqliteModule

from .processes import ROOT, environment

PROGRAM = shlex.join([sys.executable, "-m", "postroom"])
FULL = ["postroom: the output can't be written: No space left on device"]

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> str:
    async def make() -> None:
        async with Runtime(module=SqliteModule(tmp_path / "events.db")):
            pass

    anyio.run(make)
    return f"sqlite:{tmp_path / 'events.db'}"


def say(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment(), check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        "emit order.placed 1",
        "emit order.placed --json",
        "subscriptions list",
        "dead list",
        "top --once",
        "top --once --json",
    ],
)
def test_a_full_disk_under_the_output_is_told_in_one_line(command: str, store: str) -> None:
    ended = say(f"{PROGRAM} {command} --module {store} > /dev/full")
    assert (ended.stderr.splitlines(), ended.returncode) == (FULL, 1)


def test_a_full_disk_under_the_help_is_told_in_one_line() -> None:
    ended = say(f"{PROGRAM} --help > /dev/full")
    assert ended.stderr.splitlines() == FULL
    assert ended.returncode == 1


def test_tail_ends_quietly_once_nobody_reads_it_any_more(store: str) -> None:
    emits = f"for n in 1 2 3 4 5 6; do sleep 1; {PROGRAM} emit order.placed $n --module $1 > /dev/null; done"
    command = f"set -- {store}; ({emits}) & {PROGRAM} tail --module $1 | head -n 1; echo ${{PIPESTATUS[0]}}"
    ended = say(command)
    assert ended.stderr == ""
    assert ended.stdout.splitlines()[-1] == "141"

"""`postroom run` where a service falls, or can't end: what is said, and the status."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from .asking import Capture, asked
from .processes import AT_WORK, PATIENCE, environment, postroom, running

SERVICE: Final = "tests.cli.unwell"
BACKENDS: Final = pytest.mark.parametrize("backend", ["trio", "asyncio"])


@pytest.mark.slow
@BACKENDS
def test_a_service_that_can_not_be_made_has_fallen_and_its_traceback_tells_no_password(
    tmp_path: Path, backend: str
) -> None:
    done = postroom(tmp_path, "run", f"{SERVICE}:defect", "--backend", backend)
    assert (done.returncode, done.stdout) == (1, "")
    assert "postroom: the service has fallen:" in done.stderr
    assert "LookupError: no settings at redis://shop:***@host/0" in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.slow
def test_an_error_of_postroom_is_a_line_also_where_it_comes_in_a_group(tmp_path: Path) -> None:
    done = postroom(tmp_path, "run", f"{SERVICE}:defects")
    assert done.returncode == 2
    assert done.stderr == "postroom: REDIS='': must be set\n"


@pytest.mark.slow
def test_a_service_may_end_its_program_with_a_word_of_its_own(tmp_path: Path) -> None:
    done = postroom(tmp_path, "run", f"{SERVICE}:exiting")
    assert (done.returncode, done.stderr) == (1, "no settings\n")


@pytest.mark.slow
@BACKENDS
@pytest.mark.parametrize(
    ("service", "raised"), [("interrupting", "KeyboardInterrupt"), ("exiting_in_a_handler", "SystemExit")]
)
def test_a_handler_that_raises_what_ends_programs_ends_the_service_with_status_1(
    tmp_path: Path, backend: str, service: str, raised: str
) -> None:
    done = postroom(tmp_path, "run", f"{SERVICE}:{service}", "--backend", backend)
    assert done.returncode == 1
    assert f"postroom: a handler raised {raised}" in done.stderr


@pytest.mark.slow
@BACKENDS
def test_what_waits_in_memory_when_the_grace_is_over_is_counted_as_lost(tmp_path: Path, backend: str) -> None:
    with running(tmp_path, "run", f"{SERVICE}:full", "--backend", backend) as service:
        service.wait_for("given")
        service.wait_for("begun 0")
        service.signal()
        assert service.status() == 1
    assert "postroom: cut short: slow with slow 0 in attempt 1" in service.errors
    assert "postroom: 2 deliveries were waiting in memory, and are lost" in service.errors


@pytest.mark.slow
def test_the_role_that_the_command_line_names_wins(tmp_path: Path) -> None:
    with running(tmp_path, "run", f"{SERVICE}:handling", "--role", "emit") as service:
        service.wait_for(AT_WORK)
        assert "role emit" in service.errors
        service.signal()
        assert service.status() == 0


@pytest.mark.slow
def test_a_thread_that_a_service_leaves_behind_does_not_keep_its_process(tmp_path: Path) -> None:
    with running(tmp_path, "run", f"{SERVICE}:lingering") as service:
        service.wait_for(AT_WORK)
        service.signal()
        assert service.status() == 0
    assert "ended by force" not in service.errors


@pytest.mark.slow
def test_a_fork_of_a_service_ends_at_a_signal_as_any_process_does(tmp_path: Path) -> None:
    (tmp_path / "forking.py").write_text(
        "import os, time\n"
        "from postroom import Runtime\n"
        "def runtime():\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        time.sleep(300)\n"
        "        os._exit(0)\n"
        "    print('forked', child, flush=True)\n"
        "    print('ended with', os.waitpid(child, 0)[1], flush=True)\n"
        "    return Runtime()\n"
    )
    with running(tmp_path, "run", "forking:runtime") as service:
        service.wait_for("forked")
        os.kill(int(service.said.split()[1]), signal.SIGTERM)
        service.wait_for("ended with 15")
        service.wait_for(AT_WORK)
        service.signal()
        assert service.status() == 0


@pytest.mark.slow
def test_only_the_end_of_what_a_worker_reads_tells_it_that_its_parent_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "postroom", "run", "tests.cli.quiet:runtime", "--worker", "1"]
    worker = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert worker.stdin is not None
    assert worker.stderr is not None
    with worker:
        worker.stdin.write("anything\n")
        worker.stdin.flush()
        assert AT_WORK in worker.stderr.readline()
        worker.stdin.close()
        assert worker.wait(PATIENCE) == 0
        assert "draining" in worker.stderr.read()


@pytest.mark.parametrize("command", [["dead", "list"], ["subscriptions", "list"]])
def test_a_command_that_is_told_to_end_before_it_has_an_answer_says_so(capsys: Capture, command: list[str]) -> None:
    status, out, err = asked(capsys, *command, "--app", f"{SERVICE}:interrupted_while_made")
    assert (status, out, err) == (128 + signal.SIGTERM, "", "postroom: interrupted\n")

"""`postroom run`, as a real process with real signals (reliability scenarios 10, 75 and 76)."""

import json
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Final

import pytest

from tests.modules.sqlite.test_migration import old_file

from .processes import AT_WORK, postroom, running

pytestmark = pytest.mark.slow

SERVICE: Final = "tests.cli.service"
BACKENDS: Final = pytest.mark.parametrize("backend", ["trio", "asyncio"])

SOON: Final = 15.0
"""Seconds that are far more than an end at once takes, and far less than what would be waited for otherwise."""


@BACKENDS
def test_a_service_at_rest_ends_at_sigterm_with_status_0_and_takes_its_socket_away(
    tmp_path: Path, backend: str
) -> None:
    with running(tmp_path, "run", f"{SERVICE}:runtime", "--backend", backend, "--control", "c.sock") as service:
        service.wait_for(AT_WORK)
        assert (tmp_path / "c.sock").stat().st_mode & 0o777 == 0o600
        service.signal()
        assert service.status() == 0
    assert not (tmp_path / "c.sock").exists()
    assert "Traceback" not in service.errors


@BACKENDS
def test_75_a_handler_that_ends_within_the_grace_ends_and_the_status_is_0(tmp_path: Path, backend: str) -> None:
    arguments = (f"{SERVICE}:busy", "--backend", backend, "--drain", "60")
    with running(tmp_path, "run", *arguments, env={"BUSY_FOR": "1"}) as service:
        service.wait_for("begun one")
        service.signal()
        assert service.status() == 0
    assert "ended one" in service.said


@BACKENDS
def test_75_what_the_grace_cuts_short_is_listed_and_goes_back_and_the_status_is_1(tmp_path: Path, backend: str) -> None:
    with running(tmp_path, "run", f"{SERVICE}:busy_durable", "--backend", backend) as service:
        service.wait_for("given")
        service.wait_for("begun", 4)
        service.signal()
        assert service.status() == 1
    cut = [line for line in service.errors.splitlines() if line.startswith("postroom: cut short: worker with job.one ")]
    begun = {line.split()[1] for line in service.said.splitlines() if line.startswith("begun")}
    assert {line.split()[6] for line in cut} == begun
    db = sqlite3.connect(tmp_path / "shop.db")
    waiting = db.execute("SELECT count(*), sum(losses), sum(attempts) FROM waiting").fetchone()
    db.close()
    assert waiting == (6, 0, 0)


@BACKENDS
def test_76_a_second_signal_ends_at_once_also_where_it_is_another_one(tmp_path: Path, backend: str) -> None:
    with running(tmp_path, "run", f"{SERVICE}:busy", "--backend", backend, "--drain", "300") as service:
        service.wait_for("begun one")
        service.signal(signal.SIGTERM)
        service.wait_for("draining")
        sent = service.signal(signal.SIGINT)
        assert service.status() == 1
        assert time.monotonic() - sent < SOON
    assert "cut short: worker with job.one one in attempt 1" in service.errors
    assert "Traceback" not in service.errors


@BACKENDS
def test_76_a_signal_while_the_runtime_is_made_ends_it_and_nothing_has_begun(tmp_path: Path, backend: str) -> None:
    with running(tmp_path, "run", f"{SERVICE}:slow_start", "--backend", backend) as service:
        service.wait_for("making")
        sent = service.signal()
        assert service.status() == 0
        assert time.monotonic() - sent < SOON
    assert "Traceback" not in service.errors


def test_76_a_signal_while_the_code_is_imported_ends_it_and_nothing_has_begun(tmp_path: Path) -> None:
    with running(tmp_path, "run", "tests.cli.importing:runtime") as service:
        service.wait_for("importing")
        sent = service.signal(signal.SIGINT)
        assert service.status() == 0
        assert time.monotonic() - sent < SOON
    assert service.errors == ""


@BACKENDS
@pytest.mark.parametrize("before", ["no file", "a file of version 1"])
def test_76_a_signal_while_the_store_is_made_or_migrated_ends_it_and_leaves_a_store_that_can_be_used(
    tmp_path: Path, backend: str, before: str
) -> None:
    if before == "a file of version 1":
        old_file(tmp_path / "shop.db").close()
    other = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")  # so that the making of the tables waits, in the store's own thread
    with running(tmp_path, "run", f"{SERVICE}:durable", "--backend", backend) as service:
        until = time.monotonic() + 3
        while not (tmp_path / "shop.db-wake").exists() and time.monotonic() < until:
            time.sleep(0.01)
        sent = service.signal()
        status = service.status()
        assert time.monotonic() - sent < SOON
    version = other.execute("PRAGMA user_version").fetchone()
    assert version == (0 if before == "no file" else 1,)
    other.execute("ROLLBACK")
    other.close()
    assert status in (0, 1, -signal.SIGTERM)  # where the signal came before anything had begun, it is the system's end
    assert "Traceback" not in service.errors
    with running(tmp_path, "run", f"{SERVICE}:durable", "--backend", backend) as service:
        service.wait_for(AT_WORK)
        service.signal()
        assert service.status() == 0


@BACKENDS
def test_10_a_handler_that_shields_itself_is_named_and_the_process_ends_with_status_1(
    tmp_path: Path, backend: str
) -> None:
    with running(tmp_path, "run", f"{SERVICE}:with_shield", "--backend", backend, "--control", "c.sock") as service:
        service.wait_for("begun one")
        sent = service.signal()
        assert service.status() == 1
        assert time.monotonic() - sent < SOON
    assert "ended by force: still at work: stubborn" in service.errors
    assert not (tmp_path / "c.sock").exists()


def test_several_processes_share_a_store_a_dead_one_is_replaced_and_all_end_together(tmp_path: Path) -> None:
    arguments = ("--processes", "2", "--control", "c.sock")
    with running(tmp_path, "run", f"{SERVICE}:durable", *arguments) as service:
        service.wait_for(AT_WORK, 2)
        first = postroom(tmp_path, "top", "--once", "--json", "--control", "c.sock.1")
        os.kill(json.loads(first.stdout)["process"], signal.SIGKILL)
        service.wait_for("process 1 ended with signal 9: starting another one")
        service.wait_for(AT_WORK, 3)
        service.signal(signal.SIGINT)
        assert service.status() == 0
    assert service.errors.count("draining") == 2


def test_the_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, "run", f"{SERVICE}:durable", "--processes", "2") as service:
        service.wait_for(AT_WORK, 2)
        service.process.kill()
        service.process.wait()
        until = time.monotonic() + SOON
        while service.errors.count("draining") < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert service.errors.count("draining") == 2


def test_several_processes_need_a_store_that_they_share(tmp_path: Path) -> None:
    done = postroom(tmp_path, "run", f"{SERVICE}:runtime", "--processes", "2")
    assert done.returncode == 2
    assert "`--processes` needs the capability 'shared'" in done.stderr
    assert "can't be kept running" in done.stderr


def test_a_change_of_the_code_starts_the_service_again(tmp_path: Path) -> None:
    code = "from postroom import Runtime\nprint('release', {}, flush=True)\nruntime = Runtime()\n"
    (tmp_path / "own.py").write_text(code.format(1))
    with running(tmp_path, "run", "own:runtime", "--reload", env={"PYTHONDONTWRITEBYTECODE": "1"}) as service:
        service.wait_for("release 1")
        service.wait_for(AT_WORK)
        (tmp_path / "own.py").write_text("this is no Python")
        service.wait_for("waiting for a change of the code")
        (tmp_path / "own.py").write_text(code.format(22))
        service.wait_for("release 22")
        service.wait_for(AT_WORK, 2)
        service.signal()
        assert service.status() == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing.there:runtime"], "there is no module 'nothing'"),
        ([f"{SERVICE}"], "write `module:attribute`"),
        ([f"{SERVICE}:nothing"], f"module '{SERVICE}' has no 'nothing'"),
        ([f"{SERVICE}:not_a_runtime"], "made 'nothing', and not a Runtime"),
        ([f"{SERVICE}:runtime", "--role", "handle"], "needs the capability 'shared'"),
        ([f"{SERVICE}:runtime", "--role", "nobody"], "--role"),
        ([f"{SERVICE}:runtime", "--drain", "-1"], "--drain"),
        ([f"{SERVICE}:runtime", "--control", "no/such/folder/c.sock"], "no control socket at"),
        ([f"{SERVICE}:runtime", "--control", "x" * 200], "no control socket at"),
        ([], "requires an argument"),
    ],
)
def test_what_can_not_be_run_is_said_in_a_line_and_the_status_is_2(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    done = postroom(tmp_path, "run", *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_that_another_process_serves_is_left_alone(tmp_path: Path) -> None:
    with running(tmp_path, "run", f"{SERVICE}:runtime", "--control", "c.sock") as service:
        service.wait_for(AT_WORK)
        done = postroom(tmp_path, "run", f"{SERVICE}:runtime", "--control", "c.sock")
        assert (done.returncode, "another process serves there" in done.stderr) == (2, True)
        service.process.kill()
        service.process.wait()
    with running(tmp_path, "run", f"{SERVICE}:runtime", "--control", "c.sock") as service:  # of the killed one
        service.wait_for(AT_WORK)
        service.signal()
        assert service.status() == 0


def test_what_is_no_socket_is_not_taken_away(tmp_path: Path) -> None:
    (tmp_path / "c.sock").write_text("something of the user's")
    done = postroom(tmp_path, "run", f"{SERVICE}:runtime", "--control", "c.sock")
    assert (done.returncode, "there is something else" in done.stderr) == (2, True)
    assert (tmp_path / "c.sock").read_text() == "something of the user's"

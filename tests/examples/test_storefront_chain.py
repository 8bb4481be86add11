"""The storefront as a chain: several processes, one of which is killed, and runs that are stopped and begun again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from examples.storefront import server
from examples.storefront.__main__ import ORDERS, main
from examples.storefront.books import Books
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(["runtime", "actors", "."])}
PATIENCE = 120

ALL = {
    "orders": 6919,
    "customers": 2357,
    "cds": 16479,
    "revenue": "244091.94",
    "free_orders": 8,
    "welcomed": 2357,
    "deliveries": 43871,
    "succeeded": 43871,
    "failed": 0,
}
"""What the shop's orders come to, also in one process."""

pytestmark = pytest.mark.slow


@pytest.fixture(params=["trio", "asyncio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def chain(*arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "examples.storefront", "--json", "--tills", "64", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def result_of(process: "subprocess.Popen[bytes]", status: int = 0) -> dict[str, Any]:
    try:
        printed, told = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == status, told.decode()
    result: dict[str, Any] = json.loads(printed)
    return result


def test_three_processes_of_which_one_is_killed_half_way_come_to_the_same_totals(tmp_path: Path, backend: str) -> None:
    module = f"sqlite:{tmp_path / 'events.db'}"
    options = ["--processes", "3", "--kill-one", "3000", "--fail", "0.05", "--crash", "0.01", "--backend", backend]
    result = result_of(chain("--module", module, *options))
    assert {name: result[name] for name in ALL} == ALL


def test_on_redis_a_process_and_the_server_are_killed_and_the_totals_are_the_same(backend: str) -> None:
    options = ["--processes", "3", "--kill-one", "3000", "--kill-server", "4500", "--backend", backend]
    result = result_of(chain("--module", "redis", "--fail", "0.05", "--crash", "0.01", *options))
    assert {name: result[name] for name in ALL} == ALL


@pytest.fixture(params=["sqlite", "redis"])
def module(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'events.db'}"
        return
    with RedisServer() as own:
        yield f"redis:{own.url}"


def test_a_chain_that_is_stopped_half_way_goes_on_where_it_was(tmp_path: Path, backend: str, module: str) -> None:
    some = tmp_path / "some.csv"
    with ORDERS.open("rb") as file:
        some.write_bytes(b"".join(islice(file, 1501)))
    books = Books(tmp_path / "books")
    options = ["--orders", str(some), "--module", module, "--books", str(books.path)]
    options += ["--processes", "2", "--backend", backend]
    first = chain(*options)
    assert first.stderr is not None
    while not books.path.exists() or not _orders_in(books):
        assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    stopped = result_of(first, status=128 + signal.SIGTERM)
    assert 0 < stopped["orders"] < 1500
    again = result_of(chain(*options))
    assert again["orders"] == 1500
    assert again["deliveries"] == again["succeeded"] == 6 * 1500 + again["welcomed"]
    assert again["welcomed"] == again["customers"]


def _orders_in(books: Books) -> int:
    try:
        return books.totals().orders
    except Exception:  # its tables are being made
        return 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--processes", "2"], "need a module that processes share"),
        (["--module", "rabbit"], "use local, sqlite:FILE, redis or redis:URL"),
        (["--module", "sqlite:"], "use local, sqlite:FILE, redis or redis:URL"),
        (["--module", "redis:localhost"], "use local, sqlite:FILE, redis or redis:URL"),
        (["--module", "redis:redis://localhost:x"], "a port that is none"),
        (["--module", "redis:redis://localhost", "--kill-server", "5"], "needs a server of the run's own"),
        (["--module", "redis://localhost:x"], "a port that is none"),
        (["--module", "sqlite:x", "--processes", "0"], "from 1 to 64"),
        (["--module", "sqlite:x", "--kill-one", "5"], "--processes 2 or more"),
    ],
)
def test_what_makes_no_sense_ends_with_status_2(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_an_error_about_a_module_has_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--module", "rediz://shop:Tr0ub4dor@host"])
    told = capsys.readouterr().err
    assert "use local, sqlite:FILE, redis or redis:URL" in told
    assert "Tr0ub4dor" not in told


def test_a_url_alone_is_that_of_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--module", "redis://127.0.0.1:1", "--books", str(tmp_path / "books")]) == 2
    assert "redis://127.0.0.1:1/0 can't be reached" in capsys.readouterr().err


def test_a_file_that_is_no_database_is_told_of_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at. " * 100)
    assert main(["--module", f"sqlite:{path}"]) == 2
    assert str(path) in capsys.readouterr().err
    assert path.read_text().startswith("not a database")


def test_where_there_is_no_server_to_start_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "PROGRAMS", ())
    monkeypatch.setattr(server, "packaged", lambda: None)
    assert main(["--module", "redis"]) == 2
    told = capsys.readouterr().err
    assert "install Redis" in told
    assert told.count("\n") == 1


def test_where_no_server_answers_a_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = "redis:redis://127.0.0.1:1"
    assert main(["--module", module, "--books", str(tmp_path / "books")]) == 2
    told = capsys.readouterr().err
    assert "can't be reached" in told
    assert told.count("\n") == 1

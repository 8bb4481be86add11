"""The storefront as a chain: several processes, one of which is killed, and runs that are stopped and begun again."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
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
COMMAND = [sys.executable, "-m", "examples.storefront", "--json"]

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
    command = [*COMMAND, "--tills", "64", *arguments]
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


def test_books_are_not_begun_for_a_module_that_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at. " * 100)
    assert main(["--module", f"sqlite:{path}"]) == 2
    folder = tmp_path / "folder"
    folder.mkdir()
    assert main(["--module", f"sqlite:{folder}", "--processes", "2"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "notes.txt"]


def test_books_are_not_begun_for_orders_that_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--module", f"sqlite:{tmp_path / 'events.db'}", "--orders", str(tmp_path / "none")]) == 2
    assert "can't read" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_books_that_cant_be_opened_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    books = tmp_path / "none" / "books"
    assert main(["--module", f"sqlite:{tmp_path / 'events.db'}", "--books", str(books)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"storefront: can't use the books {str(books)!r}: ")
    assert told.count("\n") == 1


def test_a_kill_after_more_orders_than_there_are_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = f"sqlite:{tmp_path / 'events.db'}"
    assert main(["--module", module, "--processes", "2", "--kill-one", "6920"]) == 2
    assert "--kill-one 6920: nobody is killed, since there are only 6,919 orders" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_kill_after_more_orders_than_a_pipe_brings_is_told_of_at_the_end(tmp_path: Path) -> None:
    options = ["--orders", "/dev/stdin", "--module", f"sqlite:{tmp_path / 'events.db'}"]
    command = [*COMMAND, *options, "--processes", "2", "--kill-one", "9"]
    row = b"1997-01-01,00001,2,10.50\n"
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, input=row, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert json.loads(done.stdout)["orders"] == 1
    assert b"--kill-one 9: nobody is killed, since there are only 1 orders" in done.stderr


def test_a_store_that_cant_be_written_is_waited_for_only_so_long(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "events.db"
    options = ["--module", f"sqlite:{path}", "--processes", "2", "--backend", backend]
    program = "import examples.storefront.replay as r, runpy, sys; r.FINISH_WITHIN = 2.0; "
    program += "sys.argv[0] = 'storefront'; runpy.run_module('examples.storefront', run_name='__main__')"
    books = Books(Path(f"{path}.books"))
    with subprocess.Popen(
        [sys.executable, "-c", program, "--json", *options],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        alarm = threading.Timer(PATIENCE, process.kill)
        alarm.start()
        assert process.stderr is not None
        while not books.path.exists() or not _orders_in(books):
            assert process.poll() is None
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            process.send_signal(signal.SIGTERM)
            told = process.stderr.read()
            process.wait()
        alarm.cancel()
    assert process.returncode == 128 + signal.SIGTERM
    assert re.search(
        rb"leaving after 2 s; \d orders in hand are not finished: the store keeps what it has accepted", told
    )

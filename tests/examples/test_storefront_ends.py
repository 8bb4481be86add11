"""The storefront as a process: how it ends, and what reaches the terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(["runtime", "actors", "."]), "COLUMNS": "80"}
ROWS = b"".join(b"1997-01-%02d,%05d,2,10.50\n" % (n, n) for n in range(1, 5))
FINISHING = b"storefront: finishing the orders in hand; once more to leave at once\n"

pytestmark = pytest.mark.slow


@pytest.fixture(params=["trio", "asyncio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def four_orders(tmp_path: Path) -> str:
    path = tmp_path / "orders.csv"
    path.write_bytes(ROWS)
    return str(path)


@contextmanager
def storefront(*arguments: str, **options: Any) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "examples.storefront", *arguments]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **{"cwd": ROOT, "env": ENVIRONMENT, **pipes, **options}) as process:
        alarm = threading.Timer(30, process.kill)  # a process that hangs fails its test by its status
        alarm.start()
        try:
            yield process
        finally:
            alarm.cancel()
            process.kill()


def feed(process: "subprocess.Popen[bytes]", rows: bytes) -> None:
    """Feed rows and one that is rejected, and return when it was: the orders before it are in hand by then."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(rows + b"bad\n")
    process.stdin.flush()
    assert b"it has 1 fields" in process.stderr.readline()


def interrupt(process: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGINT) -> None:
    """Send a signal, and return when the process says that it has heard."""
    assert process.stderr is not None
    process.send_signal(number)
    assert process.stderr.readline() == FINISHING


def end_of(process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    """What the process prints until it ends, while its standard input stays open."""
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    process.wait()
    return out, err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_the_totals_of_what_was_done_so_far(
    backend: str, number: signal.Signals, status: int
) -> None:
    # Each mail is tried four times: what is printed was waited for.
    with storefront("--orders=/dev/stdin", "--fail=1", "--json", f"--backend={backend}") as process:
        feed(process, ROWS)
        interrupt(process, number)
        out, err = end_of(process)
    assert (process.returncode, err) == (status, b"")
    result = json.loads(out)
    assert (result["orders"], result["revenue"], result["rejected_rows"]) == (4, "42.00", 1)
    assert result["deliveries"] == 6 * 4 + 4
    assert result["deliveries"] == result["succeeded"] + result["failed"]
    assert result["failed"] == result["dead_letters"] == 8


def test_ctrl_c_prints_the_tables_of_what_was_done_so_far() -> None:
    with storefront("--orders=/dev/stdin", "--fail=0") as process:
        feed(process, ROWS)
        interrupt(process)
        out, err = end_of(process)
    assert (process.returncode, err) == (130, b"")
    assert "revenue        42.00" in out.decode()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_it_at_once(backend: str, number: signal.Signals, status: int) -> None:
    with storefront("--orders=/dev/stdin", "--pack=60", "--json", f"--backend={backend}") as process:
        feed(process, ROWS)
        interrupt(process)
        process.send_signal(number)
        out, err = end_of(process)
    assert (process.returncode, out, err) == (status, b"", b"")


def test_ctrl_c_ends_a_wait_for_a_fifo_that_is_silent(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with storefront(f"--orders={path}", "--json", f"--backend={backend}") as process:
        writer = os.open(path, os.O_WRONLY)  # returns when the process has opened it
        interrupt(process)
        out, _ = end_of(process)
        os.close(writer)
    assert process.returncode == 130
    assert json.loads(out)["orders"] == 0


def test_ctrl_c_ends_an_input_that_never_ends(backend: str) -> None:
    with (
        subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes,
        storefront("--orders=/dev/stdin", "--json", f"--backend={backend}", stdin=yes.stdout) as process,
    ):
        assert process.stderr is not None
        told = [process.stderr.readline() for _ in range(21)]
        interrupt(process)
        out, _ = end_of(process)
        yes.kill()
    assert told[20] == b"more rejected rows follow; they are only counted\n"
    assert process.returncode == 130
    assert json.loads(out)["rejected_rows"] > 20


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("output", [["--json"], []])
def test_an_output_that_nobody_reads_is_one_clear_line(output: list[str], unbuffered: str, four_orders: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    with storefront("--orders", four_orders, *output, stdout=writer, env=environment) as process:
        os.close(writer)
        _, err = process.communicate()
    assert (process.returncode, err) == (1, b"storefront: can't write to standard output: Broken pipe\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("output", [["--json"], []])
def test_a_full_disk_is_one_clear_line(output: list[str], unbuffered: str, four_orders: str) -> None:
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    with (
        open("/dev/full", "wb") as full,
        storefront("--orders", four_orders, *output, stdout=full, env=environment) as process,
    ):
        _, err = process.communicate()
    assert (process.returncode, err) == (1, b"storefront: can't write to standard output: No space left on device\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_for_its_messages_changes_nothing_else(unbuffered: str) -> None:
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    with (
        open("/dev/full", "wb") as full,
        storefront("--orders=/dev/stdin", "--json", stderr=full, env=environment) as process,
    ):
        out, _ = process.communicate(b"bad\n" + ROWS)
    assert process.returncode == 0
    assert (json.loads(out)["orders"], json.loads(out)["rejected_rows"]) == (4, 1)


def test_a_terminal_sees_a_progress_bar(four_orders: str) -> None:
    main, end = pty.openpty()
    with storefront("--orders", four_orders, stderr=end, env={**ENVIRONMENT, "TERM": "xterm"}) as process:
        out, _ = process.communicate()
    os.close(end)  # so that reading fails, rather than waits, where nothing was written
    seen = os.read(main, 64 * 1024)
    os.close(main)
    assert process.returncode == 0
    assert b" orders" in seen
    assert b"\xe2\x94\x81" in seen  # the bar's line
    assert b"\x1b" not in out


def test_without_a_terminal_there_is_neither_a_progress_bar_nor_a_color(four_orders: str) -> None:
    with storefront("--orders", four_orders) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"\x1b" not in out


def test_dead_letters_are_counted_in_the_report_and_not_told_one_by_one(four_orders: str) -> None:
    with storefront("--orders", four_orders, "--fail=1") as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert "dead letters: 8\nmailer: MailServerBusy in attempt 4  8\n" in out.decode()

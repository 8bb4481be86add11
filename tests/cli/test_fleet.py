"""The parent of several processes: what it does with children that fail, and which files it watches."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from postroom.cli.fleet import Fleet, Place, stamps_of

SLEEPS: Final = "import time; print('begun', flush=True); time.sleep(300)"

STUBBORN: Final = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit({status}))
open("begun" + sys.argv[-1], "w").close()
time.sleep(300)
"""


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The handlers of signals are those of before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def started(monkeypatch: pytest.MonkeyPatch, then: Any = lambda place: None) -> list[Any]:
    """The processes that are started from now on; `then` is called after each."""
    found: list[Any] = []
    start = Place.start

    def start_and_note(place: Place, command: Any) -> None:
        start(place, command)
        found.append(place.process)
        then(place)

    monkeypatch.setattr(Place, "start", start_and_note)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("status", [0, 3])
def test_after_a_signal_the_worst_status_of_the_children_is_the_parent_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.chdir(tmp_path)
    looks: list[None] = []

    def sleep(seconds: float) -> None:
        real(seconds)
        if len(list(tmp_path.glob("begun*"))) == 2 and not looks:
            looks.append(None)
            os.kill(os.getpid(), signal.SIGTERM)

    real = time.sleep
    monkeypatch.setattr(time, "sleep", sleep)
    children = started(monkeypatch)
    assert Fleet([sys.executable, "-c", STUBBORN.format(status=status)], 2).run() == status
    assert [child.returncode for child in children] == [status, status]


@pytest.mark.slow
def test_a_signal_while_the_children_are_started_starts_no_more_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    children = started(monkeypatch, lambda place: os.kill(os.getpid(), signal.SIGTERM))
    assert Fleet([sys.executable, "-c", SLEEPS], 3).run() == 0
    assert [child.returncode for child in children] == [-signal.SIGTERM]


@pytest.mark.slow
def test_no_child_outlives_a_parent_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(place: Place) -> bool:
        raise MemoryError

    children = started(monkeypatch, lambda place: place.number == 2 and place.process.kill())
    monkeypatch.setattr(Place, "may_restart", fail)
    with pytest.raises(MemoryError):
        Fleet([sys.executable, "-c", SLEEPS], 2).run()
    for child in children:
        child.stdin.close()
    assert [child.returncode for child in children] == [-signal.SIGKILL, -signal.SIGKILL]


def test_python_files_of_all_folders_are_watched_but_for_those_that_nobody_writes(tmp_path: Path) -> None:
    for name in ("shop.py", "notes.txt", "web/pages/order.py", ".git/hook.py", "web/__pycache__/order.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    found = dict(stamps_of(tmp_path))
    assert sorted(found) == [str(tmp_path / "shop.py"), str(tmp_path / "web/pages/order.py")]
    assert found[str(tmp_path / "shop.py")] == (tmp_path / "shop.py").stat().st_mtime


def test_a_folder_that_can_not_be_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.py").write_text("")
    (tmp_path / "private").mkdir()
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [Path(path).name for path, _ in stamps_of(tmp_path)] == ["shop.py"]

"""The pytest plugin as a user has it: found by its entry point, in a pytest of its own."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

TEST = """
import pytest
from postroom import Context, Event, NotPortable, Retry, constant, subscriber
from postroom.testing import failing, slow

@subscriber("order.placed", retry=Retry(attempts=2, backoff=constant(3600)))
async def mailer(event: Event, context: Context) -> None:
    if context.attempt == 1:
        raise ConnectionError

MARK
async def test_an_hour_passes_at_once(open_runtime, recorderEXTRA):
    for _ in range(2):
        async with open_runtime(mailer, slow("order.*", seconds=600)) as runtime:
            await runtime.emit("order.placed", {"id": 1})
            await runtime.idle()
            with pytest.raises(NotPortable):
                await runtime.emit("order.placed", {1})
    recorder.assert_handled("order.placed", by="slow", times=2)
    recorder.assert_handled("order.placed", by="mailer", times=2)

MARK
async def test_each_test_has_its_own_recorder(open_runtime, recorderEXTRA):
    with pytest.raises(AssertionError):
        recorder.assert_emitted("**")
"""


def run_pytest(folder: Path, test: str, *arguments: str, conftest: str = "", settings: str = "") -> str:
    """Run `test` in a folder where the plugin is installed; returns what pytest printed."""
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    installed = folder / "installed" / "seeing_test-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: seeing-test\nVersion: 1.0\n", encoding="utf-8")
    lines = "\n".join(f"{name} = {value}" for name, value in entry_points["pytest11"].items())
    (installed / "entry_points.txt").write_text(f"[pytest11]\n{lines}\n", encoding="utf-8")
    (folder / "pytest.ini").write_text(f"[pytest]\n{settings}\n", encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "test_users.py").write_text(test, encoding="utf-8")
    paths = [str(installed.parent), str(ROOT / "runtime"), str(ROOT / "actors")]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout + ran.stderr


@pytest.mark.slow
def test_the_fixtures_work_with_pytest_trio(tmp_path: Path) -> None:
    test = TEST.replace("MARK", "@pytest.mark.trio").replace("EXTRA", ", autojump_clock")
    assert "2 passed" in run_pytest(tmp_path, test)


@pytest.mark.slow
def test_the_fixtures_work_with_pytest_trio_for_all_tests(tmp_path: Path) -> None:
    test = TEST.replace("MARK", "").replace("EXTRA", ", autojump_clock")
    assert "2 passed" in run_pytest(tmp_path, test, settings="trio_mode = true")


@pytest.mark.slow
def test_the_fixtures_work_with_anyios_plugin_on_both_backends(tmp_path: Path) -> None:
    test = TEST.replace("MARK", "@pytest.mark.anyio").replace("EXTRA", "")
    conftest = "from postroom.testing.fixtures import anyio_backend\n"
    assert "4 passed" in run_pytest(tmp_path, test, "-p", "no:trio", conftest=conftest)


@pytest.mark.slow
def test_the_plugin_adds_its_fixtures_and_changes_none(tmp_path: Path) -> None:
    shown = run_pytest(tmp_path, "", "--fixtures")
    ours = shown.split("fixtures defined from postroom.testing.plugin")[1].split("fixtures defined from")[0]
    assert "recorder --" in ours
    assert "open_runtime --" in ours
    assert "anyio_backend" not in ours

"""The door of the command line: what holds for every command, whatever is missing or goes wrong."""

import io
import json
import logging
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from postroom.cli import main
from postroom.cli.logs import JsonFormatter

from .asking import Capture, asked
from .processes import postroom


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, from which a service may be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_the_version_is_that_of_the_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "postroom-7.8.9.dist-info").mkdir()
    (tmp_path / "postroom-7.8.9.dist-info" / "METADATA").write_text("Name: postroom\nVersion: 7.8.9\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert asked(capsys, "--version") == (0, "7.8.9\n", "")


def test_the_version_of_a_checkout_is_not_known(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("postroom.cli.app.version", not_installed)
    assert asked(capsys, "--version") == (0, "unknown\n", "")


def test_streams_that_are_no_terminals_encoding_are_written_to_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["check", "tests.cli.quiet:runtime"]) == 0
    assert out.getvalue().endswith("all is well\n")
    assert err.getvalue() == ""


def test_a_part_of_postroom_that_is_missing_is_not_taken_for_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "postroom.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"postroom\.cli\.app"):
        main(["--version"])


@pytest.mark.slow
def test_ctrl_c_while_the_command_line_is_imported_is_status_130_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "cyclopts.py").write_text("raise KeyboardInterrupt")
    done = postroom(tmp_path, "--help")  # its folder comes first, as with every `python -m`
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_while_a_service_is_imported_is_status_130_without_a_word(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "stopped_in_import.py").write_text("raise KeyboardInterrupt")
    assert asked(capsys, "check", "stopped_in_import:runtime") == (130, "", "")


def test_a_module_that_a_service_needs_and_that_is_not_there_is_named(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "needy.py").write_text("import nothing_of_this_name")
    status, out, err = asked(capsys, "check", "needy:runtime")
    assert (status, out) == (2, "")
    assert "'needy' can't be imported: it needs 'nothing_of_this_name', which is not there" in err


def test_where_the_import_of_a_service_fails_is_said(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "unset.py").write_text("import os\n\nos.environ['NOTHING_OF_THIS_NAME']\n")
    status, out, err = asked(capsys, "check", "unset:runtime")
    assert (status, out) == (2, "")
    assert f"'unset' can't be imported: KeyError: 'NOTHING_OF_THIS_NAME' (at {tmp_path / 'unset.py'}:3)" in err


def test_an_error_of_the_service_s_own_code_comes_out_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "defect.py").write_text("def runtime():\n    raise LookupError('no settings')\n")
    with pytest.raises(ExceptionGroup) as caught:
        main(["dead", "list", "--app", "defect:runtime"])
    assert caught.group_contains(LookupError, match="no settings")


def test_an_error_of_the_system_that_is_not_about_the_output_comes_out_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "refused.py").write_text("def runtime():\n    raise ConnectionRefusedError(111, 'no database')\n")
    with pytest.raises(ConnectionRefusedError, match="no database"):
        main(["check", "refused:runtime"])


def test_a_record_without_an_error_has_no_traceback_in_json() -> None:
    record = logging.LogRecord("shop", logging.INFO, "shop.py", 1, "all is %s", ("well",), None)
    told = json.loads(JsonFormatter().format(record))
    assert {name: told[name] for name in told if name != "time"} == {
        "level": "info",
        "logger": "shop",
        "message": "all is well",
    }

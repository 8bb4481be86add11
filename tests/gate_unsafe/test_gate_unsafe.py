"""Goal S1: the gate passes, and it finds what it is for."""

from pathlib import Path

import pytest

from tests.gate_unsafe.__main__ import look, main
from tests.gate_unsafe.rules import findings


def test_no_code_runs_what_it_reads_or_imports_what_a_text_names(capsys: pytest.CaptureFixture[str]) -> None:
    status = main([])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert printed.startswith("GOAL S1 0 PASS files=")


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import marshal as m",
        "from pickle import loads as harmless",
        "def late():\n    import shelve",
        "eval('1')",
        "run = exec",
        "map(eval, texts)",
        "__import__(name)",
        "import builtins\nbuiltins.eval(text)",
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module as load\nload(record['module'])",
        "import importlib\nimportlib.import_module(f'{package}.errors')",
        "import importlib\nimportlib.import_module('pickle')",
        "import importlib as i\ni . import_module (name=name)",
        "import importlib.util\nimportlib.util.spec_from_file_location(name, path)",
        "import pkgutil\npkgutil.resolve_name(name)",
        "import runpy\nrunpy.run_path(path)",
        "import yaml\nyaml.load(text)",
        "import yaml as y\ny.load(text, Loader=y.SafeLoader)",
        "from multiprocessing import Pool\nPool()",
        "class C:\n    def __reduce__(self): ...",
    ],
)
def test_what_is_unsafe_is_found(source: str) -> None:
    assert findings(source)


@pytest.mark.parametrize(
    "source",
    [
        "'pickle.loads(x)'  # eval(x)",
        "import re\nre.compile('a')",
        "import importlib\nimportlib.import_module('postroom')",
        "import json\njson.load(file)",
        "import yaml\nyaml.safe_load(text)",
        "from .marshal import x",
        "model.eval()",
        "from re import compile\ncompile('a')",
    ],
)
def test_what_is_safe_is_not_found(source: str) -> None:
    assert not findings(source)


def test_a_finding_is_told_with_its_place_and_an_exception_must_be_needed(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "bad.py").write_text("\nimport pickle\n", encoding="utf-8")
    (tmp_path / "tests" / "good.py").write_text("import json\n", encoding="utf-8")
    assert look(tmp_path, {}) == (["tests/bad.py:2: import pickle"], 2)
    assert look(tmp_path, {"tests/bad.py": "a fixture"}) == ([], 2)
    wrong, _ = look(tmp_path, {"tests/bad.py": "a fixture", "tests/good.py": "a fixture"})
    assert wrong == ["tests/good.py: is excepted, and nothing in it breaks a rule"]

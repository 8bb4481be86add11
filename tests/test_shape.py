"""The shape of the repository: what is public is documented, what is forbidden is absent, and folders are few."""

import ast
import inspect
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import postroom
import postroom.testing
import postroom.testing.conformance
import postroom.testing.faults
import postroom.workflows
import postroom_actors

ROOT = Path(__file__).parent.parent
CODE = sorted([*(ROOT / "runtime").rglob("*.py"), *(ROOT / "actors").rglob("*.py")])
PACKAGES = [
    postroom,
    postroom.testing,
    postroom.testing.conformance,
    postroom.testing.faults,
    postroom.workflows,
    postroom_actors,
]
MOST_LINES = 400
TOP_LEVEL = {"actors", "docs", "examples", "runtime", "tests"}

NOT_OURS = {
    ".venv",
    ".git",
    ".hypothesis",
    ".coverage",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "__pycache__",
    "_build",
}
"""Folders that the tools make."""

PROMISED = {*range(1, 50), *range(51, 87)}
"""The numbers of the reliability scenarios that have a test."""


def tracked() -> list[Path]:
    """The files under version control; all of them where there is none."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        found = (path for path in ROOT.rglob("*") if path.is_file())
        return [path for path in found if not NOT_OURS.intersection(path.relative_to(ROOT).parts)]
    return [ROOT / name for name in listing.stdout.split("\0") if name]


def names_of(package: Any) -> list[tuple[str, Any]]:
    return [(f"{package.__name__}.{name}", getattr(package, name)) for name in package.__all__]


PUBLIC = [pair for package in PACKAGES for pair in names_of(package)]
CLASSES = [(name, thing) for name, thing in PUBLIC if inspect.isclass(thing)]


def methods_of(name: str, kind: type) -> list[tuple[str, Any]]:
    """The public methods and properties that a class of ours defines itself."""
    found = []
    for each in kind.__mro__:
        if each.__module__.split(".")[0] not in ("postroom", "postroom_actors"):
            continue
        for member, value in vars(each).items():
            is_own = isinstance(value, property) or (inspect.isfunction(value) and value.__module__ == each.__module__)
            if is_own and not member.startswith("_"):
                found.append((f"{name}.{member}", value))
    return found


METHODS = [pair for name, kind in CLASSES for pair in methods_of(name, kind)]
ASYNC = [(n, t) for n, t in [*METHODS, *PUBLIC] if inspect.iscoroutinefunction(t)]


@pytest.mark.parametrize(
    "package",
    [pytest.param(each, id=each.__name__) for each in PACKAGES],
)
def test_all_names_everything_that_is_imported_by_its_public_name(package: Any) -> None:
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None
    }
    assert set(package.__all__) == imported
    assert len(package.__all__) == len(set(package.__all__))
    assert package.__all__ == sorted(package.__all__)


@pytest.mark.parametrize(("name", "thing"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_every_public_class_and_function_says_what_it_is(name: str, thing: Any) -> None:
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert thing.__doc__


@pytest.mark.parametrize(("name", "method"), METHODS, ids=[name for name, _ in METHODS])
def test_every_public_method_says_what_it_does(name: str, method: Any) -> None:
    assert inspect.getdoc(method) or documented_by_its_class(name)


def documented_by_its_class(name: str) -> bool:
    """Whether a class of ours documents the member, as an attribute or for those who implement it."""
    member = name.rpartition(".")[2]
    in_attributes = re.compile(rf"^ +(?:\w+, )*{member}(?:, \w+)*: ", re.MULTILINE)
    return any(
        getattr(getattr(kind, member, None), "__doc__", None)
        or (hasattr(kind, member) and in_attributes.search(kind.__doc__ or ""))
        for _, kind in CLASSES
    )


@pytest.mark.parametrize("pair", [pytest.param(pair, id=pair[0]) for pair in ASYNC])
def test_every_public_async_method_says_what_a_cancellation_leaves(pair: tuple[str, Any]) -> None:
    name, method = pair
    member = name.rpartition(".")[2]
    docs = [inspect.getdoc(method) or "", *(inspect.getdoc(getattr(k, member, None)) or "" for _, k in CLASSES)]
    assert any("Cancellation:" in doc or "a checkpoint" in doc for doc in docs), "no Cancellation note"


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_has_a_second_idea_in_it(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_no_file_names_a_machine_or_a_package_index() -> None:
    index = re.compile(r"https?://\S*(?:py" r"pi|/sim" r"ple/)", re.IGNORECASE)
    machine = re.compile(r"(?<![\w.])/(?:wo" r"rk|ro" r"ot|ho" r"me)/\w")
    found = []
    for path in tracked():
        if path.suffix == ".csv" or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [(path.name, match[0]) for match in (*index.finditer(text), *machine.finditer(text))]
    assert not found


def test_the_folders_at_the_top_are_those_of_the_design() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in tracked() if len(path.relative_to(ROOT).parts) > 1}
    assert {name for name in folders if not name.startswith(".")} <= TOP_LEVEL
    assert {"actors", "examples", "runtime", "tests"} <= folders


@pytest.mark.parametrize("name", ["LICENSE", "CHANGELOG.md", "README.md", "pyproject.toml", "Makefile"])
def test_what_every_repository_has_is_there(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("package", ["runtime/postroom", "actors/postroom_actors"])
def test_users_type_checkers_are_told_that_there_are_types(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


def test_every_promised_scenario_has_a_test_that_names_its_number() -> None:
    name = re.compile(r"def test_(?:scenario_)?(\d+)_")
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    found = {int(number) for text in texts for number in name.findall(text)}
    assert not PROMISED - found

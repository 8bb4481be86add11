"""Every Python block of the README and the docs runs, on both backends, and prints what its page says.

The blocks of one page share their names, as if they were typed one after the other. The next `text` block after a
Python block is what that one prints; a Python block without one prints nothing. Time is virtual, so that a page may
sleep, but for pages with a store, whose time is real; the backend that a page names gives way to that of the test.
"""

import io
import sys
import types
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import anyio
import pytest
from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from postroom.testing import virtual_backend

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

PRINTED = "__printed__"
MODULE = "__snippet__"

REAL_RUN = anyio.run

_evaluate = PythonEvaluator()


def run_block(example: Example) -> None:
    check_nothing_is_unsaid(example.document, example.namespace)
    example.namespace.setdefault("__name__", MODULE)
    before = set(example.namespace)
    with redirect_stdout(io.StringIO()) as printed:
        _evaluate(example)
        for name in [name for name in example.namespace if name.startswith("test_") and name not in before]:
            anyio.run(example.namespace[name])
    example.namespace[PRINTED] = printed.getvalue()


def compare_output(example: Example) -> None:
    printed = example.namespace.pop(PRINTED, "")
    assert printed.splitlines() == example.parsed.splitlines(), f"{example.path}, line {example.line}"


def check_nothing_is_unsaid(document: Document, namespace: dict[str, Any]) -> None:
    printed = namespace.pop(PRINTED, "")
    assert not printed, f"a block of {document.path} prints what the page does not say:\n{printed}"


def run_page(page: Path) -> None:
    document = Document.parse(str(page), CodeBlockParser("python", run_block), CodeBlockParser("text", compare_output))
    for example in document.examples():
        example.evaluate()
    check_nothing_is_unsaid(document, document.namespace)


@pytest.fixture(autouse=True)
def _virtual_run(anyio_backend: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """`anyio.run` on the backend of the test, in virtual time, whatever backend a page asks for."""
    run = anyio.run

    def run_virtually(function: Any, *arguments: Any, **_: Any) -> Any:
        backend, options = virtual_backend(
            "trio" if anyio_backend[0] == "trio" else "asyncio"
        )  # anew for each run: a trio clock serves one only
        return run(function, *arguments, backend=backend, backend_options=options)

    monkeypatch.setattr(anyio, "run", run_virtually)
    # Frameworks look up where a function was defined.
    monkeypatch.setitem(sys.modules, MODULE, types.ModuleType(MODULE))


def has_a_store(page: Path) -> bool:
    return "from postroom.modules." in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if not has_a_store(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_snippet_of_the_page_runs_and_prints_what_the_page_says(page: Path) -> None:
    run_page(page)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if has_a_store(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_snippet_of_a_page_with_a_store_runs_and_prints_what_the_page_says(
    page: Path, anyio_backend: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = anyio_backend[0]
    monkeypatch.setattr(anyio, "run", lambda function, *given, **_: REAL_RUN(function, *given, backend=library))
    monkeypatch.chdir(tmp_path)
    run_page(page)


def write_page(folder: Path, *blocks: tuple[str, str]) -> Path:
    page = folder / "page.md"
    page.write_text("".join(f"```{language}\n{source}\n```\n\n" for language, source in blocks), encoding="utf-8")
    return page


def test_a_page_whose_output_differs_from_what_it_says_fails(tmp_path: Path) -> None:
    page = write_page(tmp_path, ("python", "print(1)"), ("text", "2"))
    with pytest.raises(AssertionError, match=r"page\.md, line 5"):
        run_page(page)


def test_a_page_that_prints_what_it_does_not_say_fails(tmp_path: Path) -> None:
    page = write_page(tmp_path, ("python", "print(1)"), ("python", "pass"))
    with pytest.raises(AssertionError, match="does not say"):
        run_page(page)


def test_a_page_may_sleep_and_its_blocks_share_names(tmp_path: Path) -> None:
    sleeps = "import anyio\n\nasync def main():\n    await anyio.sleep(3600)\n    print('late')"
    page = write_page(tmp_path, ("python", sleeps), ("python", "anyio.run(main, backend='trio')"), ("text", "late"))
    run_page(page)


def test_a_failing_test_on_a_page_fails_the_page(tmp_path: Path) -> None:
    page = write_page(tmp_path, ("python", "async def test_nothing():\n    assert False"))
    with pytest.raises(AssertionError):
        run_page(page)

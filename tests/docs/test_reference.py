"""The reference names everything that there is, with its true default."""

import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import attrs
import pytest

import postroom
from postroom import (
    Breaker,
    Closed,
    Event,
    Full,
    PostroomError,
    Rate,
    Rejected,
    Retry,
    Runtime,
    Subscriber,
    Supervision,
)
from postroom.changes import ChangeKind
from postroom.options import EmitOptions
from postroom.policy import Decided

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"
DOCUMENTED = re.compile(r"^\.\. (?:auto|py:)\w+:: (\w+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")

PUBLIC = [getattr(postroom, name) for name in postroom.__all__]
BRANCHES = (PostroomError, Rejected, Full, Closed)
ERRORS = [
    kind for kind in PUBLIC if isinstance(kind, type) and issubclass(kind, PostroomError) and kind not in BRANCHES
]


def rows_of(page: str, heading: str) -> dict[str, str]:
    """The rows of the table under a heading: the first column's names, each with the text of the second."""
    section = (REFERENCE / page).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", section, re.MULTILINE)
    return {name: value for names, value in rows for name in re.findall(r"`(\w+)`", names)}


def options_of(kind: type[Any], *left_out: str) -> dict[str, Any]:
    return {field.alias: field.default for field in attrs.fields(kind) if field.init and field.alias not in left_out}


def test_every_public_name_is_in_the_reference() -> None:
    documented = {name for page in REFERENCE.glob("*.md") for name in DOCUMENTED.findall(page.read_text("utf-8"))}
    assert set(postroom.__all__) - documented == set()


@pytest.mark.parametrize("kind", ERRORS)
def test_the_table_of_errors_names_each_with_what_it_derives_from(kind: type[PostroomError]) -> None:
    text = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
    assert f"\n| `{kind.__name__}` | {bases} |" in text


@pytest.mark.parametrize(
    ("heading", "options"),
    [
        ("Of a subscriber", options_of(Subscriber, "handler", "patterns")),
        ("Of a retry", options_of(Retry)),
        ("Of a runtime", options_of(Runtime)),
        ("Of a supervision", options_of(Supervision)),
        ("Of a breaker", options_of(Breaker)),
        ("Of a rate", options_of(Rate)),
        ("Of an emit", dict.fromkeys(get_type_hints(EmitOptions))),
    ],
)
def test_the_tables_of_options_are_complete(heading: str, options: dict[str, Any]) -> None:
    assert rows_of("options.md", heading).keys() == options.keys()


@pytest.mark.parametrize(
    ("heading", "options"),
    [
        ("Of a subscriber", options_of(Subscriber)),
        ("Of a retry", options_of(Decided)),
        ("Of a runtime", options_of(Runtime)),
        ("Of a supervision", options_of(Supervision)),
        ("Of a breaker", options_of(Breaker)),
        ("Of a rate", options_of(Rate)),
    ],
)
def test_the_numbers_in_the_tables_of_options_are_the_defaults(heading: str, options: dict[str, Any]) -> None:
    rows = rows_of("options.md", heading)
    told = {name: float(value.replace(",", "")) for name, value in rows.items() if value[0].isdigit()}
    assert told
    assert told == {name: options[name] for name in told}


def test_an_event_carries_the_options_of_an_emit_but_for_require_and_group() -> None:
    fields = set(Event.__struct_fields__)
    assert set(get_type_hints(EmitOptions)) - fields == {"require", "group"}


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_the_links_of_the_page_lead_somewhere(page: str) -> None:
    links = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_of_changes_names_each_kind() -> None:
    text = (REFERENCE / "seeing.md").read_text(encoding="utf-8").split("## Kinds of changes")[1]
    assert tuple(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == get_args(ChangeKind)

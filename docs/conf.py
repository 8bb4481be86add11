"""The site: MyST pages, and a reference from the docstrings. Nothing is fetched while it is built or read."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

project = "postroom"
author = "the postroom maintainers"
copyright = "the postroom maintainers, MIT license"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "postroom"
html_copy_source = False

myst_heading_anchors = 3
# The docstrings mark code as Markdown does, with single backticks.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100

MADE_BY_THE_RUNTIME = {
    "postroom.Context",
    "postroom.DeadLetters",
    "postroom.EventTree",
    "postroom.RecordedEvent",
    "postroom.Watch",
    "postroom.Receipt",
    "postroom.Subscription",
    "postroom.ThreadReceipt",
}
"""Their arguments are the runtime's own, and tell a reader nothing."""

_HEADING = re.compile(r"(Args|Arguments|Attributes|Raises|Returns):")
_NOTE = re.compile(r"(Cancellation|Source|Units): (?=\S)")
_ENTRY = re.compile(r"([\w., ]+): (.*)", re.DOTALL)


def as_restructured_text(lines: list[str]) -> Iterator[str]:
    """The sections of a docstring as bold headings and lists; napoleon would read types into their names."""
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        heading = _HEADING.fullmatch(line)
        if heading is None:
            yield _NOTE.sub(r"**\1:** ", line)
            continue
        block = []
        while position < len(lines) and (not lines[position] or lines[position].startswith(" ")):
            block.append(lines[position])
            position += 1
        yield from (f"**{heading[1]}:**", "")
        for entry in _entries(block):
            if heading[1] == "Returns":
                yield from (entry, "")
            else:
                yield f"- {_ENTRY.sub(_with_marked_names, entry)}"
        yield ""


def _entries(block: list[str]) -> Iterator[str]:
    """The entries of a section, each on one line; what is indented further belongs to the one before."""
    text = textwrap.dedent("\n".join(block)).strip()
    for entry in re.split(r"\n(?=\S)", text) if text else ():
        yield " ".join(entry.split())


def _with_marked_names(match: "re.Match[str]") -> str:
    names = ", ".join(f"``{name.strip()}``" for name in match[1].split(","))
    return f"{names}: {match[2]}"


def process_docstring(_app: Any, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    lines[:] = as_restructured_text(lines)


def process_signature(
    _app: Any, _what: str, name: str, _obj: object, _options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    if name in MADE_BY_THE_RUNTIME:
        return "", returns
    if signature is not None:
        # What a factory makes has no text of its own.
        signature = signature.replace(" = NOTHING", " = ...").replace("mappingproxy({})", "{}")
    return signature, returns


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)

"""What commands print: tables for people, JSON for programs, and nothing that would steer a terminal in either.

Whatever was not written by postroom itself, such as names, ids, payloads and errors' texts, may be hostile. It goes
through `safe` on its way to people; JSON escapes all but printable ASCII. Passwords of URLs, and what looks like a
secret by its name, are hidden in both.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import attrs
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..quoting import HIDDEN, masked, printable, quoted
from .statuses import Refused

WIDE: Final = 200
"""Columns of a table that nobody sees on a terminal."""

LONGEST_CELL: Final = 1000

_is_secret: Final = re.compile(
    r"authorization|cookie|passw|passphrase|secret|token|credential|signature|api[-_]?key|private[-_]?key",
    re.IGNORECASE,
).search


def safe(text: object) -> str:
    """One line of text that a terminal shows and does not obey."""
    return printable(masked(str(text)))


def safe_lines(text: str) -> str:
    """Several lines of text, each of them safe."""
    return "\n".join(safe(line) for line in text.split("\n"))


def without_secrets(value: Any) -> Any:
    """Plain data, with what stands under the name of a secret hidden."""
    if isinstance(value, Mapping):
        return {
            without_secrets(name): HIDDEN if isinstance(name, str) and _is_secret(name) else without_secrets(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(each) for each in value]
    return masked(value) if isinstance(value, str) else value


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON, all of it printable ASCII; one line, unless it is indented."""
    return json.dumps(value, ensure_ascii=True, default=str, indent=indent).replace("\x7f", "\\u007f")


def write_file(path: Path, text: str) -> None:
    """Write what a command has made into a file.

    Raises:
        Refused: it can't be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{quoted(str(path))} can't be written: {error.strerror}") from error


def complain(text: str) -> None:
    """One line on standard error; several, where the text has several."""
    lines = [safe(line) for line in text.splitlines()] or [""]
    sys.stderr.write("".join(f"postroom: {line}\n" for line in lines if line.strip()))
    sys.stderr.flush()


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        is_number: It is aligned to the right.
        is_whole: It is never broken into lines, as numbers aren't.
    """

    title: str
    is_number: bool = False
    is_whole: bool = False


@attrs.define(eq=False, slots=False)
class Output:
    """Where a command prints.

    Attributes:
        json: For programs: an object, or an object a line.
    """

    json: bool = False

    @cached_property
    def console(self) -> Console:
        """The terminal, or what stands for one; colours only where there is one, and `NO_COLOR` is not set."""
        console = Console(highlight=False, emoji=False, markup=False)
        if not console.is_terminal:
            console.width = WIDE
        return console

    def line(self, text: str) -> None:
        """One line for people."""
        sys.stdout.write(f"{safe(text)}\n")
        sys.stdout.flush()

    def value(self, value: Any, *, reveal: bool = False) -> None:
        """One line of JSON."""
        sys.stdout.write(f"{as_json(value if reveal else without_secrets(value))}\n")
        sys.stdout.flush()

    def document(self, value: Any) -> None:
        """JSON on many lines, for people and programs."""
        sys.stdout.write(f"{as_json(value, indent=2)}\n")
        sys.stdout.flush()

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[object]], nothing: str) -> None:
        """A table for people; `nothing` is said where there is no row."""
        rows = list(rows)
        if rows:
            self.console.print(table_of(columns, rows))
        else:
            self.line(nothing)


def table_of(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Table:
    """A table whose cells are shown as they are."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number or column.is_whole,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell_of(value)) for value in row))
    return table


def cell_of(value: object) -> str:
    """The text of a cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        value = ", ".join(str(each) for each in value) or "-"
    text = safe(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def duration_of(seconds: float | None) -> str | None:
    """A short time for people."""
    if seconds is None:
        return None
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"

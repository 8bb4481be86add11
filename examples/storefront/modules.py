"""Event modules by what the command line calls them."""

from pathlib import Path
from typing import Final

from postroom import EventModule
from postroom.modules.sqlite import SqliteModule

LEASE: Final = 3.0
"""Seconds after which others take over from a branch that was killed: short, so that a demonstration is."""


def check_module(text: str) -> None:
    """Raises ValueError for what stands for no module."""
    kind, _, rest = text.partition(":")
    if kind != "sqlite" or not rest:
        raise ValueError(f"{text[:40]!r} is none: use local, or sqlite:FILE")


def module_of(text: str) -> EventModule:
    """The module that `sqlite:FILE` stands for."""
    return SqliteModule(text.partition(":")[2], lease=LEASE)


def books_of(text: str) -> Path:
    """Where the books are, unless the command line says so: beside the file of the events."""
    return Path(text.partition(":")[2] + ".books")

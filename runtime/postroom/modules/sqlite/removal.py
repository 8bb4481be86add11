"""Removing rows by their numbers, and what those rows held."""

import json
from collections.abc import Sequence
from typing import Any, cast

import apsw
import attrs


@attrs.frozen
class Removal:
    """A deletion that returns what it deletes.

    Where each number has a statement of its own, a row was measured to take four times as long; but for a single one,
    for which a list has to be read first.
    """

    _one: str
    _several: str

    @classmethod
    def of(cls, table: str, number: str, columns: str, where: str = "TRUE") -> "Removal":
        """Of the rows `where` something holds, those whose column `number` has one of the numbers."""
        form = f"DELETE FROM {table} WHERE {number} {{}} AND {where} RETURNING {columns}"  # noqa: S608 - constants
        return cls(form.format("= ?"), form.format("IN (SELECT value FROM json_each(?))"))

    def __call__(self, db: apsw.Connection, numbers: Sequence[int]) -> list[Any]:
        """Remove those that are there; returns their columns, in any order."""
        if len(numbers) > 1:
            return cast("list[Any]", db.execute(self._several, (json.dumps(numbers),)).fetchall())
        return cast("list[Any]", db.execute(self._one, numbers).fetchall()) if numbers else []

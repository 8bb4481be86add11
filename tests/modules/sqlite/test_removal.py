"""Removing rows by their numbers: one at a time or many, what comes back is the same."""

import apsw
from hypothesis import given
from hypothesis import strategies as st

from postroom.modules.sqlite.removal import Removal

numbers = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 20), max_size=30)


@given(there=numbers, asked=numbers)
def test_what_is_there_is_removed_and_returned_and_nothing_else(there: list[int], asked: list[int]) -> None:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT, odd INTEGER)")
    rows = {number: (number, f"no {number}") for number in there}
    db.executemany("INSERT INTO t VALUES (?, ?, ?)", [(*row, row[0] & 1) for row in rows.values()])
    remove = Removal.of("t", "id", "id, text", where="odd = 1")
    gone = {number for number in asked if number in rows and number & 1}
    assert sorted(remove(db, asked)) == sorted(rows[number] for number in gone)
    assert {row[0] for row in db.execute("SELECT id FROM t")} == set(rows) - gone
    assert remove(db, asked) == []

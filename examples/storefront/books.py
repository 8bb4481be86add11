"""The books of a shop with several branches: one SQLite file of its own, in which everything is written once.

An event may be handled twice: by a process that died before it could say so, and again by another one. So each entry
carries the id of the event that it was made for, and the second one changes nothing. That is all that it takes.
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs

TABLES: Final = {
    "ledger": "customer TEXT, quantity INTEGER, cents INTEGER",
    "visits": "customer TEXT",
    "months": "month TEXT, cents INTEGER",
    "bests": "customer TEXT, cents INTEGER",
    "mails": "kind TEXT",
    "packed": "quantity INTEGER",
}
"""One for each subscriber, with the event's id beside these columns."""

PATIENCE: Final = 30.0
"""Seconds that a branch waits while others write."""


@attrs.define
class BooksBroken(Exception):
    """The books can't be used."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"can't use the books {str(self.path)!r}: {self.reason}; name a file for them with --books"


@attrs.frozen
class Totals:
    """What the books say."""

    orders: int
    customers: int
    cds: int
    cents: int
    free_orders: int
    welcomed: int
    packed_cds: int
    entries: int


@attrs.define(eq=False)
class Books:
    """An open file. Each thread has a connection of its own."""

    path: Path
    _threads: threading.local = attrs.field(factory=threading.local, init=False)

    def make(self) -> None:
        """Make the tables where there are none.

        Raises:
            BooksBroken: it can't be done.
        """
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                self._make()
                return
            except sqlite3.Error as error:  # SQLite doesn't wait where the journal is changed
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise BooksBroken(self.path, str(error)) from error
            time.sleep(0.05)

    def _make(self) -> None:
        with closing(self._connect()) as connection, connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for name, columns in TABLES.items():
                connection.execute(f"CREATE TABLE IF NOT EXISTS {name} (event TEXT PRIMARY KEY, {columns})")

    def write(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows, in one transaction, but for those whose event is in the table already."""
        connection = self._connection()
        width = 1 + len(TABLES[table].split(","))
        with connection:
            connection.executemany(
                f"INSERT OR IGNORE INTO {table} VALUES ({','.join('?' * width)})",  # noqa: S608 - a name from above
                rows,
            )

    def known(self, customers: Sequence[str]) -> set[str]:
        """Those of some customers who have bought here before."""
        marks = ",".join("?" * len(customers))
        rows = self._connection().execute(
            f"SELECT DISTINCT customer FROM visits WHERE customer IN ({marks})",  # noqa: S608 - marks only
            customers,
        )
        return {customer for (customer,) in rows}

    def totals(self) -> Totals:
        """What is in the books.

        Raises:
            BooksBroken: they can't be read.
        """
        try:
            return self._totals()
        except sqlite3.Error as error:
            raise BooksBroken(self.path, str(error)) from error

    def _totals(self) -> Totals:
        with closing(self._connect()) as connection:
            orders, customers, cds, cents, free = connection.execute(
                "SELECT COUNT(*), COUNT(DISTINCT customer), TOTAL(quantity), TOTAL(cents), TOTAL(cents = 0) FROM ledger"
            ).fetchone()
            (welcomed,) = connection.execute("SELECT COUNT(*) FROM mails WHERE kind LIKE 'customer.%'").fetchone()
            (packed,) = connection.execute("SELECT TOTAL(quantity) FROM packed").fetchone()
            counts = [connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in TABLES]  # noqa: S608
        return Totals(orders, customers, int(cds), int(cents), int(free), welcomed, int(packed), sum(counts))

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

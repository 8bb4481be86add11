"""The books of the checkout: one SQLite file for the stock, the payments, the orders and the ledger.

Each entry carries the idempotency key of the step that made it, or the id of the event, so that a step or an event that
comes twice, as after `kill -9`, changes nothing the second time. What a step did, its compensation finds by that key.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from .order import OutOfStock, Purchase

TABLES: Final = (
    "shelf (id INTEGER PRIMARY KEY, made INTEGER, cds INTEGER)",
    "reserved (key TEXT PRIMARY KEY, number INTEGER, cds INTEGER)",
    "payments (key TEXT PRIMARY KEY, number INTEGER, cents INTEGER)",
    "refunds (key TEXT PRIMARY KEY, number INTEGER, cents INTEGER)",
    "orders (key TEXT PRIMARY KEY, number INTEGER, customer TEXT, cds INTEGER, cents INTEGER)",
    "ledger (event TEXT PRIMARY KEY, number INTEGER, cents INTEGER)",
)

UNMATCHED: Final = (
    "(SELECT number FROM orders EXCEPT SELECT number FROM reserved)",
    "(SELECT number FROM reserved EXCEPT SELECT number FROM orders)",
    "(SELECT number FROM orders EXCEPT SELECT number FROM ledger)",
    "(SELECT number FROM ledger EXCEPT SELECT number FROM orders)",
)


@attrs.frozen(kw_only=True)
class Totals:
    """What the books say.

    Attributes:
        taken_off: CDs that are not on the shelves any more.
        reserved, ordered: CDs in reservations, and in orders.
        paid, refunded, sold_cents, booked: Cents of payments, of refunds, of orders, and in the ledger.
        orders, entries: How many orders and entries in the ledger there are.
        unmatched: Orders without a reservation or an entry in the ledger of their own, or those without an order.
    """

    taken_off: int
    reserved: int
    ordered: int
    paid: int
    refunded: int
    sold_cents: int
    booked: int
    orders: int
    entries: int
    unmatched: int

    @property
    def agree(self) -> bool:
        """Whether each part of the shop says the same: nothing is half done, nothing was done twice."""
        return (
            self.taken_off == self.reserved == self.ordered
            and self.paid - self.refunded == self.sold_cents == self.booked
            and self.orders == self.entries
            and not self.unmatched
        )


@attrs.define(eq=False)
class Books:
    """An open file; one thread at a time writes. `close` it in the end."""

    path: Path
    stock: int
    _db: sqlite3.Connection = attrs.field(init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._db = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self._db:
            for table in TABLES:
                self._db.execute(f"CREATE TABLE IF NOT EXISTS {table}")
            self._db.execute("INSERT OR IGNORE INTO shelf VALUES (1, ?, ?)", (self.stock, self.stock))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            yield self._db

    def reserve(self, key: str, order: Purchase) -> None:
        """Take CDs off the shelves.

        Raises:
            OutOfStock: there are not so many; nothing was taken.
        """
        with self._writing() as db:
            if db.execute("INSERT OR IGNORE INTO reserved VALUES (?, ?, ?)", (key, order.number, order.cds)).rowcount:
                taken = db.execute("UPDATE shelf SET cds = cds - ? WHERE cds >= ?", (order.cds, order.cds))
                if not taken.rowcount:
                    raise OutOfStock(order.cds)

    def put_back(self, key: str) -> None:
        """Put what was taken under a key back on the shelves."""
        with self._writing() as db:
            for (cds,) in db.execute("DELETE FROM reserved WHERE key = ? RETURNING cds", (key,)).fetchall():
                db.execute("UPDATE shelf SET cds = cds + ?", (cds,))

    def pay(self, key: str, order: Purchase) -> None:
        """Take a payment."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO payments VALUES (?, ?, ?)", (key, order.number, order.cents))

    def refund(self, key: str) -> None:
        """Give the payment of a key back, where there is one."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO refunds SELECT * FROM payments WHERE key = ?", (key,))

    def create(self, key: str, order: Purchase) -> None:
        """Write an order down."""
        row = (key, order.number, order.customer, order.cds, order.cents)
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?)", row)

    def strike(self, key: str) -> None:
        """Strike out the order of a key, where there is one."""
        with self._writing() as db:
            db.execute("DELETE FROM orders WHERE key = ?", (key,))

    def book(self, rows: list[tuple[str, int, int]]) -> None:
        """Enter events into the ledger, each once."""
        with self._writing() as db:
            db.executemany("INSERT OR IGNORE INTO ledger VALUES (?, ?, ?)", rows)

    def totals(self) -> Totals:
        """What is in the books."""
        with self._lock:
            return Totals(
                taken_off=self._sum("made - cds", "shelf"),
                reserved=self._sum("cds", "reserved"),
                ordered=self._sum("cds", "orders"),
                paid=self._sum("cents", "payments"),
                refunded=self._sum("cents", "refunds"),
                sold_cents=self._sum("cents", "orders"),
                booked=self._sum("cents", "ledger"),
                orders=self._sum("1", "orders"),
                entries=self._sum("1", "ledger"),
                unmatched=sum(self._sum("1", query) for query in UNMATCHED),
            )

    def _sum(self, what: str, table: str) -> int:
        (total,) = self._db.execute(f"SELECT COALESCE(SUM({what}), 0) FROM {table}").fetchone()  # noqa: S608 - from here
        return int(total)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

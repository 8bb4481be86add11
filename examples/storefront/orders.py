"""Orders from the bytes of a CSV file, each line checked.

A row is `date,customer,quantity,amount`. What does not hold an order is rejected with its line number and a reason;
the rest goes on.

Units: line numbers from 1; amounts in cents.
"""

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from .source import CHUNK

LONGEST_LINE: Final = 1000
"""Bytes. No more of a line is kept, so a file without line ends does not fill the memory."""

HEADER: Final = b"date,customer,quantity,amount"
FIELDS: Final = 4
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_is_date = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII).fullmatch
_is_customer = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_is_quantity = re.compile(r"\d{1,9}", re.ASCII).fullmatch
_is_amount = re.compile(r"(\d{1,12})(?:\.(\d{1,2}))?", re.ASCII).fullmatch


@attrs.frozen
class Order:
    """One purchase."""

    date: str
    customer: str
    quantity: int
    cents: int


@attrs.frozen
class Rejected:
    """A row that holds no order.

    Attributes:
        reason: One line of printable characters, whatever the row held.
    """

    line: int
    reason: str


@attrs.define(eq=False)
class Reader:
    """Makes rows of chunks of bytes, wherever these were cut. Empty lines are passed over."""

    _line: int = attrs.field(default=0, init=False)
    _rest: bytes = attrs.field(default=b"", init=False)

    def feed(self, chunk: bytes) -> Iterator[Order | Rejected]:
        """The rows that end in this chunk."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        # One byte more than is allowed: however long the line gets, it stays too long.
        self._rest = rest[: LONGEST_LINE + 1]
        for line in lines:
            yield from self._row(line)

    def end(self) -> Iterator[Order | Rejected]:
        """The last row, where no line end follows it."""
        yield from self._row(self._rest)

    def _row(self, line: bytes) -> Iterator[Order | Rejected]:
        self._line += 1
        if self._line == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if len(line) > LONGEST_LINE:
            yield Rejected(self._line, f"the line is longer than {LONGEST_LINE} bytes")
            return
        row = line.rstrip(b"\r")
        if row and not (self._line == 1 and row == HEADER):
            order = _parse(row)
            yield order if isinstance(order, Order) else Rejected(self._line, order)


def count_orders(path: Path, most: int) -> int:
    """How many orders a file holds, counted up to `most`.

    Raises:
        OSError: it can't be read.
    """
    reader, found = Reader(), 0
    with path.open("rb") as file:
        while found < most and (chunk := file.read(CHUNK)):
            found += _orders_among(reader.feed(chunk))
    return min(most, found + _orders_among(reader.end()))


def _orders_among(rows: Iterator[Order | Rejected]) -> int:
    return sum(isinstance(row, Order) for row in rows)


def _parse(row: bytes) -> Order | str:
    """The order of a row, or the reason why it holds none."""
    try:
        fields = row.decode().split(",")
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} is not UTF-8"
    if len(fields) != FIELDS:
        return f"it has {len(fields)} fields, not {FIELDS}"
    date, customer, quantity, amount = fields
    if not _is_real_date(date):
        return f"{date[:20]!r} is no date (YYYY-MM-DD)"
    if not _is_customer(customer):
        return f"{customer[:20]!r} is no customer's number"
    if not _is_quantity(quantity) or int(quantity) == 0:
        return f"{quantity[:20]!r} is no positive whole quantity"
    money = _is_amount(amount)
    if money is None:
        return f"{amount[:20]!r} is no amount of at most two decimals"
    cents = int(money[1]) * 100 + int((money[2] or "0").ljust(2, "0"))
    return Order(date, customer, int(quantity), cents)


def _is_real_date(text: str) -> bool:
    if not _is_date(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True

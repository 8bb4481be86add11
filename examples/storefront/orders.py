"""Orders from a CSV file: read line by line, each line checked.

A row is `date,customer,quantity,amount`. What does not hold an order is rejected with its line number and a reason;
the rest goes on.

Units: line numbers from 1; amounts in cents.
"""

import datetime
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

import attrs

LONGEST_LINE: Final = 1000
"""Bytes. A line is never read further than this at once, so a file without line ends does not fill the memory."""

HEADER: Final = ("date", "customer", "quantity", "amount")

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
    """A row that holds no order."""

    line: int
    reason: str


def read_orders(file: BinaryIO) -> Iterator[Order | Rejected]:
    """The orders of an open file, in its order, with what was rejected in between. Empty lines are passed over."""
    number = 0
    while line := file.readline(LONGEST_LINE + 2):
        number += 1
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            _skip_line(file)
            yield Rejected(number, f"the line is longer than {LONGEST_LINE} bytes")
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        row = line.rstrip(b"\r\n")
        if not row or (number == 1 and row == ",".join(HEADER).encode()):
            continue
        order = _parse(row)
        yield order if isinstance(order, Order) else Rejected(number, order)


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(64 * 1024)) and not rest.endswith(b"\n"):
        pass


def _parse(row: bytes) -> Order | str:
    """The order of a row, or the reason why it holds none."""
    try:
        fields = row.decode().split(",")
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} is not UTF-8"
    if len(fields) != len(HEADER):
        return f"it has {len(fields)} fields, not {len(HEADER)}"
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

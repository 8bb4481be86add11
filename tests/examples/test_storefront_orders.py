"""The storefront's rows: what is an order, what is rejected, and that nothing breaks the reader."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.storefront.orders import HEADER, LONGEST_LINE, Order, Reader, Rejected

GOOD = b"1997-01-01,00004,2,29.33"
ORDER = Order("1997-01-01", "00004", 2, 2933)


def read(*chunks: bytes) -> list[Order | Rejected]:
    reader = Reader()
    return [row for chunk in chunks for row in reader.feed(chunk)] + list(reader.end())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1997-02-30,1,1,1.00", "'1997-02-30' is no date"),
        (b"0000-01-01,1,1,1.00", "'0000-01-01' is no date"),
        (b"1997-1-1,1,1,1.00", "'1997-1-1' is no date"),
        ("１997-01-01,1,1,1.00".encode(), "'１997-01-01' is no date"),
        (b"1997-01-01,,1,1.00", "'' is no customer"),
        (b"1997-01-01,\x1b[31m,1,1.00", r"'\x1b[31m' is no customer"),
        (b"1997-01-01,1\x00,1,1.00", r"'1\x00' is no customer"),
        ("1997-01-01,\u202e1,1,1.00".encode(), r"'\u202e1' is no customer"),
        (b"1997-01-01,1,0,1.00", "'0' is no positive whole quantity"),
        (b"1997-01-01,1,-1,1.00", "'-1' is no positive whole quantity"),
        (b"1997-01-01,1,1.5,1.00", "'1.5' is no positive whole quantity"),
        (b"1997-01-01,1,true,1.00", "'true' is no positive whole quantity"),
        (b"1997-01-01,1,1_0,1.00", "'1_0' is no positive whole quantity"),
        ("1997-01-01,1,٣,1.00".encode(), "'٣' is no positive whole quantity"),
        (b"1997-01-01,1,%b,1.00" % (b"9" * 500), "'99999999999999999999' is no positive whole quantity"),
        (b"1997-01-01,1,1,-1.00", "'-1.00' is no amount"),
        (b"1997-01-01,1,1,-0", "'-0' is no amount"),
        (b"1997-01-01,1,1,1.001", "'1.001' is no amount"),
        (b"1997-01-01,1,1,1.", "'1.' is no amount"),
        (b"1997-01-01,1,1,NaN", "'NaN' is no amount"),
        (b"1997-01-01,1,1,inf", "'inf' is no amount"),
        (b"1997-01-01,1,1,1e999", "'1e999' is no amount"),
        (b"1997-01-01,1,1, 1.00", "' 1.00' is no amount"),
        (b"1997-01-01,1,1", "it has 3 fields, not 4"),
        (b"1997-01-01,1,1,1.00,x", "it has 5 fields, not 4"),
        (b"date,customer,quantity,amount", "'date' is no date"),
        (b"1997-01-01,\xff,1,1.00", "byte 12 is not UTF-8"),
        (b"\xed\xa0\x80,1,1,1.00", "byte 1 is not UTF-8"),
        (GOOD + b"\r" * LONGEST_LINE, "longer than"),
        (b"x" * (LONGEST_LINE + 1), "longer than"),
        (b"x" * (3 * LONGEST_LINE), "longer than"),
    ],
)
def test_a_row_that_holds_no_order_is_rejected_and_the_rest_goes_on(row: bytes, reason: str) -> None:
    rows = read(b"\n".join([HEADER, row, GOOD]))
    assert isinstance(rows[0], Rejected)
    assert rows[0].line == 2
    assert reason in rows[0].reason
    assert rows[1:] == [ORDER]


@pytest.mark.parametrize(
    "content",
    [GOOD, GOOD + b"\n", GOOD + b"\r\n", b"\n\r\n" + GOOD, HEADER + b"\r\n" + GOOD, b"\xef\xbb\xbf" + GOOD],
)
def test_an_order_is_read_whatever_its_line_ends_with_and_whatever_comes_first(content: bytes) -> None:
    assert read(content) == [ORDER]


@pytest.mark.parametrize(("amount", "cents"), [(b"0", 0), (b"0.00", 0), (b"1.5", 150), (b"07.25", 725)])
def test_an_amount_is_read_to_the_cent(amount: bytes, cents: int) -> None:
    assert read(b"1997-01-01,1,1," + amount) == [Order("1997-01-01", "1", 1, cents)]


@given(st.lists(st.one_of(st.binary(max_size=1500), st.sampled_from([GOOD, b"\n", b"\r\n", HEADER]))))
def test_no_bytes_break_the_reader_and_reasons_are_printable(chunks: list[bytes]) -> None:
    rows = read(*chunks)
    assert len(rows) <= b"".join(chunks).count(b"\n") + 1
    assert all(row.reason.isprintable() and len(row.reason) < 200 for row in rows if isinstance(row, Rejected))


@given(st.lists(st.sampled_from([GOOD, b"x" * 1001, b"\xff", b"\n", b"\r\n", HEADER])), st.integers(1, 40))
def test_it_does_not_matter_where_chunks_are_cut(pieces: list[bytes], size: int) -> None:
    content = b"".join(pieces)
    assert read(*(content[at : at + size] for at in range(0, len(content), size))) == read(content)


def test_a_line_of_100_megabytes_takes_little_memory() -> None:
    chunk = b"x" * 16 * 1024
    tracemalloc.start()
    try:
        rows = read(*[chunk] * 6400, b"\n", GOOD)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == [Rejected(1, f"the line is longer than {LONGEST_LINE} bytes"), ORDER]
    assert peak < 250_000

"""The storefront: its totals, its input and its ends."""

import json
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.storefront.__main__ import main
from examples.storefront.orders import LONGEST_LINE, Order, Rejected, read_orders

TOTALS = {"orders": 6919, "customers": 2357, "cds": 16479, "revenue": "244091.94", "free_orders": 8, "rejected_rows": 0}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
@pytest.mark.parametrize("fail", ["0", "0.05", "1"])
def test_the_totals_are_right_however_often_the_mailer_fails(
    backend: str, fail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--json", "--fail", fail, "--backend", backend]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result.items() >= TOTALS.items()
    assert result["welcomed"] == 2357
    assert result["events_emitted"] == 6919 + 2357
    assert result["deliveries"] == 6 * 6919 + 2357
    assert result["deliveries"] == result["succeeded"] + result["failed"]
    assert result["dead_letters"] == result["failed"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1997-02-30,1,1,1.00", "no date"),
        (b"1997-1-1,1,1,1.00", "no date"),
        (b"1997-01-01,,1,1.00", "no customer"),
        (b"1997-01-01,1,0,1.00", "no positive whole quantity"),
        (b"1997-01-01,1,1.5,1.00", "no positive whole quantity"),
        (b"1997-01-01,1,1,-1.00", "no amount"),
        (b"1997-01-01,1,1,1.001", "no amount"),
        (b"1997-01-01,1,1,nan", "no amount"),
        (b"1997-01-01,1,1,1e3", "no amount"),
        (b"1997-01-01,1,1", "3 fields"),
        (b"1997-01-01,1,1,1.00,x", "5 fields"),
        (b"1997-01-01,\xff,1,1.00", "not UTF-8"),
        (b"x" * (LONGEST_LINE + 5), "longer than"),
    ],
)
def test_a_row_that_holds_no_order_is_rejected_and_the_rest_goes_on(row: bytes, reason: str) -> None:
    good = b"1997-01-01,00004,2,29.33"
    rows = list(read_orders(BytesIO(b"\n".join([b"date,customer,quantity,amount", row, good]))))
    assert isinstance(rows[0], Rejected)
    assert rows[0].line == 2
    assert reason in rows[0].reason
    assert rows[1:] == [Order("1997-01-01", "00004", 2, 2933)]


@given(st.binary(max_size=3000))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    rows = list(read_orders(BytesIO(content)))
    assert len(rows) <= content.count(b"\n") + 1


def test_a_missing_file_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--orders", "no/such/file.csv"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["storefront: can't read 'no/such/file.csv': No such file or directory"]


@pytest.mark.parametrize("bad", [["--fail", "2"], ["--fail", "x"], ["--tills", "0"], ["--backend", "curio"]])
def test_arguments_that_make_no_sense_are_refused(bad: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(bad)
    assert refused.value.code == 2
    assert bad[0] in capsys.readouterr().err

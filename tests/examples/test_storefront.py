"""The storefront's command line: its totals, its arguments, and what it refuses."""

import json
from pathlib import Path

import pytest

from examples.storefront.__main__ import ORDERS, main
from examples.storefront.replay import Replay
from examples.storefront.shop import Shop

TOTALS = {"orders": 6919, "customers": 2357, "cds": 16479, "revenue": "244091.94", "free_orders": 8, "rejected_rows": 0}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
@pytest.mark.parametrize("fail", ["0", "0.05"])
def test_the_totals_are_right_however_often_the_mailer_fails(
    backend: str, fail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--json", "--fail", fail, "--backend", backend]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result.items() >= TOTALS.items()
    assert result["welcomed"] == 2357
    assert result["events_emitted"] == 6919 + 2357
    assert result["deliveries"] == 6 * 6919 + 2357
    assert result["deliveries"] == result["succeeded"] + result["failed"]
    assert result["dead_letters"] == result["failed"]
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_totals_are_right_although_the_stock_crashes(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--fail", "0", "--crash", "0.01", "--backend", backend]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result.items() >= TOTALS.items()
    assert result["deliveries"] == result["succeeded"] == 6 * 6919 + 2357
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("crash", [0.01, 0.3])
async def test_what_the_stock_has_written_down_is_right_although_it_crashes(crash: float) -> None:
    replay = Replay(path=ORDERS, shop=Shop(crash=crash, pack_for=0.00005))
    await replay.run()
    stock = replay.runtime.subscriptions["warehouse"].stats
    assert (replay.shop.stock.orders, replay.shop.stock.cds) == (TOTALS["orders"], TOTALS["cds"])
    assert stock.retried > crash * 6000
    assert stock.restarts == stock.retried == replay.shop.stock.clerks - 1


def test_the_json_object_has_these_keys_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_bytes(b"1997-01-01,00001,2,10.50\n")
    assert main(["--json", "--orders", str(orders)]) == 0
    assert " ".join(json.loads(capsys.readouterr().out)) == (
        "orders customers cds revenue free_orders rejected_rows welcomed "
        "events_emitted deliveries succeeded failed dead_letters"
    )


def test_a_missing_file_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--orders", "no/such/file.csv"]) == 2
    assert capsys.readouterr() == ("", "storefront: can't read 'no/such/file.csv': No such file or directory\n")


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_directory_is_one_clear_line(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--orders", "examples", "--backend", backend]) == 2
    assert capsys.readouterr() == ("", "storefront: can't read 'examples': Is a directory\n")


def test_a_file_that_may_not_be_read_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)  # chmod would not stop a test that runs as root

    monkeypatch.setattr("examples.storefront.source._open_at_once", refuse)
    assert main(["--orders", "orders.csv"]) == 2
    assert capsys.readouterr() == ("", "storefront: can't read 'orders.csv': Permission denied\n")


def test_a_name_of_a_file_is_shown_without_its_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--orders", "\x1b[31m\n.csv"]) == 2
    assert capsys.readouterr().err == "storefront: can't read '\\x1b[31m\\n.csv': No such file or directory\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--fail", "2"),
        ("--fail", "-0.1"),
        ("--fail", "nan"),
        ("--crash", "1.1"),
        ("--fail", "x"),
        ("--pack", "inf"),
        ("--tills", "0"),
        ("--tills", "1.5"),
        ("--backend", "curio"),
        ("--colour", "red"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main([f"{option}={value}"])
    assert refused.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert option in err
    assert value in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("rows", "why"), [(b"", "it has no rows"), (b"bad\nworse\n", "all 2 of its rows were rejected")]
)
def test_a_file_without_an_order_is_an_error_that_says_so(
    rows: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_bytes(rows)
    assert main(["--orders", str(orders)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"storefront: no order in {str(orders)!r}: {why}"

"""The checkout of the orders: whatever is refused and wherever the journal is, the books agree to the unit."""

import json
import sqlite3
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from examples.checkout.__main__ import main
from examples.storefront import server
from examples.storefront.__main__ import ORDERS

SOME = ["--refuse", "0.2", "--bounce", "0.1"]


@pytest.fixture(params=["trio", "asyncio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["local", "sqlite", "redis"])
def module(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'events.db'}" if request.param == "sqlite" else str(request.param)


def some_orders(folder: Path, count: int) -> str:
    path = folder / f"{count}.csv"
    with ORDERS.open("rb") as file:
        path.write_bytes(b"".join(islice(file, count + 1)))
    return str(path)


def checked_out(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict[str, Any]:
    assert main(["--json", *arguments]) == status
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.mark.slow
def test_stock_payments_orders_and_ledger_agree_on_every_module(
    tmp_path: Path, module: str, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    orders = some_orders(tmp_path, 150)
    result = checked_out(capsys, "--orders", orders, "--module", module, "--backend", backend, *SOME)
    assert result["orders_read"] == 150
    assert result["failed"] == {"create#0: NoSuchAddress": 27, "pay#0: PaymentRefused": 26}
    assert result["sold"] == result["orders"] == result["entries"] == 150 - 26 - 27
    assert result["taken_off"] == result["reserved"] == result["ordered"] > 0
    assert result["paid"] - result["refunded"] == result["sold_cents"] == result["booked"] > 0
    assert result["refunded"] > 0
    assert result["unmatched"] == 0
    assert result["agree"]


@pytest.mark.slow
def test_a_run_that_is_begun_again_changes_nothing_that_is_done(
    tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--module", f"sqlite:{tmp_path / 'events.db'}", "--backend", backend, *SOME]
    checked_out(capsys, "--orders", some_orders(tmp_path, 60), *options)
    again = checked_out(capsys, "--orders", some_orders(tmp_path, 120), *options)
    elsewhere = checked_out(capsys, "--orders", some_orders(tmp_path, 120), *SOME)
    assert again == elsewhere
    # Nor where the store has forgotten the runs: the keys of their steps are in the books.
    options[1] = f"sqlite:{tmp_path / 'others.db'}"
    books = ["--books", str(tmp_path / "events.db.books")]
    assert checked_out(capsys, "--orders", some_orders(tmp_path, 120), *options, *books) == elsewhere


@pytest.mark.slow
def test_what_is_out_of_stock_is_not_paid_for(tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    orders = some_orders(tmp_path, 60)
    result = checked_out(capsys, "--orders", orders, "--stock", "20", "--backend", backend, "--bounce", "0")
    assert result["failed"]["reserve#0: PermanentFailure"] > 20
    assert 0 < result["taken_off"] == result["ordered"] <= 20
    assert result["refunded"] == 0
    assert result["agree"]


def test_books_that_do_not_agree_end_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    books, orders = tmp_path / "books", some_orders(tmp_path, 3)
    arguments = ["--orders", orders, "--books", str(books), "--refuse", "0", "--bounce", "0"]
    assert checked_out(capsys, *arguments)["agree"]
    with sqlite3.connect(books) as db:
        db.execute("UPDATE ledger SET cents = cents + 1 WHERE number = 1")
    db.close()
    assert not checked_out(capsys, *arguments, status=1)["agree"]
    assert main(arguments) == 1
    assert "IT DOES NOT AGREE" in capsys.readouterr().out


def test_a_person_sees_the_sums(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--orders", some_orders(tmp_path, 3), "--refuse", "0", "--bounce", "0"]) == 0
    printed = capsys.readouterr().out
    assert "taken off the shelves  6" in printed
    assert "in the ledger" in printed
    assert "it agrees" in printed


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--module", "rabbit"], "use local, sqlite:FILE, redis or redis:URL"),
        (["--refuse", "1.5"], "invalid share value"),
        (["--refuse", "nan"], "invalid share value"),
        (["--tills", "0"], "invalid count value"),
        (["--backend", "curio"], "invalid choice"),
    ],
)
def test_what_makes_no_sense_ends_with_status_2(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_files_that_can_not_be_used_end_with_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "PROGRAMS", ())
    monkeypatch.setattr(server, "packaged", lambda: None)
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database, but long enough to be looked at. " * 100)
    for arguments in (["--orders", str(tmp_path / "none.csv")], ["--books", str(notes)], ["--module", "redis"]):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert told.startswith("checkout: can't ")
        assert told.count("\n") == 1
    assert notes.read_text().startswith("not a database")

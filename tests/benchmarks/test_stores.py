"""The benchmark of stores runs, whatever its figures are."""

import json

import pytest

from tests.benchmarks.stores import Figure, goals, main


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_each_of_the_three_gives_a_ratio(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backend", backend, "--events", "100", "--rounds", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert [each["name"] for each in figures] == ["publish", "handle", "acknowledged"]
    assert all(each["store_part"] > 0 and each["runtime_part"] > 0 and each["backend"] == backend for each in figures)


def test_the_table_names_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backend", "trio", "--events", "100", "--rounds", "1", "--durability", "power"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("publish", "handle", "acknowledged", "durability=power"))
    assert printed.count("PASS") + printed.count("FAIL") == 3


def test_the_goals_compare_with_what_is_written_by_hand_and_trio_with_asyncio() -> None:
    slow = Figure(
        backend="trio", name="handle", by_hand=1000.0, store=500.0, runtime=200.0, store_part=0.5, runtime_part=0.2
    )
    quick = Figure(
        backend="asyncio", name="handle", by_hand=1000.0, store=500.0, runtime=250.0, store_part=0.5, runtime_part=0.25
    )
    assert goals([slow, quick]) == [
        "trio handle: 0.20 as fast as by hand FAIL",
        "asyncio handle: 0.25 as fast as by hand PASS",
        "trio handle: 1.25 times as long as asyncio PASS",
    ]

"""The benchmark of a runtime on SQLite runs, whatever its figures are."""

import json

import pytest

from tests.benchmarks.carried import main


def test_each_of_the_three_gives_a_ratio_on_each_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--events", "100", "--rounds", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    names = ["emit", "handle", "acknowledged"]
    assert [(each["backend"], each["name"]) for each in shown["figures"]] == [
        (backend, name) for backend in ("trio", "asyncio") for name in names
    ]
    assert all(each["ratio"] > 0 for each in shown["figures"])
    assert list(shown["trio_by_asyncio"]) == names


def test_the_table_names_each_with_its_goal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backend", "asyncio", "--events", "100", "--rounds", "1", "--durability", "power"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("emit", "handle", "acknowledged", "durability=power", ">= 0.25"))

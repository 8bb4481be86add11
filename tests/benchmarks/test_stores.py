"""The benchmark of stores runs, whatever its figures are."""

import json

import pytest

from tests.benchmarks.stores import main


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_each_of_the_three_gives_a_ratio(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backend", backend, "--events", "100", "--rounds", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert [each["name"] for each in figures] == ["publish", "handle", "acknowledged"]
    assert all(each["ratio"] > 0 and each["backend"] == backend for each in figures)


def test_the_table_names_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backend", "trio", "--events", "100", "--rounds", "1", "--durability", "power"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("publish", "handle", "acknowledged", "durability=power"))

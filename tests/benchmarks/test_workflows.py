"""The benchmark of workflows runs, whatever its figures are."""

import json

import pytest

from tests.benchmarks.workflows import main

SMALL = ["--workflows", "60", "--beside", "20", "--rounds", "1"]


@pytest.mark.slow
def test_each_store_gives_a_ratio_on_each_backend_to_each_floor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(each["store"], each["backend"], each["floor"]) for each in shown["figures"]] == [
        (store, backend, floor)
        for store in ("sqlite", "redis")
        for backend in ("trio", "asyncio")
        for floor in ("grouped", "singly")
    ]
    assert all(each["ratio"] > 0 for each in shown["figures"])
    assert list(shown["local"]) == ["trio", "asyncio"]


def test_the_table_names_each_with_its_goal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--store", "sqlite", "--backend", "asyncio"]) == 0
    printed = capsys.readouterr().out
    assert all(each in printed for each in ("sqlite   asyncio", "grouped", "singly", "local", ">= 0.2"))


def test_nothing_to_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--workflows", "0"])
    assert refused.value.code == 2
    assert "at least one workflow" in capsys.readouterr().err

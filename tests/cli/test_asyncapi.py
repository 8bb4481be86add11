"""`postroom asyncapi`: the document of a service, on a terminal and in a file."""

import json
import sys
from pathlib import Path
from typing import Final

import pytest

from postroom.cli import main
from postroom.observe.asyncapi import asyncapi
from tests.cli import service

SERVICE: Final = "tests.cli.service:runtime"

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_the_document_is_that_of_the_library(capsys: Capture) -> None:
    assert main(["asyncapi", SERVICE]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out) == asyncapi(service.runtime, title="tests.cli.service")


def test_its_title_its_version_and_what_is_sent_can_be_told(capsys: Capture) -> None:
    told = ["--title", "Shop", "--api-version", "2.1.0", "--sends", "tests.cli.service:OrderPlaced"]
    assert main(["asyncapi", SERVICE, *told]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == asyncapi(service.runtime, title="Shop", version="2.1.0", sends=[service.OrderPlaced])
    assert document["operations"]["send order.placed"]["action"] == "send"


def test_for_programs_it_is_one_line(capsys: Capture) -> None:
    assert main(["asyncapi", SERVICE, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["asyncapi"] == "3.0.0"


def test_it_goes_into_a_file_and_then_nothing_is_printed(tmp_path: Path, capsys: Capture) -> None:
    assert main(["asyncapi", SERVICE, "--output", "shop.json"]) == 0
    assert main(["asyncapi", SERVICE, "--json", "-o", "line.json"]) == 0
    assert capsys.readouterr().out == ""
    documents = [json.loads((tmp_path / name).read_text("utf-8")) for name in ("shop.json", "line.json")]
    assert documents == [asyncapi(service.runtime, title="tests.cli.service")] * 2


def test_the_name_of_a_field_is_not_taken_for_a_secret(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "signing.py").write_text(
        "import attrs\n"
        "from postroom import Runtime, event_type\n"
        "@event_type('user.joined')\n"
        "@attrs.frozen\n"
        "class Joined:\n"
        "    password: str\n"
        "async def greet(event: Joined) -> None: ...\n"
        "from postroom import subscriber\n"
        "runtime = Runtime(subscribers=[subscriber('user.joined')(greet)])\n"
    )
    assert main(["asyncapi", "signing:runtime", "--json"]) == 0
    schema = json.loads(capsys.readouterr().out)["components"]["schemas"]["Joined"]
    assert schema["properties"] == {"password": {"type": "string"}}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing.there:runtime"], "there is no module 'nothing'"),
        (["tests.cli.service"], "write `module:attribute`"),
        ([SERVICE, "--sends", "OrderPlaced"], "names no class"),
        ([SERVICE, "--sends", SERVICE], "is no class"),
        ([SERVICE, "--sends", "pathlib:Path"], "it is no event type"),
        ([SERVICE, "--api-version", ""], "must be a text that is not empty"),
        ([SERVICE, "--output", "no/shop.json"], "can't be written"),
        ([], "requires an argument"),
    ],
)
def test_what_makes_no_sense_is_status_2(capsys: Capture, arguments: list[str], reason: str) -> None:
    assert main(["asyncapi", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert reason in said.err

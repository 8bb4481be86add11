"""`postroom check` and `postroom graph`: what a service is wired to, and what nobody hears."""

import importlib
import json
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from postroom.cli import main
from postroom.cli.drawing import Graph, Node, layout, mermaid, svg

SERVICE: Final = "tests.cli.service:runtime"
BAD: Final = (
    ("nothing.there:runtime", "there is no module 'nothing'"),
    ("tests.cli.service", "write `module:attribute`"),
    ("tests.cli.service:OrderPlaced", "neither a Runtime nor a function"),
    ("broken:runtime", "can't be imported: SyntaxError"),
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _broken_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is no Python, in the folder that the command is called in."""
    (tmp_path / "broken.py").write_text("def :\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_check_shows_what_is_wired_to_what_and_has_status_1_for_what_nobody_hears(capsys: Capture) -> None:
    assert main(["check", SERVICE]) == 1
    said = capsys.readouterr()
    assert said.err == ""
    lines = [line.split() for line in said.out.splitlines()]
    assert ["ledger", "order.placed", "order.placed", "order.booked", "tests.cli.service.ledger"] in lines
    assert ["order.booked", "mailer", "ledger", "no"] in lines
    assert ["audit.done", "nobody", "tests.cli.service.audit", "no"] in lines
    assert "nobody hears audit.done" in said.out
    assert "note: no known event reaches worker: what it hears comes from elsewhere" in said.out


def test_check_says_the_same_to_programs(capsys: Capture) -> None:
    assert main(["check", SERVICE, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["unheard"] == ["audit.done"]
    assert told["unfed"] == ["worker"]
    assert {each["name"]: each["heard_by"] for each in told["events"]} == {
        "audit.done": [],
        "order.booked": ["mailer"],
        "order.placed": ["ledger", "mailer"],
    }


def test_check_has_status_0_where_all_is_well(capsys: Capture) -> None:
    assert main(["check", "tests.cli.quiet:runtime"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all is well"


@pytest.mark.parametrize("command", ["check", "graph"])
@pytest.mark.parametrize(("service", "reason"), BAD)
def test_a_service_that_can_not_be_loaded_is_status_2(capsys: Capture, command: str, service: str, reason: str) -> None:
    assert main([command, service]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert reason in said.err


def test_a_graph_for_mermaid_has_every_edge(capsys: Capture) -> None:
    assert main(["graph", SERVICE]) == 0
    text = capsys.readouterr().out
    assert text.startswith("flowchart LR\n")
    assert 'e0(["audit.done"]):::unheard' in text
    assert {line.strip() for line in text.splitlines() if "-->" in line} == {
        "e1 --> s1",
        "e2 --> s0",
        "e2 --> s1",
        "s0 --> e1",
    }


def test_a_graph_as_a_picture_names_every_node_and_is_well_formed(tmp_path: Path, capsys: Capture) -> None:
    assert main(["graph", SERVICE, "--format", "svg", "-o", str(tmp_path / "shop.svg")]) == 0
    assert capsys.readouterr().out == ""
    root = ElementTree.parse(tmp_path / "shop.svg").getroot()
    names = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(map(str, names)) == ["audit.done", "ledger", "mailer", "order.booked", "order.placed", "worker"]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 4 + 1  # and the tip of the arrows


def test_a_graph_that_can_not_be_written_is_status_2(tmp_path: Path, capsys: Capture) -> None:
    assert main(["graph", SERVICE, "-o", str(tmp_path / "no" / "shop.svg")]) == 2
    assert "can't be written" in capsys.readouterr().err


def test_a_node_is_right_of_what_points_to_it_and_a_circle_does_not_matter() -> None:
    nodes = tuple(Node(each, each, "event") for each in "abcd")
    edges = (("a", "b"), ("b", "c"), ("c", "b"), ("a", "d"), ("c", "d"))
    assert layout(Graph("t", nodes, edges)) == [["a"], ["b"], ["c"], ["d"]]


def test_hostile_names_break_neither_kind_of_picture() -> None:
    graph = Graph('"]<script>', (Node("a", 'x"]; click --> <b>&\n\x1b', "event"),), ())
    ElementTree.fromstring(svg(graph))
    assert [line for line in mermaid(graph).splitlines() if "-->" in line or "<b>" in line] == []


def test_a_graph_without_nodes_can_be_drawn() -> None:
    ElementTree.fromstring(svg(Graph("nothing", (), ())))
    assert mermaid(Graph("nothing", (), ())) == "flowchart LR\n"


def test_the_module_that_runs_as_a_program_can_be_imported_and_runs_nothing() -> None:
    assert importlib.import_module("postroom.__main__").main is main

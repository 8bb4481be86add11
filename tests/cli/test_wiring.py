"""What `postroom check` reads from the code of a service: in each way of emitting, and where there is no code."""

import json
import py_compile
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from postroom.cli import main

from .asking import Capture

SERVICE: Final = "tests.cli.wired:runtime"

WITHOUT_SOURCE: Final = """
from postroom import Event, Runtime, subscriber

@subscriber("order.placed")
async def ledger(event: Event) -> None: ...

async def place(runtime: Runtime) -> None:
    await runtime.emit("order.billed")

runtime = Runtime(subscribers=[ledger])
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, from which a service may be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def wiring(capsys: Capture, service: str) -> Any:
    """The wiring of a service, as programs are told of it."""
    main(["check", service, "--json"])
    return json.loads(capsys.readouterr().out)


def emits(told: Any) -> dict[str, list[str]]:
    """What each subscription emits."""
    return {each["name"]: each["emits"] for each in told["subscriptions"]}


def test_events_are_seen_by_name_by_type_and_as_they_are_made_in_actors_and_in_partials(capsys: Capture) -> None:
    told = wiring(capsys, SERVICE)
    assert emits(told) == {
        "clerk": ["bill.sent", "order.filed"],
        "audit": ["audit.done", "audit.noted"],
        "unseen": [],
    }
    assert {each["name"]: each["handler"] for each in told["subscriptions"]} == {
        "clerk": "tests.cli.wired.Clerk",
        "audit": "tests.cli.wired.audit",
        "unseen": "tests.cli.wired.unseen",
    }
    emitted_by = {each["name"]: each["emitted_by"] for each in told["events"]}
    assert emitted_by["bill.sent"] == ["clerk", "tests.cli.wired.several"]
    assert emitted_by["several.done"] == ["tests.cli.wired.several"]
    assert sorted(emitted_by) == [
        *("audit.done", "audit.noted", "bill.sent", "order.filed", "order.placed", "several.done")
    ]


def test_of_a_service_without_source_the_subscriptions_are_seen(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "shipped.py").write_text(WITHOUT_SOURCE)
    py_compile.compile(str(tmp_path / "shipped.py"), str(tmp_path / "shipped.pyc"))
    (tmp_path / "shipped.py").unlink()
    told = wiring(capsys, "shipped:runtime")
    assert emits(told) == {"ledger": []}
    assert [(each["name"], each["heard_by"]) for each in told["events"]] == [("order.placed", ["ledger"])]


def test_the_same_wiring_is_drawn_for_programs(capsys: Capture) -> None:
    assert main(["graph", "tests.cli.quiet:runtime", "--json"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["kind"]) for each in drawn["nodes"]] == [
        ("order.placed", "event"),
        ("ledger", "subscription"),
    ]
    assert len(drawn["edges"]) == 1

"""The telemetry of a fan-out across two processes is one connected trace."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.processes.child import Child, end_all


def spans_of(folder: Path, backend: str) -> list[dict[str, Any]]:
    """What both processes have told, once they have ended."""
    names = ("office", "shop")
    files = {name: folder / f"{name}.spans" for name in names}
    children: list[Child] = []
    try:
        for name in names:
            children.append(Child("tests.observe.traced", folder, name, (folder / "events.db", backend, files[name])))
            children[-1].wait_for("ready")
        assert [child.status() for child in children] == [0, 0]
    finally:
        end_all(children)
    return [json.loads(line) for name in names for line in files[name].read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_fan_out_across_two_processes_is_one_connected_trace(tmp_path: Path, backend: str) -> None:
    spans = spans_of(tmp_path, backend)
    by_place = {(each["process"], each["name"], each["subscription"]): each for each in spans}
    assert by_place.keys() == {
        ("shop", "send order.placed", ""),
        ("shop", "process order.placed", "confirm"),
        ("office", "process order.placed", "ledger"),
        ("shop", "send mail.sent", ""),
        ("office", "process mail.sent", "archive"),
    }
    assert len({each["trace"] for each in spans}) == 1
    sent = by_place["shop", "send order.placed", ""]
    confirmed = by_place["shop", "process order.placed", "confirm"]
    booked = by_place["office", "process order.placed", "ledger"]
    mailed = by_place["shop", "send mail.sent", ""]
    archived = by_place["office", "process mail.sent", "archive"]
    assert sent["parent"] is None
    assert confirmed["parent"] == booked["parent"] == sent["span"]
    assert confirmed["links"] == booked["links"] == [sent["span"]]
    assert mailed["parent"] == confirmed["span"]
    assert archived["parent"] == mailed["span"]

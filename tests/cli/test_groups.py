"""`postroom groups`: what is staged is listed, released and cleared; well used and badly."""

from pathlib import Path

import anyio
import pytest

from postroom import Runtime
from postroom.contract import StoredEvent
from postroom.modules.sqlite import SqliteModule

from .asking import asked, asked_json

STORE = ("--module", "sqlite:shop.db")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty store in it."""

    async def make() -> None:
        async with Runtime(module=SqliteModule("shop.db")):
            pass

    monkeypatch.chdir(tmp_path)
    anyio.run(make)
    return tmp_path


def test_groups_are_released_and_cleared_by_their_id(store: Path, capsys: Capture) -> None:
    async def stage() -> None:
        async with Runtime(module=SqliteModule("shop.db")) as runtime:
            await runtime.emit("order.placed", 1, group="g1")
            await runtime.emit("order.placed", 2, group="g2")
            await runtime.emit("order.paid", 2, group="g2")

    anyio.run(stage)
    listed = asked_json(capsys, "groups", "list", *STORE)
    assert [(each["id"], each["events"]) for each in listed] == [("g1", 1), ("g2", 2)]
    assert 0 < listed[0]["expires_in"] <= listed[1]["expires_in"] <= 600
    status, out, _ = asked(capsys, "groups", "list", *STORE, "--limit", 1)
    assert (status, out.splitlines()[-1]) == (0, "there may be more: --limit")
    assert asked(capsys, "groups", "release", "g1", *STORE)[1] == "released 1 event(s) of g1\n"
    assert asked_json(capsys, "groups", "clear", "g2", "--name", "order.paid", *STORE) == [
        {"group": "g2", "cleared": 1}
    ]
    assert asked(capsys, "groups", "clear", "g2", *STORE)[1] == "dropped 1 event(s) of g2\n"
    assert asked(capsys, "groups", "release", "g2", *STORE)[0] == 0
    assert asked(capsys, "groups", "list", *STORE)[:2] == (0, "nothing is staged\n")


@pytest.mark.parametrize(
    ("arguments", "reason"), [(["--limit", "0"], "--limit"), (["--limit", "many"], "--limit"), (["g1"], "g1")]
)
def test_a_list_of_groups_that_makes_no_sense_is_status_2(
    store: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    status, out, err = asked(capsys, "groups", "list", *arguments, *STORE)
    assert (status, out) == (2, "")
    assert reason in err


def test_a_group_that_never_expires_says_so_to_people(store: Path, capsys: Capture) -> None:
    async def stage() -> None:
        async with SqliteModule("shop.db").open("one that was killed") as session:
            await session.stage("for ever", [StoredEvent("1", "order.placed", b"{}")], None)

    anyio.run(stage)
    _, out, _ = asked(capsys, "groups", "list", *STORE)
    assert out.splitlines()[-1].split() == ["for", "ever", "1", "never"]

"""What the commands that change something answer, to people and to programs."""

import io
import signal
import sqlite3
from pathlib import Path

import anyio
import pytest

from postroom import Event, Retry, Runtime, Workflows, subscriber
from postroom.cli import runs
from postroom.modules.sqlite import SqliteModule

from . import flows
from .asking import Capture, asked, asked_json

STORE = ("--module", "sqlite:shop.db")


@subscriber("order.*", retry=Retry(attempts=1))
async def mailer(event: Event) -> None:
    raise ValueError("no mail server")


async def fill() -> None:
    """A dead letter, a group of two, and three runs."""
    async with (
        Runtime(module=SqliteModule("shop.db"), subscribers=[mailer]) as runtime,
        Workflows(runtime, [flows.checkout]) as workflows,
    ):
        await runtime.emit_and_wait("order.placed", {"token": "hush"})
        await runtime.emit("reminder.due", group="g1")
        await runtime.emit("reminder.due", group="g1")
        for id in ("a", "b", "c"):
            await workflows.run(flows.checkout, {"cds": 1}, id=id)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store in it."""
    monkeypatch.chdir(tmp_path)
    anyio.run(fill)
    return tmp_path


def test_a_letter_is_shown_with_its_secrets_where_that_is_asked_for(store: Path, capsys: Capture) -> None:
    (letter,) = asked_json(capsys, "dead", "list", *STORE)
    assert 'data:         {"token": "***"}' in asked(capsys, "dead", "show", letter["id"], *STORE)[1]
    assert 'data:         {"token": "hush"}' in asked(capsys, "dead", "show", letter["id"], *STORE, "--reveal")[1]


def test_programs_are_told_which_letter_was_discarded(store: Path, capsys: Capture) -> None:
    (letter,) = asked_json(capsys, "dead", "list", *STORE)
    told = asked_json(capsys, "dead", "discard", letter["id"], *STORE)
    assert told == [{"letter": letter["id"], "discarded": True}]


def test_programs_are_told_what_was_released(store: Path, capsys: Capture) -> None:
    (told,) = asked_json(capsys, "groups", "release", "g1", *STORE)
    assert (told["group"], len(set(told["released"]))) == ("g1", 2)


def test_people_are_told_that_a_run_is_being_cancelled(store: Path, capsys: Capture) -> None:
    assert asked(capsys, "workflows", "cancel", "a", *STORE) == (0, "cancelling a\n", "")


def test_programs_are_told_which_run_was_resumed(store: Path, capsys: Capture) -> None:
    db = sqlite3.connect("shop.db")
    db.execute("UPDATE runs SET state = 'needs_attention' WHERE id = 'a'")
    db.commit()
    db.close()
    assert asked_json(capsys, "workflows", "resume", "a", *STORE) == [{"id": "a", "resumed": True}]


def test_runs_are_exported_in_pages(store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_EXPORTED", 2)
    assert [each["id"] for each in asked_json(capsys, "workflows", "export", *STORE)] == ["a", "b", "c"]


def test_a_run_whose_record_can_not_be_read_is_shown_without_it(store: Path, capsys: Capture) -> None:
    db = sqlite3.connect("shop.db")
    db.execute("UPDATE runs SET result = ? WHERE id = 'a'", (b"\xff{",))
    db.commit()
    db.close()
    (shown,) = asked_json(capsys, "workflows", "show", "a", *STORE)
    assert (shown["input"], shown["result"]) == ({"cds": 1}, None)


def test_a_replay_that_is_told_to_end_ends(store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    _, lines, _ = asked(capsys, "workflows", "export", *STORE)
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    status, out, err = asked(capsys, "workflows", "replay", "-", "tests.cli.flows:interrupted")
    assert (status, out, err) == (128 + signal.SIGTERM, "", "")

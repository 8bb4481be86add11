"""`postroom workflows`, by a store and over a control socket: each command, well used and badly."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from postroom import Runtime, WorkflowCancelled, WorkflowFailed, Workflows
from postroom.cli.control import Client, open_control
from postroom.cli.desk import Desk
from postroom.modules.redis import RedisModule
from postroom.modules.sqlite import SqliteModule
from postroom.workflows import WorkflowNeedsAttention
from tests.servers.redis import redis_server

from . import flows
from .asking import Capture, asked, asked_json

STORE = ("--module", "sqlite:shop.db")
CODE = "tests.cli.flows:checkout"


async def fill(module: Any) -> None:
    """Three runs: one that succeeds, one that fails, and one that needs attention."""
    async with Runtime(module=module) as runtime, Workflows(runtime, [flows.checkout]) as workflows:
        await workflows.run(flows.checkout, {"cds": 3, "token": "hush"}, id="good")
        with pytest.raises(WorkflowFailed):
            await workflows.run(flows.checkout, {"cds": 1, "refused": True}, id="refused")
        with pytest.raises(WorkflowNeedsAttention):
            await workflows.run(flows.checkout, {"cds": 13, "refused": True}, id="stuck")


async def finish(module: Any, id: str) -> str:
    """How a run ends where its code is."""
    async with Runtime(module=module) as runtime, Workflows(runtime, [flows.checkout]) as workflows:
        try:
            await workflows.handle(id).result()
        except (WorkflowFailed, WorkflowCancelled) as error:
            return type(error).__name__
    return "succeeded"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store in it."""
    monkeypatch.chdir(tmp_path)
    anyio.run(fill, SqliteModule("shop.db"))
    return tmp_path


def test_list_shows_the_runs_of_a_store_and_pages_through_them(store: Path, capsys: Capture) -> None:
    found = asked_json(capsys, "workflows", "list", *STORE)
    assert [(each["id"], each["state"]) for each in found] == [
        ("good", "succeeded"),
        ("refused", "failed"),
        ("stuck", "needs_attention"),
    ]
    status, out, _ = asked(capsys, "workflows", "list", *STORE, "--limit", 1)
    assert status == 0
    assert "checkout" in out
    assert "there may be more: --after good" in out
    after = asked_json(capsys, "workflows", "list", *STORE, "--after", "good", "--state", "failed")
    assert [each["id"] for each in after] == ["refused"]
    assert asked(capsys, "workflows", "list", *STORE, "--workflow", "other")[1] == "no workflows\n"


def test_show_tells_of_input_steps_and_end_and_hides_secrets(store: Path, capsys: Capture) -> None:
    status, out, _ = asked(capsys, "workflows", "show", "good", *STORE)
    assert status == 0
    assert "state:       succeeded" in out
    assert 'result:      "paid"' in out
    assert "hush" not in out
    assert "hush" in asked(capsys, "workflows", "show", "good", *STORE, "--reveal")[1]
    _, out, _ = asked(capsys, "workflows", "show", "stuck", *STORE)
    assert "failed by:   pay#0" in out
    assert "not undone:  reserve#0" in out
    assert "\\x1b[31mrefused" in out
    assert "\x1b[31m" not in out
    [shown] = asked_json(capsys, "workflows", "show", "refused", *STORE)
    assert [(each["step"], each["kind"]) for each in shown["steps"]] == [
        ("reserve#0", "finished"),
        ("pay#0", "failed"),
        ("reserve#0", "undone"),
    ]
    assert shown["input"] == {"cds": 1, "refused": True}


def test_one_that_needs_attention_is_resumed(store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(capsys, "workflows", "resume", "stuck", *STORE) == (0, "resumed stuck\n", "")
    monkeypatch.setattr(flows, "mended", True)
    assert anyio.run(finish, SqliteModule("shop.db"), "stuck") == "WorkflowFailed"
    status, _, err = asked(capsys, "workflows", "resume", "good", *STORE)
    assert status == 1
    assert "there is none of this id that has stopped" in err


def test_one_that_has_succeeded_is_cancelled_by_who_knows_its_code(store: Path, capsys: Capture) -> None:
    assert asked_json(capsys, "workflows", "cancel", "good", *STORE) == [{"id": "good", "cancelling": True}]
    assert anyio.run(finish, SqliteModule("shop.db"), "good") == "WorkflowCancelled"
    status, _, err = asked(capsys, "workflows", "cancel", "refused", *STORE)
    assert status == 1
    assert "undone already" in err


def test_what_is_exported_is_replayed(store: Path, capsys: Capture) -> None:
    status, out, _ = asked(capsys, "workflows", "export", *STORE)
    assert status == 0
    assert len(out.splitlines()) == 3
    file = store / "histories.jsonl"
    file.write_text(out)
    assert asked(capsys, "workflows", "replay", file, CODE) == (0, "3 fit, 0 do not; 0 of other workflows\n", "")
    status, out, _ = asked(capsys, "workflows", "replay", file, "tests.cli.flows:changed")
    assert status == 1
    assert "checkout good: the journal has step reserve#0, which finished, next the code asks for step pay#0" in out
    assert "  - reserve#0 (finished)" in out
    assert out.endswith("0 fit, 3 do not; 0 of other workflows\n")
    [good] = asked_json(capsys, "workflows", "export", "good", *STORE)
    assert good["id"] == "good"


def test_replay_says_it_to_programs_and_reads_standard_input(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = asked(capsys, "workflows", "export", "good", *STORE)
    monkeypatch.setattr("sys.stdin", io.StringIO(out))
    [found] = asked_json(capsys, "workflows", "replay", "-", CODE)
    assert found == {"id": "good", "workflow": "checkout", "fits": True, "journal": "", "code": "", "diff": []}
    monkeypatch.setattr("sys.stdin", io.StringIO(out.replace('"checkout"', '"other"')))
    assert asked(capsys, "workflows", "replay", "-", CODE)[:2] == (1, "0 fit, 0 do not; 1 of other workflows\n")


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["show", "nobody"], 1, "there is none"),
        (["cancel", "nobody"], 1, "there is none"),
        (["resume", "nobody"], 1, "that has stopped"),
        (["export", "nobody"], 1, "there is none"),
        (["show", "\x1b[2J"], 2, "must be a string of 1 to 200 printable"),
        (["list", "--state", "asleep"], 2, "must hold states only"),
        (["list", "--limit", "0"], 2, "limit"),
        (["export", "good", "--workflow", "checkout"], 2, "give ids, or --workflow"),
    ],
)
def test_what_can_not_be_done_is_said_with_its_status(
    arguments: list[str], status: int, reason: str, store: Path, capsys: Capture
) -> None:
    got, out, err = asked(capsys, "workflows", *arguments, *STORE)
    assert (got, out) == (status, "")
    assert reason in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["histories.jsonl"], "which code?"),
        (["nowhere.jsonl", CODE], "can't read"),
        (["histories.jsonl", "tests.cli.flows:nothing"], "is no workflow"),
        (["histories.jsonl", "tests.cli.flows:nobody"], "has no 'nobody'"),
        (["histories.jsonl", "flows"], "names no workflow"),
        (["histories.jsonl", CODE], "line 2 of 'histories.jsonl' holds no history"),
        (["binary", CODE], "can't read"),
    ],
)
def test_a_replay_that_can_not_be_tried_has_status_2(
    arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "histories.jsonl").write_text("\n{}\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    status, out, err = asked(capsys, "workflows", "replay", *arguments)
    assert (status, out) == (2, "")
    assert reason in err


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.mark.slow
def test_workflows_on_redis_are_looked_at_too(url: str, tmp_path: Path, capsys: Capture) -> None:
    anyio.run(fill, RedisModule(url))
    found = asked_json(capsys, "workflows", "list", "--module", url)
    assert [each["id"] for each in found] == ["good", "refused", "stuck"]
    _, out, _ = asked(capsys, "workflows", "export", "--module", url)
    (tmp_path / "histories.jsonl").write_text(out)
    assert asked(capsys, "workflows", "replay", tmp_path / "histories.jsonl", CODE)[0] == 0


def test_the_runs_of_a_service_in_memory_are_seen_over_its_control_socket(tmp_path: Path) -> None:
    async def look() -> None:
        socket = tmp_path / "c.sock"
        async with Runtime() as runtime, Workflows(runtime, [flows.checkout]) as workflows:
            await workflows.run(flows.checkout, {"cds": 3}, id="good")
            async with open_control(Desk(runtime), socket):
                client = Client(socket)
                wanted = {"workflow": None, "states": None, "after": None, "limit": 10}
                assert [each["state"] for each in await client.ask("runs", wanted)] == ["succeeded"]
                assert [each["step"] for each in (await client.ask("run", {"id": "good"}))["steps"]] == [
                    "reserve#0",
                    "pay#0",
                ]
                await client.ask("cancel_run", {"id": "good"})
                with pytest.raises(WorkflowCancelled):
                    await workflows.handle("good").result()

    anyio.run(look)

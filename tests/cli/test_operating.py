"""Operating a service from a terminal, over its control socket and by its store: each command, well used and badly."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from postroom import Event, Runtime, subscriber
from postroom.modules.redis import RedisModule
from postroom.modules.sqlite import SqliteModule
from tests.servers.redis import redis_server

from .asking import asked, asked_json
from .processes import AT_WORK, environment, postroom, running

STORE = ("--module", "sqlite:shop.db")

Capture = pytest.CaptureFixture[str]


@subscriber("order.*")
async def mailer(event: Event) -> None:
    if event.data == {"fail": True}:
        raise ValueError("no mail server")


async def _fill(path: Path, *datas: Any) -> None:
    async with Runtime(module=SqliteModule(path), subscribers=[mailer]) as runtime:
        for data in datas:
            await runtime.emit_and_wait("order.placed", data)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store in it: one subscription, and two dead letters."""
    monkeypatch.chdir(tmp_path)
    anyio.run(_fill, tmp_path / "shop.db", {"fail": True}, {"fail": True}, {"id": 1})
    return tmp_path


def test_dead_list_shows_the_letters_of_a_store_and_pages_through_them(store: Path, capsys: Capture) -> None:
    letters = asked_json(capsys, "dead", "list", *STORE)
    assert [each["subscription"] for each in letters] == ["mailer", "mailer"]
    status, out, _ = asked(capsys, "dead", "list", *STORE, "--limit", 1)
    assert status == 0
    assert f"there may be more: --after {letters[0]['id']}" in out
    assert asked_json(capsys, "dead", "list", *STORE, "--after", letters[0]["id"]) == letters[1:]
    assert asked_json(capsys, "dead", "list", *STORE, "--subscription", "nobody") == []
    assert asked(capsys, "dead", "list", *STORE, "--subscription", "nobody")[1] == "no dead letters\n"


def test_dead_show_tells_all_of_a_letter(store: Path, capsys: Capture) -> None:
    (first, _) = asked_json(capsys, "dead", "list", *STORE)
    assert asked_json(capsys, "dead", "show", first["id"], *STORE) == [first]
    _, out, _ = asked(capsys, "dead", "show", first["id"], *STORE)
    assert "reason:       ValueError in attempt 1: no mail server" in out
    assert 'data:         {"fail": true}' in out
    assert "raise ValueError" in out


def test_dead_replay_and_discard_take_a_letter_away(store: Path, capsys: Capture) -> None:
    first, second = (each["id"] for each in asked_json(capsys, "dead", "list", *STORE))
    (told,) = asked_json(capsys, "dead", "replay", first, *STORE)
    assert (told["letter"], told["subscription"], told["settled"]) == (first, "mailer", False)
    assert asked(capsys, "dead", "discard", second, *STORE)[:2] == (0, f"discarded {second}\n")
    assert asked_json(capsys, "dead", "list", *STORE) == []
    (row,) = asked_json(capsys, "subscriptions", "list", *STORE)
    assert row["waiting"] == 1


def test_a_replay_whose_outcome_is_waited_for_in_vain_has_status_1(store: Path, capsys: Capture) -> None:
    (first, _) = asked_json(capsys, "dead", "list", *STORE)
    status, out, _ = asked(capsys, "dead", "replay", first["id"], *STORE, "--wait", "0.05")
    assert (status, out.splitlines()[-1]) == (1, "not settled in time")


@pytest.mark.parametrize("command", ["show", "replay", "discard"])
@pytest.mark.parametrize("id", ["00000000000000000007", "0", "seven", "7" * 30])
def test_a_letter_that_is_not_there_is_status_1(store: Path, capsys: Capture, command: str, id: str) -> None:
    status, out, err = asked(capsys, "dead", command, id, *STORE)
    assert (status, out) == (1, "")
    assert "no dead letter" in err


def test_subscriptions_are_listed_paused_resumed_and_removed(store: Path, capsys: Capture) -> None:
    assert asked(capsys, "subscriptions", "pause", "mailer", *STORE)[:2] == (0, "paused mailer\n")
    assert "paused" in asked(capsys, "subscriptions", "list", *STORE)[1].splitlines()[-1]
    assert asked_json(capsys, "subscriptions", "resume", "mailer", *STORE) == [{"name": "mailer", "paused": False}]
    asked(capsys, "emit", "order.placed", "{}", *STORE)
    assert asked_json(capsys, "subscriptions", "remove", "mailer", *STORE) == [{"name": "mailer", "cancelled": 1}]
    assert asked(capsys, "subscriptions", "list", *STORE)[1] == "no subscriptions\n"


@pytest.mark.parametrize("command", ["pause", "resume", "remove"])
def test_a_subscription_that_is_not_there_is_status_1(store: Path, capsys: Capture, command: str) -> None:
    status, _, err = asked(capsys, "subscriptions", command, "nobody", *STORE)
    assert (status, "no subscription named 'nobody'" in err) == (1, True)


def test_top_shows_what_a_store_knows(store: Path, capsys: Capture) -> None:
    asked(capsys, "emit", "order.placed", "{}", *STORE)
    status, out, _ = asked(capsys, "top", "--once", *STORE)
    assert status == 0
    assert out.splitlines()[-1].split() == ["mailer", "1", "0", "0", "2", "0", "nobody", "serves", "it"]
    (look,) = asked_json(capsys, "top", "--once", *STORE)
    assert (look["source"], look["subscriptions"][0]["waiting"]) == ("store", 1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["order.placed", "{"], "the data is no JSON"),
        (["order.placed", "@no-such-file"], "the data can't be read"),
        (["order..placed", "1"], "is not a valid name"),
        (["order.placed", "1", "--priority", "urgent"], "--priority"),
        (["order.placed", "1", "-H", "novalue"], "--header takes NAME=VALUE"),
        (["order.placed", "1", "--wait", "nan"], "--wait takes seconds"),
        ([], "requires an argument"),
    ],
)
def test_an_emit_that_makes_no_sense_is_status_2(
    store: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    status, out, err = asked(capsys, "emit", *arguments, *STORE)
    assert (status, out) == (2, "")
    assert reason in err


def test_an_emit_that_nobody_hears_is_refused_where_somebody_must(store: Path, capsys: Capture) -> None:
    status, _, err = asked(capsys, "emit", "nobody.hears", "1", "--require", *STORE)
    assert (status, "nobody subscribes" in err) == (1, True)


def test_the_data_of_an_emit_may_come_from_a_file(store: Path, capsys: Capture) -> None:
    Path("order.json").write_text('{"id": 7}')
    assert asked(capsys, "emit", "order.placed", "@order.json", "--key", "7", "--id", "seven", *STORE)[:2] == (
        0,
        "accepted as seven\n",
    )


def test_the_data_of_an_emit_may_begin_with_a_hyphen(store: Path, capsys: Capture) -> None:
    async def seen() -> list[Any]:
        async with Runtime(module=SqliteModule("shop.db")) as runtime:
            found: list[Any] = []

            async def note(event: Event) -> None:
                found.append(event.data)

            await runtime.spawn(note, "number.*", name="note")
            await runtime.idle()
            return found

    anyio.run(seen)  # registers it
    assert asked(capsys, "emit", "number.less", "-5", *STORE)[0] == 0
    assert anyio.run(seen) == [-5]


def test_the_data_of_an_emit_may_come_from_standard_input(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("{"))
    status, _, err = asked(capsys, "emit", "order.placed", "-", *STORE)
    assert (status, "the data is no JSON" in err) == (2, True)
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"id": 8}'))
    assert asked(capsys, "emit", "order.placed", "-", "--wait", "0", *STORE)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "which service?"),
        (["--module", "sqlite:other.db"], "there is no file 'other.db'"),
        (["--module", "postgres://x"], "write sqlite:FILE"),
        (["--module", "redis://user:hush@127.0.0.1:1/0"], "127.0.0.1"),
        (["--control", "no.sock"], "no service answers at 'no.sock'"),
        (["--app", "tests.cli.service:runtime"], "ask that one, with --control PATH"),
        (["--app", "tests.cli.service:runtime", "--control", "x"], "leave one out"),
    ],
)
def test_a_target_that_can_not_be_used_is_status_2_and_tells_no_password(
    store: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    status, out, err = asked(capsys, "dead", "list", *arguments)
    assert (status, out) == (2, "")
    assert reason in err
    assert "hush" not in err


def test_the_store_may_be_named_by_the_environment_or_by_a_service(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(capsys, "dead", "list", "--app", "tests.cli.service:durable")[0] == 0
    monkeypatch.setenv("POSTROOM_MODULE", "sqlite:shop.db")
    assert asked(capsys, "dead", "list")[0] == 0


@pytest.mark.slow
def test_tail_shows_what_is_emitted_elsewhere_and_leaves_no_subscription_behind(store: Path, capsys: Capture) -> None:
    with running(store, "tail", "order.**", *STORE, "--json") as tail:
        until = time.monotonic() + 60
        while len(asked_json(capsys, "subscriptions", "list", *STORE)) < 2 and time.monotonic() < until:
            pass
        asked(capsys, "emit", "other.thing", "1", *STORE)
        asked(capsys, "emit", "order.placed", '{"password": "hush"}', "-H", "Authorization=hush", "--id", "x", *STORE)
        tail.wait_for("order.placed")
        tail.signal(signal.SIGINT)
        assert tail.status() == 130
    (event,) = [json.loads(line) for line in tail.said.splitlines()]
    assert (event["id"], event["data"], event["headers"]) == ("x", {"password": "***"}, {"Authorization": "***"})
    assert tail.errors == ""
    assert [each["name"] for each in asked_json(capsys, "subscriptions", "list", *STORE)] == ["mailer"]


@pytest.mark.slow
def test_what_a_killed_tail_leaves_behind_is_bounded_and_the_next_one_takes_it_away(
    store: Path, capsys: Capture
) -> None:
    async def leave() -> None:
        async def show(event: Event) -> None: ...

        async with Runtime(module=SqliteModule("shop.db")) as runtime:
            await runtime.spawn(show, "**", name="postroom-tail-1-x", overflow="drop_oldest", capacity=1000)

    anyio.run(leave)
    assert asked(capsys, "tail", "**", "--count", 0, *STORE)[0] == 0
    assert [each["name"] for each in asked_json(capsys, "subscriptions", "list", *STORE)] == ["mailer"]


def test_a_pattern_that_is_none_is_status_2(store: Path, capsys: Capture) -> None:
    status, _, err = asked(capsys, "tail", "order.**.x", *STORE)
    assert (status, "is not a valid name" in err) == (2, True)


@pytest.mark.slow
def test_a_store_in_redis_is_operated_by_its_url(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server() as server:

        async def fill() -> None:
            async with Runtime(module=RedisModule(server.url, namespace="shop"), subscribers=[mailer]) as runtime:
                await runtime.emit_and_wait("order.placed", {"fail": True})

        anyio.run(fill)
        monkeypatch.setenv("POSTROOM_MODULE", server.url)
        redis = ("--namespace", "shop")
        (letter,) = asked_json(capsys, "dead", "list", *redis)
        assert asked_json(capsys, "dead", "show", letter["id"], *redis) == [letter]
        assert asked(capsys, "dead", "replay", letter["id"], *redis)[0] == 0
        assert asked(capsys, "subscriptions", "pause", "mailer", *redis)[0] == 0
        (row,) = asked_json(capsys, "subscriptions", "list", *redis)
        assert (row["waiting"], row["dead"], row["paused"]) == (1, 0, True)
        assert asked(capsys, "top", "--once", *redis)[0] == 0
        assert asked_json(capsys, "subscriptions", "list", "--namespace", "other") == []


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The control socket of a service that keeps its events in memory."""
    folder = tmp_path_factory.mktemp("service")
    with running(folder, "run", "tests.cli.service:runtime", "--control", "c.sock") as started:
        started.wait_for(AT_WORK)
        yield folder / "c.sock"


@pytest.mark.slow
def test_a_service_in_memory_is_operated_over_its_control_socket(service: Path, capsys: Capture) -> None:
    control = ("--control", service)
    status, out, _ = asked(capsys, "emit", "order.placed", '{"id": "1"}', "--wait", 60, *control)
    assert status == 1  # the mailer fails
    assert 'ledger: succeeded after 1 attempt(s): "booked"' in out
    assert "smtp://shop:***@mail.example" in out
    (letter,) = asked_json(capsys, "dead", "list", *control)
    assert asked_json(capsys, "dead", "show", letter["id"], *control) == [letter]
    assert asked(capsys, "dead", "replay", letter["id"], "--wait", 60, *control)[0] == 1
    (again,) = asked_json(capsys, "dead", "list", *control)
    assert asked(capsys, "dead", "discard", again["id"], *control)[0] == 0
    assert asked(capsys, "dead", "discard", again["id"], *control)[0] == 1
    assert asked(capsys, "subscriptions", "pause", "worker", *control)[0] == 0
    assert asked(capsys, "subscriptions", "pause", "nobody", *control)[0] == 1
    assert asked(capsys, "subscriptions", "resume", "worker", *control)[0] == 0
    assert asked(capsys, "subscriptions", "remove", "worker", *control)[0] == 1
    assert asked(capsys, "groups", "list", *control)[:2] == (0, "nothing is staged\n")
    assert asked(capsys, "groups", "release", "g", *control)[0] == 0


@pytest.mark.slow
def test_top_shows_rates_times_and_failures_of_a_process(service: Path, capsys: Capture) -> None:
    asked(capsys, "emit", "order.placed", '{"id": "1"}', "--wait", 60, "--control", service)
    (look,) = asked_json(capsys, "top", "--once", "--interval", "0.1", "--control", service)
    rows = {each["name"]: each for each in look["subscriptions"]}
    assert list(rows) == ["ledger", "mailer", "worker"]
    assert rows["ledger"]["p50"] <= rows["ledger"]["p99"]
    assert (rows["worker"]["p50"], rows["worker"]["rate"]) == (None, 0.0)
    assert rows["mailer"]["failures"] >= 1
    _, out, _ = asked(capsys, "top", "--once", "--interval", "0.1", "--control", service, "--control", service)
    assert out.split()[:3] == ["process", "subscription", "rate/s"]


@pytest.mark.slow
def test_a_tail_over_the_control_socket_sees_what_is_in_memory_and_is_taken_away(
    service: Path, capsys: Capture
) -> None:
    with running(service.parent.parent, "tail", "order.booked", "--control", service, "-n", "1") as tail:
        until = time.monotonic() + 60
        while "postroom-tail" not in asked(capsys, "subscriptions", "list", "--control", service)[1]:
            assert time.monotonic() < until
        asked(capsys, "emit", "order.placed", '{"id": "1"}', "--control", service)
        assert tail.status() == 0
    assert " order.booked " in tail.said
    until = time.monotonic() + 60
    while "postroom-tail" in asked(capsys, "subscriptions", "list", "--control", service)[1]:
        assert time.monotonic() < until


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", [b"hello\n", b"[]\n", b'{"ask": 1}\n', b"[" * 100_000 + b"\n", b'{"ask": "drop", "arguments": {}}\n']
)
def test_who_speaks_another_language_gets_an_error_and_the_service_goes_on(
    service: Path, capsys: Capture, line: bytes
) -> None:
    async def talk() -> bytes:
        async with await anyio.connect_unix(service) as stream:
            await stream.send(line)
            return await stream.receive()

    assert b'"error"' in anyio.run(talk)
    assert asked(capsys, "subscriptions", "list", "--control", service)[0] == 0


@pytest.mark.slow
def test_the_command_line_works_without_a_terminal_and_ends_quietly_when_nobody_reads(store: Path) -> None:
    done = postroom(store, "dead", "list", *STORE)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    command = f"{sys.executable} -m postroom dead list --json --module sqlite:shop.db"
    piped = subprocess.run(
        ["bash", "-c", f"{command} | true; echo ${{PIPESTATUS[0]}}"],
        cwd=store,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert piped.stdout.strip() in ("141", "0")  # where it was written before the reader had gone
    assert piped.stderr == ""


@pytest.mark.slow
def test_without_the_extra_one_line_names_it(tmp_path: Path) -> None:
    (tmp_path / "cyclopts.py").write_text("raise ModuleNotFoundError('no', name='cyclopts')")
    done = postroom(tmp_path, "--help")  # its folder comes first, as with every `python -m`
    assert done.returncode == 2
    assert done.stderr == "postroom: the command line needs the package `cyclopts`: pip install '.[cli]' in its clone\n"

"""Goal S5: 500 hostile strings through the command line and the log, and not one raw control character comes out."""

import json
import logging
import random
import sys
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from postroom import Event, Retry, Runtime, subscriber
from postroom.cli import main
from postroom.cli.logs import JsonFormatter, SafeFormatter
from postroom.cli.output import Column, Output
from postroom.modules.sqlite import SqliteModule

pytestmark = pytest.mark.injection

SEED: Final = 5
COUNT: Final = 500

PIECES: Final = (
    "\r", "\n", "\r\n", "\x00", "\x07", "\x08", "\x0b", "\x0c", "\x1b[31m", "\x1b[2J", "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\", "\x1bP+q\x1b\\", "\x9b31m", "\x9d0;t\x9c", "\x7f", "\x85", "\u2028", "\u2029",
    "\u202e", "\u2066", "\u2069", "\u200f", "\u200b", "\ufeff", "\U000e0041", "[bold red]", "[/]", "{0}", "%s",
    "%(x)s", "<b>",    "redis://u:hush@h/0", "order.placed", "ü", "漢", "🎉",
)  # fmt: skip

ALLOWED: Final = frozenset("\n")
"""The ends of our own lines."""

Capture = pytest.CaptureFixture[str]


def hostile(count: int) -> list[str]:
    """Strings of such pieces; each piece is the first of one of them."""
    chance = random.Random(SEED)
    return [
        PIECES[number % len(PIECES)] + "".join(chance.choices(PIECES, k=chance.randint(0, 5)))
        for number in range(count)
    ]


def raw_in(text: str) -> list[str]:
    """The characters that a terminal would obey, or that turn what is read around."""
    return [char for char in text if not char.isprintable() and char not in ALLOWED]


def test_hostile_strings_come_out_of_tables_lines_and_json_as_text(capsys: Capture) -> None:
    strings = hostile(COUNT)
    Output().table([Column("a"), Column("b", is_number=True)], [(text, text) for text in strings], "nothing")
    for text in strings:
        Output().line(text)
        Output(json=True).value({text: [text]})
    out = capsys.readouterr().out
    found = raw_in(out)
    print(f"GOAL S5 {len(found)} {'FAIL' if found else 'PASS'} strings={COUNT} seed={SEED}")
    assert found == []
    assert "hush" not in out
    assert out.count("\n") >= 2 * COUNT


def test_hostile_strings_come_out_of_the_log_as_text() -> None:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s").format(record))
            lines.append(JsonFormatter().format(record))

    logger = logging.Logger("hostile")
    logger.addHandler(Keep())
    for text in hostile(COUNT):
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("it failed: %s", text, extra={"event_id": text}, stack_info=True)
    assert [char for line in lines for char in raw_in(line)] == []
    assert not any("hush" in line for line in lines)
    assert all("\n" not in line for line in lines[1::2])


def test_hostile_ids_keys_data_headers_and_errors_come_out_of_every_command_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    strings = hostile(len(PIECES))
    monkeypatch.chdir(tmp_path)

    @subscriber("order.*", retry=Retry(attempts=1))
    async def fails(event: Event) -> None:
        raise ValueError(event.data["text"])

    async def fill() -> None:
        async with Runtime(module=SqliteModule("shop.db"), subscribers=[fails]) as runtime:
            for number, text in enumerate(strings):
                data = {"text": text, text: text}
                await runtime.emit_and_wait(
                    "order.placed",
                    data,
                    id=f"{text}{number}",
                    key=text,
                    headers={"note": text.encode("ascii", "replace").decode()[:50]},
                )

    anyio.run(fill)
    capsys.readouterr()
    store = ["--module", "sqlite:shop.db"]
    assert main(["dead", "list", "--json", *store]) == 0
    listed = capsys.readouterr().out
    ids = [json.loads(line)["id"] for line in listed.splitlines()]
    assert len(ids) == len(strings)
    assert main(["dead", "list", *store]) == 0
    for id in ids[:10]:
        assert main(["dead", "show", id, *store]) == 0
    assert main(["top", "--once", *store]) == 0
    out = capsys.readouterr()
    assert raw_in(listed + out.out + out.err) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["dead", "show", "{}"],
        ["dead", "list", "--subscription", "{}"],
        ["subscriptions", "pause", "{}"],
        ["emit", "{}"],
        ["tail", "{}"],
        ["run", "{}"],
        ["check", "{}:{}"],
        ["graph", "tests.cli.quiet:{}"],
        ["{}"],
        ["dead", "list", "--{}"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_hostile_arguments_come_back_in_errors_as_text(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("postroom.cli.stopping.Stopping.install", lambda self: None)
    more: list[str] = []
    if arguments[0] in ("dead", "subscriptions", "emit", "tail") and not arguments[-1].startswith("--"):

        async def make() -> None:
            async with Runtime(module=SqliteModule("shop.db")):
                pass

        anyio.run(make)
        more = ["--module", "sqlite:shop.db"]
    statuses: set[Any] = set()
    for text in hostile(len(PIECES)):
        if arguments[0] == "tail" and text in ("order.placed",):
            continue
        statuses.add(main([each.replace("{}", text) for each in arguments] + more))
    said = capsys.readouterr()
    assert raw_in(said.out + said.err) == []
    assert "hush" not in said.out + said.err
    assert statuses <= {0, 1, 2}

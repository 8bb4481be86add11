"""The reference names every command, every option, every status and every key."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from cyclopts import App

from postroom.cli import main, statuses
from postroom.cli.app import make_app
from postroom.cli.desk import QUESTIONS

PAGE: Final = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
OPTION: Final = re.compile(r"`(--?[A-Za-z-]+)`")
BUILT_IN: Final = {"--help", "-h", "--version", "--worker"}
"""Options that every command has, and one that only processes of `run` give to each other."""


def commands_of(app: App, before: str = "") -> dict[str, App]:
    """The commands that are called, by how they are called."""
    found: dict[str, App] = {}
    for name in app:
        if name.startswith("-"):
            continue
        called = f"{before}{name}"
        below = commands_of(app[name], f"{called} ")
        found |= below or {called: app[name]}
    return found


COMMANDS: Final = commands_of(make_app())


def options_of(app: App) -> set[str]:
    """The names of a command's options."""
    arguments = app.assemble_argument_collection()
    return {name for each in arguments for name in each.names if name.startswith("-")} - BUILT_IN


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_reference_names_the_command(command: str) -> None:
    assert re.search(rf"^\|.*`{command}[` ]", PAGE, re.MULTILINE)


def test_the_tables_of_options_are_complete_and_name_nothing_else() -> None:
    told = set(OPTION.findall("\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `-"))))
    there = set().union(*(options_of(app) for app in COMMANDS.values()))
    assert told == there


def test_the_table_of_statuses_is_complete() -> None:
    section = PAGE.split("\n## Statuses\n")[1].split("\n## ")[0]
    told = {
        int(number) for line in section.splitlines() for number in re.findall(r"\d+", line.split("|")[1:2].__str__())
    }
    known = {value for value in vars(statuses).values() if isinstance(value, int)}
    assert known <= told


def test_the_table_of_keys_has_those_that_check_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "tests.cli.service:runtime", "--json"]) == 1
    told: Any = json.loads(capsys.readouterr().out)
    keys = {*told, *told["events"][0], *told["subscriptions"][0]}
    row = next(line for line in PAGE.split("\n## JSON\n")[1].splitlines() if line.startswith("| `check`"))
    assert set(re.findall(r"`(\w+)`", row)) - {"check"} == keys


def test_every_question_is_asked_by_a_command() -> None:
    folder = Path(__file__).parents[2] / "runtime" / "postroom" / "cli" / "commands"
    code = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert [name for name in QUESTIONS if f'"{name}"' not in code] == []


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    assert "Usage: postroom" in capsys.readouterr().out

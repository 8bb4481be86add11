"""Commands that are run in the process of the test, and what they say."""

import json
from typing import Any

import pytest

from postroom.cli import main

Capture = pytest.CaptureFixture[str]


def asked(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    """Run one command here; its status, and what it has said."""
    status = main([*map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def asked_json(capsys: Capture, *arguments: object) -> list[Any]:
    """What one command says to programs."""
    status, out, err = asked(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]

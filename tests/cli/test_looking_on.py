"""`postroom top` looks on at an even pace, whatever it looks at."""

import io
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from rich.console import Console

from postroom.cli.commands.top import look_on
from postroom.cli.output import Output


class Looked:
    """A target that notes when it is asked."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.begun = anyio.current_time()
        self.times: list[float] = []

    async def ask(self, what: str, arguments: Mapping[str, Any]) -> Any:
        now = anyio.current_time() - self.begun
        self.times.append(round(now, 3))
        return {"source": self.source, "process": 1, "stopwatch": now, "subscriptions": []}

    def tail(self, pattern: str) -> Any:
        raise NotImplementedError


def printed(*, terminal: bool, json: bool = False) -> Output:
    """Where it prints: into memory, as on a terminal or not."""
    out = Output(json)
    out.console = Console(file=io.StringIO(), force_terminal=terminal, width=100, _environ={})
    return out


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(("source", "times"), [("store", [0, 0, 2, 4]), ("process", [0, 2, 4])])
async def test_after_the_first_look_there_is_an_interval_between_two(
    source: str, times: list[float], terminal: bool
) -> None:
    target = Looked(source)
    with anyio.move_on_after(5):
        await look_on([target], printed(terminal=terminal), 2.0, once=False)
    assert target.times == times


@pytest.mark.parametrize(("source", "times"), [("store", [0, 0]), ("process", [0, 2])])
async def test_once_is_two_looks_an_interval_apart_where_there_are_rates(
    source: str, times: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    target = Looked(source)
    await look_on([target], printed(terminal=False, json=True), 2.0, once=True)
    assert target.times == times
    assert len(capsys.readouterr().out.splitlines()) == 1

"""The example of an event module of one's own keeps what it promises."""

import json
from pathlib import Path

import anyio
import pytest

from examples.journal_module import JournalModule, main
from postroom import Event, Runtime, subscriber
from postroom.store_errors import StoreBroken
from postroom.testing.conformance import Check, World, checks

CAPABILITIES = JournalModule(Path()).capabilities


@pytest.mark.parametrize("check", checks(CAPABILITIES, kills=True), ids=str)
async def test_it_conforms(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await check(World(lambda: JournalModule(path, anyio.current_time), kill=JournalModule.kill))


async def test_the_example_prints_what_it_says() -> None:
    assert await main() == ["order 1", "order 2", "order 3"]


async def test_a_line_that_a_crash_has_left_half_written_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    seen: list[int] = []

    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        seen.append(event.data)

    async with Runtime(module=JournalModule(path), subscribers=[ledger]) as runtime:
        await (await runtime.emit("order.placed", 1))
    with path.open("a", encoding="utf-8") as file:
        file.write('[7, [["deliveries", "7", {"subscr')
    async with Runtime(module=JournalModule(path), subscribers=[ledger]) as runtime:
        await (await runtime.emit("order.placed", 2))
    assert seen == [1, 2]
    assert all(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    async with Runtime(module=JournalModule(path)):
        with pytest.raises(StoreBroken, match="another process"):
            async with Runtime(module=JournalModule(path)):
                raise AssertionError("it was opened")

"""A runtime on SQLite has no task that must not be cancelled by asyncio's own means."""

import asyncio
from pathlib import Path

import anyio

from postroom import Event, Runtime, subscriber
from postroom.modules.sqlite import SqliteModule


@subscriber("n", name="work")
async def work(event: Event) -> None: ...


def test_it_goes_on_where_all_of_its_tasks_are_cancelled(path: Path) -> None:
    async def main() -> bool:
        before = asyncio.all_tasks()
        async with Runtime(module=SqliteModule(path), subscribers=[work]) as runtime:
            await runtime.emit_and_wait("n")
            for task in asyncio.all_tasks() - before:
                task.cancel()
            with anyio.fail_after(30):
                return (await runtime.emit_and_wait("n")).succeeded

    assert anyio.run(main, backend="asyncio")

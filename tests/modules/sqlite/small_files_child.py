"""A process whose files may not grow any more; see `ulimit -f`.

Run: python -m tests.modules.sqlite.small_files_child FILE BACKEND BYTES
Prints: what became of an event of so many bytes that had no room; what became of it once it had; and of one more that
had none, before the process is gone without a word.
"""

import os
import resource
import sys
from pathlib import Path

import anyio

from postroom.contract import Store, StoredEvent
from postroom.errors import PostroomError
from postroom.modules.sqlite import SqliteModule

from .calls import LEDGER


async def publish(store: Store, number: int, size: int) -> str:
    try:
        await store.publish(number, [[StoredEvent(f"e{number}", "order.placed", b"x" * size)]])
    except PostroomError as error:
        return type(error).__name__
    return "stored"


def limit(size: int | None) -> None:
    """Let nothing be written into files beyond so many bytes; anything with None."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most if size is None else size, most))


async def main(path: Path, size: int) -> None:
    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        for number in (1, 2):
            limit(1000)
            print(await publish(store, number, size), flush=True)
            if number == 2:
                os._exit(0)
            limit(None)
            print(await publish(store, number, size), flush=True)


if __name__ == "__main__":  # Python ignores SIGXFSZ, so what is too large is an error
    _, file, backend, size = sys.argv
    anyio.run(main, Path(file), int(size), backend=backend)

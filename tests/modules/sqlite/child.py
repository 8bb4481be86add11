"""A process of a crash test: it publishes, handles and settles until it is killed.

Run: python -m tests.modules.sqlite.child FILE SESSION BACKEND LEASE
Prints: a line for each thing that it knows has happened: `stored ID`, `begun ID TOKEN`, `settled ID`, `ready`.
Reads: nothing; when `FILE.stop` exists it publishes nothing more, and ends once nothing waits.
"""

import sys
from pathlib import Path

import anyio

from postroom.contract import Binding, Store, StoredEvent
from postroom.modules.sqlite import SqliteModule

from .calls import settled

BATCH = 20


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


async def publish(store: Store, session: str, stop: Path) -> None:
    number = 0
    while not stop.exists():
        number += 1
        ids = [f"{session}.{number}.{position}" for position in range(BATCH)]
        events = [StoredEvent(id, "order.placed", b"{}", key=id[-1]) for id in ids]
        await store.publish(number, [events])
        say("".join(f"stored {id}\n" for id in ids))
        await anyio.sleep(0.002)


async def handle(store: Store, stop: Path) -> None:
    number = 0
    while True:
        loans = (await store.fetch({"ledger": BATCH, "mail": BATCH})).loans
        say("".join(f"begun {loan.subscription}:{loan.id}\n" for loan in loans))
        if loans:
            number += 1
            done = await store.settle(number, settled(loans))
            say("".join(f"settled {e.subscription}:{e.id}\n" for e, ok in zip(loans, done, strict=True) if ok))
        elif stop.exists() and all(
            each.waiting + each.lent + each.delayed == 0 for each in await store.subscriptions()
        ):
            return
        else:
            await anyio.sleep(0.01)


async def main(path: Path, session: str, lease: float) -> None:
    stop = path.with_suffix(".stop")
    async with SqliteModule(path, lease=lease).open(session) as store:
        await store.bind([Binding("ledger", ("order.*",)), Binding("mail", ("order.**",))], serve=True)
        say("ready\n")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish, store, session, stop)
            tasks.start_soon(handle, store, stop)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], float(sys.argv[4]), backend=sys.argv[3])

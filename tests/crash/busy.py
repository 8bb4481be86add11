"""A process that emits, handles and settles until it is killed.

Run: python -m tests.crash.busy NAME PLACE BACKEND LEASE STOP
Says: `ready`; `stored N` once an emit has returned; `begun SUBSCRIPTION:N` and `ended SUBSCRIPTION:N` in a handler;
`settled SUBSCRIPTION:N` once the receipt says that it has succeeded.
When the file STOP exists it emits nothing more, and ends once nothing waits in the store.
"""

import logging
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from postroom import Context, Event, Receipt, Runtime, Succeeded, subscriber
from tests.processes.child import say
from tests.processes.stores import module_at

TOGETHER = 10


@subscriber("order.*", concurrency=4)
async def ledger(event: Event, context: Context) -> None:
    say("begun", f"ledger:{event.data}", context.losses)
    await anyio.sleep(0.001)
    say("ended", f"ledger:{event.data}")


@subscriber("order.**")
async def mail(event: Event, context: Context) -> None:
    say("begun", f"mail:{event.data}", context.losses)
    say("ended", f"mail:{event.data}")


async def hear(receipt: Receipt) -> None:
    report = await receipt
    for outcome in report.outcomes:
        say("settled" if isinstance(outcome, Succeeded) else "failed", f"{outcome.subscription}:{report.event.data}")


async def emit(runtime: Runtime, name: str, stop: Path, tasks: anyio.abc.TaskGroup) -> None:
    number = 0
    while not stop.exists():
        texts = [f"{name}.{number + position}" for position in range(TOGETHER)]
        number += TOGETHER
        receipts = await runtime.emit_many(Event(name="order.placed", data=text, key=text[-1]) for text in texts)
        for text, receipt in zip(texts, receipts, strict=True):
            say("stored", text)
            tasks.start_soon(hear, receipt)
        await anyio.sleep(0.015)


async def main(name: str, place: str, lease: float, stop: Path) -> None:
    module: Any = module_at(place, lease)
    async with Runtime(module=module, subscribers=[ledger, mail], losses=1000) as runtime:
        say("ready")
        async with anyio.create_task_group() as tasks:
            await emit(runtime, name, stop, tasks)
            while any(each.waiting + each.lent + each.delayed for each in await runtime.stored_subscriptions()):
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()


if __name__ == "__main__":
    logging.getLogger("postroom").setLevel(logging.ERROR)
    anyio.run(main, sys.argv[1], sys.argv[2], float(sys.argv[4]), Path(sys.argv[5]), backend=sys.argv[3])

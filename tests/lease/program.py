"""A process whose handler blocks the event loop for longer than a lease.

Run: python -m tests.lease.program NAME PLACE BACKEND LEASE BLOCK EVENTS STOP
Says: `ready`; `begun N LOSSES` and `ended N` in the handler; `log LINE` for each warning of the runtime;
`settled N` for what the process that emitted hears. It ends when the file STOP exists and nothing waits in the store.
"""

import logging
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from postroom import Context, Event, Receipt, Runtime, Succeeded, subscriber
from postroom.log import LEASE_LOST, REFUSED
from tests.processes.child import say
from tests.processes.stores import module_at

LINES = {LEASE_LOST.text: "lost", REFUSED.text: "refused"}


class Teller(logging.Handler):
    """Says what the runtime warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        say("log", LINES.get(str(record.msg), "other"))


async def hear(receipt: Receipt) -> None:
    report = await receipt
    say("settled" if isinstance(report.outcomes[0], Succeeded) else "failed", report.event.data)


async def main(name: str, place: str, lease: float, block: float, events: int, stop: Path) -> None:
    async def handle(event: Event, context: Context) -> None:
        say("begun", event.data, context.losses)
        time.sleep(block)  # noqa: ASYNC251 - on purpose: nothing else in this event loop goes on
        say("ended", event.data)

    module: Any = module_at(place, lease)
    ledger = subscriber("order.*", name="ledger")(handle)
    runtime = Runtime(module=module, subscribers=[ledger], watchdog=None)
    async with runtime, anyio.create_task_group() as tasks:
        for number in range(events):
            tasks.start_soon(hear, await runtime.emit("order.placed", f"{name}.{number}"))
        say("ready")
        while not stop.exists():
            await anyio.sleep(0.02)


if __name__ == "__main__":
    logging.getLogger("postroom").addHandler(Teller())
    _, name, place, backend, lease, block, events, stop = sys.argv
    anyio.run(main, name, place, float(lease), float(block), int(events), Path(stop), backend=backend)

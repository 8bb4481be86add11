"""The program of this goal as a service that `postroom run` runs: `tests.shutdown.service:make`.

What it is to do stands in the environment. Says: `ready`, `begun N`, `ended N` and `stopping`, as the program does.
"""

import json
import logging
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import attrs

from postroom import Event, Runtime, RuntimeClosed, subscriber
from postroom.modules.sqlite import SqliteModule
from tests.processes.child import say

from .program import Desk
from .through_run import WANTED


@attrs.define(eq=False)
class GatedDesk(Desk):
    """One that begins once all events are there, which come one by one."""

    given: threading.Event = attrs.field(factory=threading.Event)

    async def handle(self, event: Event) -> None:
        while not self.given.is_set():
            await anyio.sleep(0.005)
        await Desk.handle(self, event)


class SayStopping(logging.Handler):
    """Says that the drain has begun."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("draining"):
            say("stopping")


def make() -> Runtime:
    """The runtime, which is given work by a thread as soon as it is open."""
    name, path, grace, handlers, longest, seed = json.loads(os.environ[WANTED])
    logging.getLogger("postroom").setLevel(logging.CRITICAL)
    logging.getLogger("postroom.run").setLevel(logging.INFO)
    logging.getLogger("postroom.run").addHandler(SayStopping())
    desk = GatedDesk(random.Random(seed), longest)
    ledger = subscriber("order.*", name="ledger", concurrency=handlers)(desk.handle)
    module: Any = SqliteModule(Path(path))
    runtime = Runtime(module=module, subscribers=[ledger], drain_within=grace, cleanup_within=0.2)
    texts = [f"{name}.{number}" for number in range(3 * handlers)]
    threading.Thread(target=_give, args=(runtime, desk, texts), daemon=True).start()
    return runtime


def _give(runtime: Runtime, desk: GatedDesk, texts: list[str]) -> None:
    given = 0
    while given < len(texts):
        try:
            runtime.emit_from_thread("order.placed", texts[given], id=texts[given])
        except RuntimeClosed:  # not open yet
            time.sleep(0.001)
        else:
            given += 1
    desk.given.set()
    while not desk.in_hand:
        time.sleep(0.001)
    say("ready")

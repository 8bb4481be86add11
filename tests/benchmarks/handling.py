"""A process that handles what is emitted in a namespace, and says what CPU time that took it.

Run by the benchmark of the Redis module: python -m tests.benchmarks.handling NAME URL NAMESPACE BACKEND STOP
Says: `ready`; `handled N` for what it has handled since it said so last; `cpu SECONDS`, since `ready`, when the file
STOP exists.
"""

import sys
import time
from pathlib import Path

import anyio

from postroom import Event, Runtime, subscriber
from postroom.modules.redis import RedisModule
from tests.processes.child import say

LOOK_EVERY = 0.02


async def main(url: str, namespace: str, stop: Path) -> None:
    handled = told = 0

    @subscriber("bench.*", name="ledger", capacity=1000)
    async def ledger(event: Event) -> None:
        nonlocal handled
        handled += 1

    async with Runtime(module=RedisModule(url, namespace=namespace), role="handle", subscribers=[ledger]):
        began = time.process_time()
        say("ready")
        while not stop.exists():
            if handled > told:
                say("handled", handled - told)
                told = handled
            await anyio.sleep(LOOK_EVERY)
        say("cpu", time.process_time() - began)


if __name__ == "__main__":
    _, _, url, namespace, backend, stop = sys.argv
    anyio.run(main, url, namespace, Path(stop), backend=backend)

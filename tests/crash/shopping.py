"""A process that runs a workflow on a store, and kills itself with `kill -9` at a point that it is told.

Run: python -m tests.crash.shopping NAME PLACE BOOKS BACKEND OUTCOME POINT LEASE
Says: `point N` at each point; `ended STATE` once the run has ended.

Effects are rows in the file BOOKS, under the idempotency key of their step, as a payment provider would have them.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import apsw
import attrs

from postroom import (
    Event,
    Events,
    Flow,
    PermanentFailure,
    Runtime,
    Skip,
    StepContext,
    WorkflowFailed,
    Workflows,
    step,
    subscriber,
    workflow,
)
from tests.processes.child import say
from tests.processes.stores import module_at

STEPS = ("reserve", "pay", "ship")
EVENTS = ("order.begun", "order.paid", "order.ended")
RUN = "order-1"


@attrs.define
class Points:
    """Counts the points that are passed, and ends the process at one of them."""

    deadly: int
    passed: int = 0

    def point(self, name: str) -> None:
        self.passed += 1
        say("point", self.passed, name)
        if self.passed == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)


@attrs.define
class Books:
    """What others have: it knows keys, so that the same thing twice is once."""

    path: Path

    def write(self, statement: str, *values: object) -> None:
        db = apsw.Connection(str(self.path))
        db.set_busy_timeout(10_000)
        db.execute("CREATE TABLE IF NOT EXISTS done (key TEXT PRIMARY KEY, step TEXT)")
        db.execute("CREATE TABLE IF NOT EXISTS heard (id TEXT PRIMARY KEY, name TEXT)")
        db.execute(statement, values)
        db.close()

    def rows(self, table: str) -> list[str]:
        self.write("SELECT 1")
        db = apsw.Connection(str(self.path))
        found = [str(value) for (value,) in db.execute(f"SELECT {'step' if table == 'done' else 'name'} FROM {table}")]
        db.close()
        return sorted(found)


def shop(points: Points, books: Books, outcome: str) -> tuple[Any, Any]:
    """The workflow, and the subscriber to its events."""

    def effect(name: str) -> Any:
        async def undo(done: object, context: StepContext) -> None:
            points.point(f"before-undo-{name}")
            books.write("DELETE FROM done WHERE key = ?", context.idempotency_key)
            points.point(f"after-undo-{name}")

        @step(name=name, compensate=undo)
        async def act(context: StepContext) -> str:
            points.point(f"before-{name}")
            books.write("INSERT OR IGNORE INTO done VALUES (?, ?)", context.idempotency_key, name)
            if name == "pay":
                await (await context.get(Events)).emit("order.paid", {"id": RUN})
            points.point(f"after-{name}")
            return name

        return act

    effects = [effect(name) for name in STEPS]

    @step
    async def decide() -> Any:
        points.point("decide")
        if outcome == "fails":
            raise PermanentFailure("refused")
        return Skip()

    @workflow(name="order")
    async def order(flow: Flow) -> str:
        await flow.emit("order.begun", {"id": flow.id})
        for each in effects:
            await flow.run(each)
            points.point(f"recorded-{each.name}")
        await flow.run(decide)
        await flow.emit("order.ended", {"id": flow.id})
        points.point("end")
        return "done"

    @subscriber("order.*")
    async def hear(event: Event) -> None:
        books.write("INSERT OR IGNORE INTO heard VALUES (?, ?)", event.id, event.name)

    return order, hear


async def main(place: str, books: Books, outcome: str, deadly: int, lease: float) -> None:
    order, hear = shop(Points(deadly), books, outcome)
    async with (
        Runtime(module=module_at(place, lease), subscribers=[hear], losses=1000) as runtime,
        Workflows(runtime, [order]) as workflows,
    ):
        try:
            state = await workflows.run(order, id=RUN)
        except WorkflowFailed:
            state = "failed"
        while any(each.waiting + each.lent for each in await runtime.stored_subscriptions()):
            await anyio.sleep(0.01)
        say("ended", state)


if __name__ == "__main__":
    logging.getLogger("postroom").setLevel(logging.ERROR)
    _, _, place, ledger, backend, outcome, point, lease = sys.argv
    anyio.run(main, place, Books(Path(ledger)), outcome, int(point), float(lease), backend=backend)

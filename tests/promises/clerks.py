"""Actors that crash or take their time when they are told to."""

from typing import Any

import anyio

from postroom import (
    Actor,
    Context,
    Event,
    Runtime,
    Succeeded,
    Supervision,
    on,
)


class Crash(Exception):
    """On purpose."""


class Clerk(Actor):
    """Counts what it handles, tells of its lives, and crashes at events that say so."""

    def __init__(self, told: list[str], start: int = 0) -> None:
        self.told, self.count = told, start

    async def started(self) -> None:
        self.told.append(f"+{self.name}")

    async def stopped(self) -> None:
        self.told.append(f"-{self.name}")

    @on("count")
    async def add(self, event: Event) -> int:
        if event.data == "crash":
            raise Crash
        self.count += 1
        return self.count


FRESH = Supervision(on={Crash: "restart"}, intensity=3, within=60.0)


async def values(runtime: Runtime, *data: object, name: str = "count") -> list[Any]:
    receipts = [await runtime.emit(name, each) for each in data]
    outcomes = [(await receipt).outcomes[0] for receipt in receipts]
    return [each.value if isinstance(each, Succeeded) else type(each).__name__ for each in outcomes]


class Slow(Actor):
    """Takes ten seconds for an event, and tells which attempt it was."""

    @on("slow")
    async def work(self, event: Event, context: Context) -> int:
        await anyio.sleep(10)
        return context.attempt

"""What the desk answers, where values, outcomes and other operators are not as they mostly are."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from postroom import Event, Runtime, subscriber
from postroom.cli import meter as metering
from postroom.cli.desk import Desk
from postroom.cli.meter import Meter
from postroom.testing.reference import ReferenceModule


async def emit(desk: Desk, name: str, *, wait: float | None) -> Any:
    """Ask a desk to emit an event, in the way of the command line."""
    options: dict[str, Any] = {
        "key": None,
        "headers": {},
        "id": None,
        "delay": None,
        "priority": None,
        "require": False,
    }
    return await desk.ask("emit", {"name": name, "data": None, "wait": wait, **options})


async def test_a_value_that_json_can_not_carry_is_quoted() -> None:
    @subscriber("map")
    async def pairs(event: Event) -> dict[tuple[int, int], int]:
        return {(1, 2): 3}

    async with Runtime(subscribers=[pairs]) as runtime:
        told = await emit(Desk(runtime), "map", wait=10)
    assert [each["value"] for each in told["outcomes"]] == ["{(1, 2): 3}"]


async def test_an_event_that_was_dropped_is_told_with_the_reason() -> None:
    @subscriber("job", capacity=1, overflow="drop_newest")
    async def busy(event: Event) -> None:
        await anyio.sleep(60)

    async with Runtime(subscribers=[busy], drain_within=0) as runtime:
        desk = Desk(runtime)
        told = [await emit(desk, "job", wait=1) for _ in range(3)]
    assert [(each["settled"], each["succeeded"]) for each in told] == [(False, None), (False, None), (True, False)]
    (outcome,) = told[2]["outcomes"]
    assert outcome["outcome"] == "dropped"
    assert "mailbox" in outcome["reason"]


async def test_tails_that_begin_together_take_away_what_a_killed_one_has_left() -> None:
    async def show(event: Event) -> None: ...

    module = ReferenceModule()
    async with Runtime(module=module) as killed:
        await killed.spawn(show, "**", name="postroom-tail-1-x", overflow="drop_oldest", capacity=1000)
    async with Runtime(module=ReferenceModule(module.store)) as runtime:
        seen: list[list[str]] = []

        async def tail(later: int) -> None:
            for _ in range(later):  # so that each comes to another step of those before it
                await anyio.lowlevel.checkpoint()
            async with Desk(runtime).tail("order.**"):
                seen.append([each.name for each in await runtime.stored_subscriptions()])

        async with anyio.create_task_group() as tasks:
            for later in range(8):
                tasks.start_soon(tail, later)
        assert len(seen) == 8
        assert not any("postroom-tail-1-x" in names for names in seen)
        assert not await runtime.stored_subscriptions()


def test_of_more_names_than_are_measured_the_first_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "MOST_NAMES", 1)
    meter = Meter()
    meter.add("ledger", 0.25)
    meter.add("mailer", 0.5)
    meter.add("ledger", 0.75)
    assert meter.percentiles("ledger") == (0.25, 0.75)
    assert meter.percentiles("mailer") == (None, None)

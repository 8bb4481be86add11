"""Promise 7, supervision: whatever crashes in whatever order, restarts and outcomes are those of a plain account."""

from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom import (
    Actor,
    Event,
    Retry,
    Runtime,
    Supervision,
    constant,
    on,
)
from postroom.testing import virtual_backend
from tests.promises.clerks import Crash


class Random(Actor):
    """Does what its events say."""

    def __init__(self, seen: list[int]) -> None:
        self.seen = seen

    @on("n")
    async def handle(self, event: Event) -> None:
        pause, outcome, number = event.data
        await anyio.sleep(pause)
        if outcome == "crash":
            raise Crash
        if outcome == "fail":
            raise ValueError
        self.seen.append(number)


@pytest.mark.supervision
@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from(["", "", "fail", "crash"])), max_size=25
    ),
    intensity=st.integers(0, 4),
    within=st.sampled_from([0.4, 2.0, 6.0]),
    attempts=st.integers(1, 3),
    library=st.sampled_from(["trio", "asyncio"]),
)
def test_restarts_and_outcomes_are_those_of_a_plain_account(
    events: list[tuple[float, str]], intensity: int, within: float, attempts: int, library: Any
) -> None:
    """One event after the other: each attempt at a crashing one restarts, the first of them counts."""
    restarts, times, now, stopped, outcomes = 0, [], 0.0, False, []
    for pause, outcome in events:
        if stopped:
            outcomes.append("Failed")
            continue
        outcomes.append("Failed" if outcome else "Succeeded")
        for attempt in range(attempts if outcome else 1):
            now += pause
            if outcome == "crash":
                if attempt == 0:
                    times.append(now)
                    stopped = sum(time + within >= now for time in times) > intensity
                if stopped:
                    break
                restarts += 1

    async def program() -> None:
        seen: list[int] = []
        policy = Supervision(on={Crash: "restart"}, intensity=intensity, within=within)
        async with Runtime() as runtime:
            subscription = await runtime.spawn(
                Random, seen, supervision=policy, retry=Retry(attempts=attempts, backoff=constant(0.0))
            )
            told = []
            for number, event in enumerate(events):
                report = await runtime.emit_and_wait("n", (*event, number))
                told.append(type(report.outcomes[0]).__name__ if report.outcomes else "Failed")
            assert told == outcomes
            assert subscription.stats.restarts == restarts
            await anyio.sleep(1)  # a stop lets the instance stop
            assert (subscription.name in runtime.subscriptions) == (not stopped)
            assert seen == [number for number, each in enumerate(outcomes) if each == "Succeeded"]

    backend, options = virtual_backend(library)
    anyio.run(program, backend=backend, backend_options=options)

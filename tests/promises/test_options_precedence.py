"""One precedence: an event's own wish, the call's, the subscriber's, the runtime's, the defaults; each by itself."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Event, Failed, Policy, Retry, Runtime, constant, subscriber
from postroom.policy import DEFAULTS, decide, first_said

pytestmark = pytest.mark.anyio

OPTIONS = ("attempts", "backoff", "timeout", "quiet")
POLICIES = st.builds(
    Policy,
    attempts=st.none() | st.integers(1, 9),
    backoff=st.none() | st.builds(constant, st.floats(0, 9)),
    timeout=st.none() | st.floats(0.1, 9) | st.just(math.inf),
    quiet=st.none() | st.booleans(),
)


@given(event=POLICIES, call=POLICIES, subscribers=POLICIES, module=POLICIES)
def test_of_each_option_the_nearest_that_says_anything_wins(
    event: Policy, call: Policy, subscribers: Policy, module: Policy
) -> None:
    levels: list[Any] = [event, call, subscribers, module, DEFAULTS]
    expected = [next(v for each in levels if (v := getattr(each, option)) is not None) for option in OPTIONS]
    accepted = first_said(event, call)  # what an accepted event carries
    for decided in (decide(event, subscribers, module, call), decide(accepted, subscribers, module)):
        assert [getattr(decided, option) for option in OPTIONS] == expected


@pytest.mark.parametrize("said", range(32))
async def test_every_combination_of_levels_gives_the_attempts_of_the_nearest(said: int) -> None:
    own, call, subscribers, module = (level if said & bit else None for level, bit in ((2, 1), (3, 2), (4, 4), (5, 8)))
    own = own if said & 16 else None

    @subscriber("n", retry=Retry(attempts=subscribers, backoff=constant(0)))
    async def fails(event: Event) -> None:
        raise ValueError

    async with Runtime(subscribers=[fails], defaults=Policy(attempts=module)) as runtime:
        outcome = (await runtime.emit_and_wait(Event("n", attempts=own), attempts=call)).outcomes[0]
    assert isinstance(outcome, Failed)
    assert outcome.attempts == (own or call or subscribers or module or 1)


async def test_quiet_events_are_lowest_unless_told_and_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    @subscriber("n")
    async def fails(event: Event) -> None:
        raise ValueError

    async with Runtime(subscribers=[fails]) as runtime:
        quiet = await runtime.emit_and_wait("n", quiet=True, attempts=2, backoff=constant(0))
        assert not caplog.records
        told = await runtime.emit_and_wait("n", quiet=True, priority="high")
        await runtime.emit_and_wait("n")
    assert (quiet.event.priority, told.event.priority) == ("lowest", "high")
    assert len(caplog.records) == 1

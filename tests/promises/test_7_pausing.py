"""Promise 7, pauses, breakers and rates: what they hold back keeps its place and costs no attempt."""

from collections import Counter
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom import (
    Actor,
    Breaker,
    Context,
    Event,
    Failed,
    InvalidOption,
    MailboxFull,
    Rate,
    Retry,
    Runtime,
    Succeeded,
    Supervision,
    constant,
    on,
    subscriber,
)
from postroom.testing import virtual_backend
from tests.promises.clerks import Clerk, Crash


async def test_a_paused_subscription_keeps_its_mailbox_and_holds_its_emitters_back() -> None:
    async with Runtime() as runtime:
        clerk = await runtime.spawn(Clerk, [], capacity=2)
        await clerk.pause()
        receipts = [await runtime.emit("count", 1) for _ in range(2)]
        with pytest.raises(MailboxFull):
            runtime.emit_nowait("count")
        with anyio.move_on_after(100) as patience:
            await runtime.emit("count", 1)
        assert patience.cancelled_caught
        assert (clerk.stats.paused, clerk.stats.waiting, clerk.stats.in_line) == (True, 2, 1)
        await clerk.resume()
        assert [(await receipt).outcomes[0].value for receipt in receipts] == [1, 2]  # type: ignore[union-attr]
        await runtime.idle()
        assert runtime.subscriptions["clerk"].stats.succeeded == 3


async def test_a_stop_with_drain_resumes_what_was_paused() -> None:
    async with Runtime() as runtime:
        clerk = await runtime.spawn(Clerk, [])
        await clerk.pause()
        receipt = await runtime.emit("count", 1)
        await clerk.stop()
        assert (await receipt).succeeded


async def test_a_breaker_opens_probes_and_closes_and_what_it_holds_back_costs_no_attempt() -> None:
    times: list[float] = []
    up_from = 50.0

    @subscriber("n", breaker=Breaker(failures=2, within=10, probe_after=30))
    async def call(event: Event, context: Context) -> int:
        times.append(anyio.current_time() - begin)
        if times[-1] < up_from:
            raise ConnectionError
        return context.attempt

    async with Runtime(subscribers=[call]) as runtime:
        begin = anyio.current_time()
        receipts = [await runtime.emit("n", number) for number in range(5)]
        await anyio.sleep(1)
        assert runtime.subscriptions["call"].stats.breaker == "open"
        kinds = [type((await receipt).outcomes[0]) for receipt in receipts]
        assert kinds == [Failed, Failed, Succeeded, Succeeded, Succeeded]
        assert [round(time) for time in times] == [0, 0, 30, 60, 60, 60]
        assert [(await receipt).outcomes[0].attempts for receipt in receipts] == [1] * 5
        assert runtime.subscriptions["call"].stats.breaker == "closed"


@settings(max_examples=40, deadline=None)
@given(
    rate=st.integers(1, 20),
    per=st.sampled_from([0.5, 1.0, 7.0]),
    burst=st.integers(1, 5),
    gaps=st.lists(st.sampled_from([0.0, 0.01, 0.3, 2.0]), min_size=1, max_size=30),
    concurrency=st.integers(1, 3),
    library=st.sampled_from(["trio", "asyncio"]),
)
def test_no_time_holds_more_attempts_than_the_rate_and_its_burst_allow(
    rate: int, per: float, burst: int, gaps: list[float], concurrency: int, library: Any
) -> None:
    times: list[float] = []

    async def program() -> None:
        @subscriber("n", rate=Rate(rate, per=per, burst=burst), concurrency=concurrency)
        async def handle(event: Event) -> None:
            times.append(anyio.current_time())

        async with Runtime(subscribers=[handle], drain_within=1000) as runtime:
            for gap in gaps:
                await anyio.sleep(gap)
                await runtime.emit("n")
            await runtime.idle()

    backend, options = virtual_backend(library)
    anyio.run(program, backend=backend, backend_options=options)
    assert len(times) == len(gaps)
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - times[first]) * rate / per + 1e-6
    if not any(gaps[1:]):  # all at once: it takes no longer than it must
        assert times[-1] - times[0] == pytest.approx(max(0, len(gaps) - burst) * per / rate)


async def test_nothing_is_lost_when_events_of_keys_meet_restarts_and_pauses() -> None:
    seen: Counter[str] = Counter()

    class Keyed(Actor):
        @on("n")
        async def handle(self, event: Event) -> None:
            await anyio.sleep(0.1)
            seen[event.id] += 1
            if seen[event.id] == 1 and event.data % 3 == 0:
                raise Crash

    policy = Supervision(default="restart", intensity=100)
    async with Runtime(drain_within=1000) as runtime:
        keyed = await runtime.spawn(Keyed, supervision=policy, retry=Retry(attempts=2, backoff=constant(0.3)))
        receipts = [await runtime.emit("n", number, key=f"k{number % 2}") for number in range(30)]
        await keyed.pause()
        await anyio.sleep(1)
        await keyed.resume()
        assert all([(await receipt).succeeded for receipt in receipts])
        assert keyed.stats.restarts == 10


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ExceptionGroup("", [ConnectionError()]), 3),
        (ExceptionGroup("", [ExceptionGroup("", [ConnectionError()]), ConnectionResetError()]), 3),
        (ExceptionGroup("", [ConnectionError(), ValueError()]), 1),
        (ExceptionGroup("", [ValueError()]), 1),
    ],
)
async def test_a_group_is_worth_another_attempt_where_all_that_is_in_it_is(error: Exception, attempts: int) -> None:
    @subscriber("n", retry=Retry(attempts=3, backoff=constant(1), on=ConnectionError))
    async def handler(event: Event) -> None:
        raise error

    async with Runtime(subscribers=[handler]) as runtime:
        assert (await runtime.emit_and_wait("n")).outcomes[0].attempts == attempts


async def test_a_group_with_an_error_that_the_breaker_looks_for_counts_for_it() -> None:
    error: Exception = ExceptionGroup("", [ValueError()])

    @subscriber("n", breaker=Breaker(failures=2))
    async def handler(event: Event) -> None:
        raise error

    async with Runtime(subscribers=[handler], drain_within=0) as runtime:
        for _ in range(3):
            await runtime.emit_and_wait("n")
        assert runtime.subscriptions["handler"].stats.breaker == "closed"
        error = ExceptionGroup("", [ValueError(), ExceptionGroup("", [ConnectionError()])])
        for _ in range(2):
            await runtime.emit_and_wait("n")
        assert runtime.subscriptions["handler"].stats.breaker == "open"


async def test_failures_at_both_ends_of_the_breakers_time_count() -> None:
    @subscriber("n", breaker=Breaker(failures=2, within=8.0))
    async def handler(event: Event) -> None:
        raise ConnectionError

    async with Runtime(subscribers=[handler], drain_within=0) as runtime:
        subscription = runtime.subscriptions["handler"]
        await runtime.emit_and_wait("n")
        await anyio.sleep(8.5)
        await runtime.emit_and_wait("n")
        assert subscription.stats.breaker == "closed"
        await anyio.sleep(7.5)
        await runtime.emit_and_wait("n")
        assert subscription.stats.breaker == "open"


@pytest.mark.parametrize("backoff", [3, "soon"])
def test_a_backoff_that_is_no_function_is_refused(backoff: Any) -> None:
    with pytest.raises(InvalidOption, match="backoff"):
        Supervision(backoff=backoff)

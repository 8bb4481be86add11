"""The real loops, uvloop among them: a few milliseconds of emit, acknowledge, retry and drain."""

from typing import Any

import anyio
import pytest
import uvloop

from postroom import Context, Event, Retry, Runtime, Succeeded, constant, subscriber


@pytest.fixture(params=["trio", "asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "uvloop":
        return "asyncio", {"loop_factory": uvloop.new_event_loop}
    return request.param, {}


async def test_events_are_handled_retried_timed_out_and_drained_in_real_time() -> None:
    done: list[int] = []

    @subscriber("n", retry=Retry(attempts=2, backoff=constant(0.002)), timeout=5, capacity=4)
    async def fails_first(event: Event, context: Context) -> int:
        if context.attempt == 1:
            raise ValueError
        done.append(event.data)
        return int(event.data)

    @subscriber("slow")
    async def slow(event: Event) -> None:
        await anyio.sleep(0.002)
        done.append(event.data)

    async with Runtime(subscribers=[fails_first, slow]) as runtime:
        start = anyio.current_time()
        report = await runtime.emit_and_wait("n", 1)
        for number in range(10):
            await runtime.emit("n", number)
        await runtime.emit("slow", -1, delay=0.001)
    outcome = report.of("fails_first")
    assert isinstance(outcome, Succeeded)
    assert (outcome.value, outcome.attempts) == (1, 2)
    assert sorted(done) == sorted([1, *range(10), -1])
    assert anyio.current_time() - start >= 0.002
    assert runtime.stats.pending == 0

"""Nobody handles an event any more from `expires_after` on."""

import anyio
import pytest

from postroom import Batch, Event, Expired, Retry, Runtime, constant

pytestmark = pytest.mark.anyio


async def test_an_event_that_expires_while_its_batch_fills_is_not_handed_over() -> None:
    seen: list[float] = []

    async def work(events: list[Event]) -> None:
        seen.append(anyio.current_time() - start)

    async with Runtime() as runtime:
        await runtime.spawn(work, "n", batch=Batch(size=10, within=5))
        start = anyio.current_time()
        report = await runtime.emit_and_wait("n", expires_after=1)
    assert isinstance(report.outcomes[0], Expired), seen


async def test_an_event_that_expires_while_its_worker_waits_to_set_a_retry_is_not_handled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("postroom.dispatcher.MOST_DELAYED", 1)
    seen: list[tuple[int, float]] = []

    async def work(event: Event) -> None:
        seen.append((event.data, anyio.current_time() - start))
        if event.data in (0, 2):
            raise ValueError

    async with Runtime(drain_within=0) as runtime:
        start = anyio.current_time()
        await runtime.spawn(work, "n", retry=Retry(attempts=2, backoff=constant(100)), timeout=3)
        await runtime.emit("n", 2)
        await runtime.emit("n", 0)
        receipt = await runtime.emit("n", 1, expires_after=10)
        report = await receipt
    assert isinstance(report.outcomes[0], Expired), seen

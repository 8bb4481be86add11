"""Groups from threads: staged, awaited, and given up."""

from typing import Any

import anyio
import anyio.to_thread
import pytest

from postroom import (
    Event,
    Report,
    Runtime,
    StagedReceipt,
    ThreadReceipt,
    subscriber,
)
from tests.runtime.hearing import Heard

pytestmark = pytest.mark.anyio


async def test_a_thread_stages_and_waits_for_the_release_and_the_outcome(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = anyio.Event()
    wake_later = StagedReceipt.wake_later
    reports: list[Report] = []

    def noted(receipt: StagedReceipt, waiter: Any) -> None:
        wake_later(receipt, waiter)
        waits.set()

    monkeypatch.setattr(StagedReceipt, "wake_later", noted)
    async with Runtime(subscribers=[heard.listen]) as runtime, anyio.create_task_group() as tasks:

        def emit() -> None:
            receipt = runtime.emit_from_thread("a", 1, group="g")
            assert not receipt.settled
            reports.append(receipt.wait(5))

        async with runtime.group(id="g", ttl=None):  # while a timer is set, virtual time does not wait for threads
            tasks.start_soon(anyio.to_thread.run_sync, emit)
            await waits.wait()
            assert reports == []

    assert [len(report.outcomes) for report in reports] == [1]
    assert heard.data == [1]


async def test_a_thread_that_gives_up_waiting_leaves_nothing_behind_before_and_after_the_release() -> None:
    opened = anyio.Event()

    @subscriber("a")
    async def wait(event: Event) -> None:
        await opened.wait()

    async with Runtime(subscribers=[wait]) as runtime:

        def give_up() -> None:
            with pytest.raises(TimeoutError):
                receipt.wait(0)

        async with runtime.group(ttl=None) as group:  # while a timer is set, virtual time does not wait for threads
            staged = await group.emit("a")
            assert isinstance(staged, StagedReceipt)
            receipt = ThreadReceipt(staged, runtime._inbox)  # type: ignore[arg-type]  # open, so it has one
            await anyio.to_thread.run_sync(give_up)
            assert not staged.waiters
        await anyio.to_thread.run_sync(give_up)
        accepted = staged.accepted
        assert accepted is not None
        assert not accepted.waiters
        opened.set()

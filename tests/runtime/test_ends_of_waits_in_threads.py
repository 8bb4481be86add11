"""Threads that wait for a receipt when the runtime ends, the group is released, or the loop's thread is gone."""

import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from postroom import Event, Runtime, RuntimeClosed
from postroom.threads import Inbox, ThreadReceipt
from postroom_actors import current_port

pytestmark = pytest.mark.anyio

PATIENCE = 20.0


class Steps:
    """A receipt whose steps the test takes."""

    staged = True
    settled = False

    def __init__(self) -> None:
        self.event = Event("n", None, id="1")
        self.waiters: list[Any] = []

    def report(self) -> str:
        return "reported"

    def wake_later(self, waiter: Any) -> None:
        self.waiters.append(waiter)

    def stop_waking(self, waiter: Any) -> None:
        self.waiters.remove(waiter)

    def wake(self) -> None:
        for waiter in tuple(self.waiters):
            waiter.wake()


async def until(condition: Any) -> None:
    """Wait for a thread, which virtual time does not wait for."""
    ends_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends_at
        await anyio.sleep(0.01)


async def test_a_thread_that_waits_for_a_staged_event_waits_on_once_it_is_released() -> None:
    receipt: Any = Steps()
    told: list[object] = []
    inbox = Inbox(current_port())
    thread = threading.Thread(target=lambda: told.append(ThreadReceipt(receipt, inbox).wait(PATIENCE)))
    thread.start()
    await until(lambda: receipt.waiters)
    receipt.staged = False
    receipt.wake()
    await until(lambda: receipt.waiters and not receipt.waiters[0].was_staged)
    assert told == []
    receipt.settled = True
    receipt.wake()
    await until(lambda: told)
    thread.join(PATIENCE)
    assert told == ["reported"]


class Held:
    """A port whose loop does what it is asked for when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], None]] = []

    def submit(self, call: Callable[[], None]) -> None:
        self.asked.append(call)


async def test_a_call_that_is_on_its_way_when_the_runtime_closes_is_refused_and_not_made() -> None:
    port: Any = Held()
    inbox, made, refused = Inbox(port), list[str](), list[RuntimeClosed]()

    def call() -> None:
        with pytest.raises(RuntimeClosed) as caught:
            inbox.call("emit", lambda: made.append("made"))
        refused.append(caught.value)

    thread = threading.Thread(target=call)
    thread.start()
    await until(lambda: port.asked)
    inbox.close()
    await until(lambda: refused)
    thread.join(PATIENCE)
    (late,) = port.asked
    late()
    assert made == []


async def test_a_wait_for_what_never_settled_is_refused_once_the_runtime_has_closed() -> None:
    receipt: Any = Steps()
    inbox = Inbox(current_port())
    inbox.close()
    refused: list[RuntimeClosed] = []

    def wait() -> None:
        with pytest.raises(RuntimeClosed) as caught:
            ThreadReceipt(receipt, inbox).wait(PATIENCE)
        refused.append(caught.value)

    await anyio.to_thread.run_sync(wait)
    assert [error.state for error in refused] == ["closed"]


def test_a_wait_goes_on_though_the_loop_s_thread_has_ended_where_the_runtime_was_closed_in_it() -> None:
    made: list[Inbox] = []

    async def live() -> None:
        inbox = Inbox(current_port())
        inbox.close()
        made.append(inbox)

    thread = threading.Thread(target=anyio.run, args=(live,))
    thread.start()
    thread.join(PATIENCE)
    asked: list[float] = []

    def wait(seconds: float) -> bool:
        asked.append(seconds)
        return len(asked) == 3

    assert made[0].outlast(wait) is True
    assert len(asked) == 3


async def test_a_wait_is_orphaned_where_the_loop_s_thread_has_ended_with_the_runtime_open() -> None:
    async def live() -> Inbox:
        return Inbox(current_port())

    inboxes: list[Inbox] = []
    thread = threading.Thread(target=lambda: inboxes.append(anyio.run(live)))
    thread.start()
    thread.join(PATIENCE)
    with pytest.raises(RuntimeClosed, match="orphaned"):
        inboxes[0].outlast(lambda seconds: False)


async def test_a_runtime_that_closes_ends_the_wait_of_a_thread_with_its_report() -> None:
    async def never(event: Event) -> None:
        await anyio.sleep_forever()

    reports: list[Any] = []

    def wait() -> None:
        reports.append(runtime.emit_from_thread("n").wait(PATIENCE))

    thread = threading.Thread(target=wait)
    async with Runtime(drain_within=0) as runtime:
        await runtime.spawn(never, "n")
        thread.start()
        await until(lambda: runtime.stats.pending)
        await anyio.sleep(0.1)
    thread.join(PATIENCE)
    assert [report.succeeded for report in reports] == [False]

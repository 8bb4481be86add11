"""Snapshots: the state at one moment, read from the counters that there are."""

import anyio
import anyio.to_thread
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import (
    Actor,
    Context,
    Event,
    InvalidOption,
    Retry,
    Runtime,
    Supervision,
    WrongThread,
    constant,
    on,
    subscriber,
)
from postroom.testing import blocked_until, virtual_backend

pytestmark = pytest.mark.anyio


async def test_a_snapshot_tells_what_waits_and_what_is_in_hand_since_when() -> None:
    gate = anyio.Event()
    async with Runtime(subscribers=[blocked_until(gate, "n", capacity=2, name="slow")]) as runtime:
        first = await runtime.emit("n", key="k")
        await anyio.sleep(3)
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(runtime.emit, "n")
            await anyio.wait_all_tasks_blocked()
            seen = runtime.snapshot().of("slow")
            gate.set()

    assert (seen.mailbox.length, seen.mailbox.in_line, seen.mailbox.capacity) == (2, 2, 2)
    assert (seen.mailbox.high_water_mark, seen.mailbox.overflow) == (2, "wait")
    (hand,) = seen.in_hand
    assert (hand.event_id, hand.event_name, hand.key, hand.attempt) == (first.id, "n", "k", 1)
    assert hand.seconds == pytest.approx(3, abs=0.2)
    assert seen.age == pytest.approx(3, abs=0.2)


async def test_a_snapshot_tells_what_is_scheduled() -> None:
    @subscriber("n", retry=Retry(attempts=2, backoff=constant(60)))
    async def failing_once(event: Event, context: Context) -> None:
        if context.attempt == 1:
            raise ConnectionError

    async with Runtime(subscribers=[failing_once], drain_within=100) as runtime:
        await runtime.emit("n")
        await runtime.emit("n", delay=30)
        await anyio.sleep(1)
        before = runtime.snapshot()
        await runtime.idle()
        after = runtime.snapshot()
    assert (before.scheduled, before.of("failing_once").scheduled, after.scheduled) == (2, 2, 0)
    assert after.of("failing_once").stats.retried == 2


async def test_two_snapshots_tell_rates_of_those_that_were_there_and_of_those_that_came() -> None:
    async def take(event: Event) -> None: ...

    async with Runtime() as runtime:
        await runtime.spawn(take, "n", name="old")
        await anyio.sleep(10)
        earlier = runtime.snapshot()
        await anyio.sleep(5)
        await runtime.spawn(take, "n", name="new")
        for _ in range(20):
            await runtime.emit_and_wait("n")
        await anyio.sleep(5)
        later = runtime.snapshot()
    rates = later.rates_since(earlier)
    assert rates["old"].succeeded == pytest.approx(2, rel=0.01)
    assert rates["new"].succeeded == pytest.approx(4, rel=0.01)
    with pytest.raises(InvalidOption, match="from before"):
        earlier.rates_since(later)


async def test_the_wait_graph_names_who_waits_for_whom() -> None:
    gate = anyio.Event()

    @subscriber("ask")
    async def asker(event: Event, context: Context) -> None:
        await (await context.emit("answer"))

    async with Runtime(subscribers=[asker, blocked_until(gate, "answer", name="answerer")]) as runtime:
        receipt = await runtime.emit("ask")
        await anyio.wait_all_tasks_blocked()
        graph = runtime.snapshot().wait_graph
        gate.set()
        await receipt
        assert runtime.snapshot().wait_graph == ""
    assert graph == (
        f"asker (ask {receipt.id}) waits for the outcome of answer in answerer, which answerer must bring about"
    )


async def test_the_wait_graph_names_who_has_to_make_room() -> None:
    gate = anyio.Event()

    @subscriber("start")
    async def feeder(event: Event, context: Context) -> None:
        for _ in range(3):
            await context.emit("n")

    async with Runtime(subscribers=[feeder, blocked_until(gate, "n", capacity=1, name="full")]) as runtime:
        receipt = await runtime.emit("start")
        await anyio.wait_all_tasks_blocked()
        graph = runtime.snapshot().wait_graph
        gate.set()
    assert graph == f"feeder (start {receipt.id}) waits for room in full, which full must bring about"


async def test_a_snapshot_can_be_taken_before_and_after_the_block_and_is_json() -> None:
    runtime = Runtime()
    before = runtime.snapshot()
    async with runtime:
        during = runtime.snapshot()
    after = runtime.snapshot()
    assert [each.state for each in (before, during, after)] == ["not entered yet", "open", "closed"]
    assert msgspec.json.decode(msgspec.json.encode(during))["state"] == "open"


async def test_a_snapshot_tells_of_restarts_and_of_what_the_last_one_was_for() -> None:
    class Clerk(Actor):
        @on("n")
        async def handle(self, event: Event) -> None:
            if event.data is not None:
                raise event.data

    async def take(event: Event) -> None: ...

    async with Runtime() as runtime:
        await runtime.spawn(Clerk, supervision=Supervision(on={LookupError: "restart"}))
        await runtime.spawn(take, "n")
        before = runtime.snapshot().of("clerk")
        for error in (KeyError("secret"), ValueError(), LookupError("secret"), None):
            await runtime.emit_and_wait("n", error)
        after = runtime.snapshot()
    assert (before.stats.restarts, before.failure) == (0, None)
    assert (after.of("clerk").stats.restarts, after.of("clerk").failure) == (2, "LookupError")
    assert (after.of("take").stats.restarts, after.of("take").failure) == (0, None)
    assert b"secret" not in msgspec.json.encode(after)


async def test_a_snapshot_from_another_thread_is_refused() -> None:
    async with Runtime() as runtime:
        with pytest.raises(WrongThread, match="snapshot"):
            await anyio.to_thread.run_sync(runtime.snapshot)


@given(st.lists(st.sampled_from(["good", "bad", "late"]), max_size=20), st.sampled_from(["trio", "asyncio"]))
def test_a_snapshot_adds_up_at_every_moment(names: list[str], library: str) -> None:
    async def main() -> None:
        async def take(event: Event) -> None:
            if event.name == "bad":
                raise ValueError

        async with Runtime() as runtime:
            for number, pattern in enumerate(["*", "good", "bad"]):
                await runtime.spawn(take, pattern, name=f"s{number}", capacity=2, overflow="drop_oldest")
            for name in names:
                await runtime.emit(name, delay=1 if name == "late" else None)
                snapshot = runtime.snapshot()
                for each in snapshot.subscriptions:
                    stats = each.stats
                    assert (
                        stats.pending == each.mailbox.length + len(each.in_hand) + each.mailbox.in_line + each.scheduled
                    )
                    assert each.mailbox.length <= each.mailbox.capacity
                assert snapshot.stats.deliveries == sum(each.stats.accepted for each in snapshot.subscriptions)

    backend, options = virtual_backend("trio" if library == "trio" else "asyncio")
    anyio.run(main, backend=backend, backend_options=options)


async def test_who_waits_for_what_stands_behind_a_key_waits_for_the_worker_that_has_the_key() -> None:
    gate = anyio.Event()

    async def slow(event: Event) -> None:
        await gate.wait()

    async def asks(event: Event) -> None:
        await second

    async with Runtime() as runtime:
        await runtime.spawn(slow, "n", name="slow", concurrency=2)
        await runtime.spawn(asks, "ask", name="asks")
        await runtime.emit("n", key="k")
        second = await runtime.emit("n", key="k")
        await runtime.emit("ask")
        await anyio.wait_all_tasks_blocked()
        (hand,) = runtime.snapshot().of("asks").in_hand
        gate.set()
    assert hand.waits_for == "the outcome of n in slow"
    assert hand.waits_on == ("slow",)


async def test_who_waits_for_a_staged_event_waits_for_the_release_of_its_group() -> None:
    async def asks(event: Event) -> None:
        await staged

    async with Runtime() as runtime:
        await runtime.spawn(asks, "ask", name="asks")
        async with runtime.group("orders") as group:
            staged = await group.emit("n")
            asking = await runtime.emit("ask")
            await anyio.wait_all_tasks_blocked()
            (before,) = runtime.snapshot().of("asks").in_hand
        assert (await asking).succeeded
    assert (before.waits_for, before.waits_on) == ("", ())

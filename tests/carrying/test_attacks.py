"""Attempts to make a runtime on a store lose something, hang, or grow."""

import gc
import weakref
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread
import pytest

from postroom import (
    Actor,
    Batch,
    Breaker,
    Context,
    Event,
    GroupCleared,
    Rate,
    Retry,
    Runtime,
    RuntimeClosed,
    Supervision,
    constant,
    on,
    subscriber,
)
from postroom.store_errors import UnknownResult
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.reference import ReferenceModule, ReferenceStore


@subscriber("order.*")
async def ledger(event: Event) -> None:
    pass


def waiting(store: ReferenceStore) -> int:
    return sum(each.token is None for each in store.deliveries)


async def test_what_a_stopped_actor_leaves_waits_in_the_store_for_its_next_start() -> None:
    store, runs = ReferenceStore(), list[int]()

    @subscriber("order.*", name="actor", supervision=Supervision(on={ValueError: "stop"}), capacity=4)
    async def fragile(event: Event) -> None:
        runs.append(event.data)
        if event.data == 1 and runs.count(1) == 1:
            raise ValueError("stop")

    async with Runtime(module=ReferenceModule(store), subscribers=[fragile]) as runtime:
        receipts = [await runtime.emit("order.placed", n) for n in range(5)]
        await receipts[1]
        await anyio.sleep(1)
        assert "actor" not in runtime.subscriptions
        assert waiting(store) == 3
        await runtime.spawn(fragile)
        await runtime.idle()
    assert runs == [0, 1, 2, 3, 4]
    assert not store.deliveries


async def test_a_lost_lease_renews_a_stateful_actor_and_loses_nothing() -> None:
    store, lives, handled = ReferenceStore(), list[str](), list[int]()

    class Till(Actor):
        async def started(self) -> None:
            lives.append("started")

        async def stopped(self) -> None:
            lives.append("stopped")

        @on("order.*")
        async def take(self, event: Event) -> None:
            await anyio.sleep(8)
            handled.append(event.data)

    module = ReferenceModule(store)
    async with Runtime(module=module, subscribers=[Till]) as runtime:
        receipts = [await runtime.emit("order.placed", n) for n in range(3)]
        await anyio.sleep(1)
        module.stall()
        for receipt in receipts:
            assert (await receipt).succeeded
        await runtime.idle()
        assert runtime.stats.pending == 0
    assert handled == [0, 1, 2]  # what was cancelled in the middle was handled again
    assert lives == ["started", "stopped", "started", "stopped"]


async def test_a_lost_lease_with_several_workers_keys_and_retries_loses_nothing() -> None:
    store, done = ReferenceStore(), list[int]()

    @subscriber("order.*", concurrency=3, retry=Retry(attempts=9, backoff=constant(1)))
    async def flaky(event: Event, context: Context) -> None:
        await anyio.sleep(0.7)
        if event.data % 2 and context.attempt < 3:
            raise ValueError("not yet")
        done.append(event.data)

    module = ReferenceModule(store)
    async with Runtime(module=module, subscribers=[flaky]) as runtime:
        receipts = [await runtime.emit("order.placed", n, key=f"key-{n % 4}") for n in range(12)]
        for _ in range(2):
            await anyio.sleep(1.2)
            module.stall()
        with anyio.fail_after(300):
            for receipt in receipts:
                assert (await receipt).succeeded
            await runtime.idle()
        assert runtime.stats.pending == 0
        assert [len(b.actor.hands) for b in runtime._roster.behaviours.values()] == [3]
    first = list(dict.fromkeys(done))  # what was refused was handled again
    assert sorted(first) == list(range(12))
    assert all([n for n in first if n % 4 == key] == [n for n in range(12) if n % 4 == key] for key in range(4))


async def test_a_lost_lease_is_heard_of_without_anything_else_going_on() -> None:
    cancelled: list[float] = []

    @subscriber("order.*")
    async def hang(event: Event) -> None:
        try:
            await anyio.sleep(100)
        finally:
            cancelled.append(anyio.current_time())

    module = ReferenceModule(ReferenceStore())
    async with Runtime(module=module, subscribers=[hang], drain_within=0) as runtime:
        await runtime.emit("order.placed", 1)
        await anyio.sleep(20)
        module.stall()
        stalled = anyio.current_time()
        await anyio.sleep(20)
        assert cancelled
        assert cancelled[0] - stalled <= module.store.lease / 3


async def test_a_subscription_that_leaves_while_a_fetch_is_on_its_way_gets_nothing_and_loses_nothing() -> None:
    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store), slowness=2.0)
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        await anyio.sleep(1)
        module.plan = lambda number, call: Fault.SLOW if call == "fetch" else None
        receipt = await runtime.emit("order.placed", 1)
        await anyio.sleep(1)
        await runtime.subscriptions["ledger"].stop(drain=False)
        await anyio.sleep(10)
        assert (waiting(store), len(store.deliveries)) == (1, 1)
        await runtime.spawn(ledger)
        with anyio.fail_after(60):
            assert (await receipt).succeeded


async def test_an_emit_that_is_cancelled_before_it_was_sent_has_no_effect_and_one_that_was_sent_goes_on() -> None:
    store, seen = ReferenceStore(), list[int]()

    @subscriber("order.*")
    async def note(event: Event) -> None:
        seen.append(event.data)

    module = FaultyModule(ReferenceModule(store), slowness=2.0)
    async with Runtime(module=module, subscribers=[note]) as runtime:
        module.plan = lambda number, call: Fault.SLOW if call == "publish" else None

        async def emit(n: int) -> None:
            with anyio.move_on_after(1):
                await runtime.emit("order.placed", n)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(emit, 1)  # on its way
            await anyio.sleep(0.1)
            tasks.start_soon(emit, 2)  # behind it
        await runtime.idle()
        await anyio.sleep(10)
    assert seen == [1]


async def test_a_runtime_that_closes_answers_an_emit_that_is_on_its_way() -> None:
    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store), slowness=3.0)
    results: list[object] = []
    async with anyio.create_task_group() as tasks:
        async with Runtime(module=module, subscribers=[ledger], drain_within=1) as runtime:
            module.plan = lambda number, call: Fault.SLOW if call == "publish" else None

            async def emit(n: int) -> None:
                try:
                    results.append(await (await runtime.emit("order.placed", n)))
                except (RuntimeClosed, UnknownResult) as error:
                    results.append(error)

            tasks.start_soon(emit, 1)
            await anyio.sleep(0.1)
            tasks.start_soon(emit, 2)
            await anyio.sleep(0.1)
        with anyio.fail_after(60):
            while len(results) < 2:
                await anyio.sleep(0.1)
    assert {type(result) for result in results} == {UnknownResult, RuntimeClosed}


async def test_a_runtime_that_closes_answers_a_release_that_is_on_its_way() -> None:
    module = FaultyModule(ReferenceModule(ReferenceStore()), slowness=30.0)
    results: list[Exception] = []
    async with anyio.create_task_group() as tasks:
        async with Runtime(module=module, subscribers=[ledger], drain_within=1) as runtime:
            await runtime.emit("order.placed", 1, group="g")
            module.plan = lambda number, call: Fault.SLOW if call == "release" else None

            async def release() -> None:
                try:
                    await runtime.release_group("g")
                except UnknownResult as error:
                    results.append(error)

            tasks.start_soon(release)
            await anyio.sleep(0.1)
        with anyio.fail_after(60):
            while not results:
                await anyio.sleep(0.1)


async def test_a_block_of_a_group_that_is_cancelled_at_its_end_has_released_all_or_nothing() -> None:
    store, seen = ReferenceStore(), list[int]()

    @subscriber("order.*")
    async def note(event: Event) -> None:
        seen.append(event.data)

    module = FaultyModule(ReferenceModule(store), slowness=2.0)
    async with Runtime(module=module, subscribers=[note]) as runtime:
        receipts = []
        module.plan = lambda number, call: Fault.SLOW if call in ("release", "clear") else None
        for patience in (1.0, 3.0):  # before the store has done it, and after
            with anyio.move_on_after(patience):
                async with runtime.group() as group:
                    receipts.append(await group.emit("order.placed", 1))
                    receipts.append(await group.emit("order.placed", 2))
        with anyio.fail_after(60):
            for receipt in receipts:
                with suppress(GroupCleared):
                    await receipt
        await runtime.idle()
    assert len(seen) in (0, 2, 4)
    assert not store.groups
    assert not runtime._outbox.groups.blocks  # type: ignore[union-attr]


async def test_a_thread_emits_into_the_store_and_waits_for_the_outcome() -> None:
    async with Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[ledger]) as runtime:

        def work() -> list[bool]:
            receipts = [runtime.emit_from_thread("order.placed", n) for n in range(3)]
            return [receipt.wait().succeeded for receipt in receipts]

        assert await anyio.to_thread.run_sync(work) == [True] * 3


async def test_handlers_emit_while_the_runtime_drains_and_what_they_emit_is_kept() -> None:
    store = ReferenceStore()

    @subscriber("order.placed", name="react")
    async def react(event: Event, context: Context) -> None:
        await anyio.sleep(1)
        await context.emit("order.paid", event.data)

    async with Runtime(module=ReferenceModule(store), subscribers=[react, ledger]) as runtime:
        await runtime.emit("order.placed", 1)
        await anyio.sleep(0.5)
    names = [each.event.stored.name for each in store.deliveries]
    assert names == ["order.paid"]


@pytest.mark.parametrize(
    "options",
    [
        {"rate": Rate(2, per=1.0), "capacity": 4},
        {"breaker": Breaker(failures=1, probe_after=5.0), "retry": Retry(attempts=5, backoff=constant(1))},
        {"concurrency": 4, "capacity": 2},
        {"retry": Retry(attempts=3, backoff=constant(600)), "capacity": 1},
    ],
    ids=["rate", "breaker", "more workers than capacity", "long retries"],
)
async def test_whatever_holds_a_subscription_back_everything_settles(options: dict[str, Any]) -> None:
    store, failed = ReferenceStore(), set[int]()

    async def handle(event: Event) -> None:
        await anyio.sleep(0.01)
        if "rate" not in options and event.data % 3 == 0 and event.data not in failed:
            failed.add(event.data)
            raise ConnectionError("down")

    options = {"retry": Retry(attempts=2, backoff=constant(1)), **options}
    held = subscriber("order.*", name="held", **options)(handle)
    async with Runtime(module=ReferenceModule(store), subscribers=[held]) as runtime:
        receipts = [await runtime.emit("order.placed", n, key=f"key-{n % 5}" if n % 2 else None) for n in range(30)]
        with anyio.fail_after(50_000):
            for receipt in receipts:
                assert (await receipt).succeeded
            await runtime.idle()
        assert runtime.stats.pending == 0


async def test_batches_of_a_store_are_full_and_nothing_waits_for_more() -> None:
    sizes: list[int] = []

    @subscriber("order.*", batch=Batch(size=5, within=1), concurrency=2)
    async def insert(events: list[Event]) -> None:
        sizes.append(len(events))
        await anyio.sleep(0.2)

    async with Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[insert]) as runtime:
        receipts = await runtime.emit_many([Event("order.placed", n) for n in range(40)])
        for receipt in receipts:
            assert (await receipt).succeeded
    assert (sum(sizes), max(sizes)) == (40, 5)
    assert len(sizes) <= 10


async def test_a_runtime_on_a_store_keeps_nothing_of_what_is_over() -> None:
    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[ledger]) as runtime:

        async def round_of_everything(n: int) -> "list[weakref.ref[Any]]":
            receipts = [await runtime.emit("order.placed", n)]
            async with runtime.group() as group:
                receipts.append(await group.emit("order.placed", n))
            cleared = await runtime.emit("order.placed", n, group=f"g-{n}")
            await runtime.clear_group(f"g-{n}")
            receipts += [await runtime.emit("order.placed", n, group=f"h-{n}")]
            await runtime.release_group(f"h-{n}")
            for receipt in receipts:
                assert (await receipt).succeeded
            with pytest.raises(GroupCleared):
                await cleared
            return [weakref.ref(receipts[0])]

        left = [each for n in range(20) for each in await round_of_everything(n)]
        await runtime.idle()
        gc.collect()
        assert not any(each() for each in left)
        assert runtime._outbox is not None
        carrier, groups = runtime._outbox.carrier, runtime._outbox.groups
        assert not carrier._receipts.all()
        assert not carrier.fetcher.loans
        assert not carrier.settler.queue
        assert not carrier._early
        assert not groups._staged
        assert not groups._stages
        assert not groups.blocks
        assert len(runtime._dispatcher.timers) == 0

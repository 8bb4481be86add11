"""What Prometheus reads of a runtime."""

from typing import Any

import anyio
import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from postroom import (
    Actor,
    Event,
    InvalidOption,
    NotFromHere,
    Retry,
    Runtime,
    RuntimeClosed,
    Supervision,
    WrongThread,
    constant,
    on,
    subscriber,
)
from postroom.observe.prometheus import RuntimeCollector


@subscriber("order.placed")
async def ledger(event: Event) -> None:
    await anyio.sleep(2)


@subscriber("order.placed", retry=Retry(attempts=2, backoff=constant(1)))
async def fails(event: Event) -> None:
    raise ConnectionError


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def registry_of(runtime: Runtime, **options: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(RuntimeCollector(runtime, **options))
    return registry


async def test_the_counters_are_those_of_the_snapshot() -> None:
    async with Runtime(subscribers=[ledger, fails]) as runtime:
        registry = registry_of(runtime)
        await runtime.emit_and_wait("order.placed")
        await runtime.emit("nobody.hears")
        assert value(registry, "postroom_events_accepted_total") == 2
        assert value(registry, "postroom_events_unrouted_total") == 1
        assert value(registry, "postroom_deliveries_total", subscription="ledger", outcome="succeeded") == 1
        assert value(registry, "postroom_deliveries_total", subscription="fails", outcome="failed") == 1
        assert value(registry, "postroom_deliveries_retried_total", subscription="fails") == 1
        assert value(registry, "postroom_handling_seconds_count", subscription="ledger") == 1
        assert value(registry, "postroom_handling_seconds_sum", subscription="ledger") == 2
        assert value(registry, "postroom_handling_seconds_count", subscription="fails") == 2
        assert value(registry, "postroom_dead_letters") == 1
        assert value(registry, "postroom_open") == 1
    assert value(registry, "postroom_open") == 0


async def test_the_gauges_tell_what_waits_and_what_is_in_hand() -> None:
    async with Runtime(subscribers=[ledger]) as runtime:
        registry = registry_of(runtime)
        for _ in range(3):
            await runtime.emit("order.placed")
        await anyio.sleep(1)
        assert value(registry, "postroom_deliveries_in_hand", subscription="ledger") == 1
        assert value(registry, "postroom_mailbox_length", subscription="ledger") == 2
        assert value(registry, "postroom_mailbox_capacity", subscription="ledger") == 256
        assert value(registry, "postroom_deliveries_pending", subscription="ledger") == 3


async def test_restarts_are_counted() -> None:
    class Stock(Actor):
        @on("order.placed")
        async def take(self, event: Event) -> None:
            raise ConnectionError

    stock = subscriber(supervision=Supervision(default="restart"))(Stock)
    async with Runtime(subscribers=[stock]) as runtime:
        registry = registry_of(runtime)
        await runtime.emit_and_wait("order.placed")
        assert value(registry, "postroom_restarts_total", subscription="stock") == 1


async def test_only_so_many_subscriptions_have_a_label_and_the_others_count_together() -> None:
    async def handle(event: Event) -> None:
        pass

    async with Runtime() as runtime:
        registry = registry_of(runtime, most_subscriptions=1)
        names = ("postroom-stream-1", "first", "second", "third")
        made = [await runtime.spawn(handle, "order.placed", name=name) for name in names]
        await runtime.emit_and_wait("order.placed")

        def total(name: str) -> float | None:
            return value(registry, "postroom_deliveries_total", subscription=name, outcome="succeeded")

        assert [total(name) for name in (*names, "(others)")] == [None, 1, None, None, 3]
        for each in made:
            await each.stop()
        assert [total(name) for name in ("first", "(others)")] == [None, 4]


async def test_it_may_be_asked_in_another_thread_and_after_the_end() -> None:
    async with Runtime(subscribers=[ledger]) as runtime:
        registry = registry_of(runtime)
        await runtime.emit_and_wait("order.placed")
        text = await anyio.to_thread.run_sync(generate_latest, registry)
        assert b"postroom_events_accepted_total 1.0" in text
    assert b"postroom_events_accepted_total 1.0" in await anyio.to_thread.run_sync(generate_latest, registry)


async def test_it_may_be_asked_before_the_beginning() -> None:
    assert value(registry_of(Runtime()), "postroom_open") == 0


async def test_a_snapshot_from_a_thread_is_refused_in_the_loops_own_and_where_nothing_is_open() -> None:
    runtime = Runtime()
    with pytest.raises(RuntimeClosed):
        runtime.snapshot_from_thread()
    async with runtime:
        with pytest.raises(NotFromHere):
            runtime.snapshot_from_thread()
        snapshot = await anyio.to_thread.run_sync(runtime.snapshot_from_thread)
        assert snapshot.state == "open"
    with pytest.raises(RuntimeClosed):
        await anyio.to_thread.run_sync(runtime.snapshot_from_thread)


def test_a_number_of_labels_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidOption):
        RuntimeCollector(Runtime(), most_subscriptions=0)


async def test_a_runtime_that_closes_while_it_is_read_is_read_as_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Runtime(subscribers=[ledger]) as runtime:
        await runtime.emit_and_wait("order.placed")
        open_runtime = runtime

    def not_here() -> None:
        monkeypatch.undo()
        raise WrongThread("snapshot")

    monkeypatch.setattr(Runtime, "snapshot", lambda self: not_here())
    (snapshot,) = [RuntimeCollector(open_runtime)._snapshot()]
    assert snapshot.stats.succeeded == 1

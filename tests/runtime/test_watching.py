"""Watches: streams of changes and of dead letters that hold nothing back."""

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Change, DeadLetter, Event, InvalidOption, Retry, Runtime, Watch, constant, event_type, subscriber
from postroom.testing import failing

pytestmark = pytest.mark.anyio


async def read(watch: Watch[Change]) -> list[Change]:
    return [change async for change in watch]


async def test_a_watch_from_before_the_start_sees_the_whole_life_in_order() -> None:
    runtime = Runtime(subscribers=[failing("n", retry=Retry(attempts=2, backoff=constant(1)))])
    async with runtime.watch() as changes:
        async with runtime:
            receipt = await runtime.emit("n", {"secret": "hush"})
            await receipt
            await runtime.subscriptions["failing"].stop()
        seen = await read(changes)
    kinds = ["spawned", "retrying", "dead_letter", "stopped", "draining", "closed"]
    assert [change.kind for change in seen] == kinds
    assert [change.subscription for change in seen] == ["failing"] * 4 + [None] * 2
    assert {change.event_id for change in seen[1:3]} == {receipt.id}
    assert [change.attempt for change in seen[1:3]] == [1, 2]
    assert "hush" not in repr(seen)


async def test_a_watch_tells_of_what_is_dropped() -> None:
    gate = anyio.Event()

    async def wait(event: Event) -> None:
        await gate.wait()

    async with Runtime() as runtime:
        await runtime.spawn(wait, "n", name="full", capacity=1, overflow="drop_newest")
        async with runtime.watch() as changes:
            await runtime.emit("n")
            await anyio.wait_all_tasks_blocked()
            await runtime.emit("n")
            dropped = await runtime.emit("n")
            change = await anext(changes)
            gate.set()
    assert (change.kind, change.subscription, change.event_id) == ("dropped", "full", dropped.id)
    assert "overflow: drop_newest" in change.reason


async def test_a_watch_tells_who_is_stuck() -> None:
    release = anyio.Event()

    @subscriber("n", timeout=2)
    async def stubborn(event: Event) -> None:
        with anyio.CancelScope(shield=True):
            await release.wait()

    async with Runtime(subscribers=[stubborn], cleanup_within=3) as runtime, runtime.watch() as changes:
        receipt = await runtime.emit("n")
        change = await anext(changes)
        release.set()
    assert (change.kind, change.subscription, change.event_id, change.attempt) == ("stuck", "stubborn", receipt.id, 1)


async def test_dead_letters_can_be_watched() -> None:
    letters: list[DeadLetter] = []

    async with Runtime(subscribers=[failing("n")]) as runtime, runtime.dead_letters.watch() as watch:
        await runtime.emit_and_wait("n", 1)
        letters.append(await anext(watch))
        assert await runtime.dead_letters.list() == tuple(letters)


async def test_a_watch_ends_with_the_runtime_and_with_its_block() -> None:
    async with Runtime() as runtime:
        async with runtime.watch() as short:
            pass
        assert await read(short) == []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch_nothing, runtime)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    async with runtime.watch() as late:
        assert await read(late) == []
    async with runtime.dead_letters.watch() as letters:
        assert [letter async for letter in letters] == []


async def _watch_nothing(runtime: Runtime) -> None:
    async with runtime.watch() as changes:
        async for change in changes:
            raise AssertionError(change)


async def test_a_read_that_is_cancelled_takes_nothing() -> None:
    async with Runtime() as runtime, runtime.watch() as changes:
        with anyio.move_on_after(1):
            await anext(changes)
        await runtime.spawn(lambda event: None, "n", name="late")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext(changes)
        assert (await anext(changes)).kind == "spawned"


@given(st.integers(1, 5), st.integers(0, 12))
def test_a_slow_reader_loses_the_oldest_and_learns_how_many(limit: int, count: int) -> None:
    watch: Watch[int] = Watch(limit)
    for number in range(count):
        watch.add(number)
    watch.end()
    kept: list[int] = []

    async def main() -> None:
        kept.extend([number async for number in watch])

    anyio.run(main, backend="trio")
    assert kept == list(range(count))[-limit:]
    assert watch.missed == max(0, count - limit)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5])
async def test_a_limit_that_is_none_is_refused(limit: int) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption, match="limit"):
            async with runtime.watch(limit=limit):
                pass


async def test_a_dead_letter_of_what_nobody_can_read_is_told_of_without_its_text() -> None:
    async with Runtime() as runtime, runtime.watch() as changes:
        subscription = await runtime.spawn(_take, "order.read")
        await runtime.emit_and_wait("order.read", {"id": ["hush"]})
        seen = [await anext(changes) for _ in range(2)]
        assert subscription.stats.failed == 1
    assert [change.kind for change in seen] == ["spawned", "dead_letter"]
    assert seen[1].reason == "UnreadableEvent in attempt 1"


@event_type("order.read")
@attrs.frozen
class Read:
    id: str


async def _take(read: Read) -> None: ...


async def test_a_watch_tells_which_handlers_the_end_of_the_runtime_has_cut_short() -> None:
    @subscriber("n", concurrency=2)
    async def sleeper(event: Event) -> None:
        await anyio.sleep(event.data)

    runtime = Runtime(subscribers=[sleeper], drain_within=2)
    async with runtime.watch() as changes:
        async with runtime:
            await runtime.emit("n", 1)
            receipt = await runtime.emit("n", 3)
        cut = [change for change in await read(changes) if change.kind == "cut_short"]
    assert [(change.subscription, change.event_id, change.attempt) for change in cut] == [("sleeper", receipt.id, 1)]


async def test_a_stopped_subscription_is_not_cut_short_by_the_runtime() -> None:
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    runtime = Runtime()
    async with runtime.watch() as changes:
        async with runtime:
            subscription = await runtime.spawn(hangs, "n")
            await runtime.emit("n")
            await subscription.stop(drain=False)
        assert "cut_short" not in {change.kind for change in await read(changes)}


async def test_two_who_read_one_watch_side_by_side_share_what_comes_and_end_with_it() -> None:
    seen: list[str] = []

    async def read() -> None:
        async for change in changes:
            seen.append(change.kind)

    async with anyio.create_task_group() as tasks:
        async with Runtime() as runtime:
            watch = runtime.watch()
            changes = await watch.__aenter__()
            tasks.start_soon(read)
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            await runtime.spawn(lambda event: None, "n", name="n")
        await watch.__aexit__(None, None, None)
    assert len(seen) == len([*dict.fromkeys(seen)])
    assert "closed" in seen

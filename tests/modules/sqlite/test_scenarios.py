"""Reliability scenarios on a SQLite file: what can't be read, a file that is locked, and two that take over."""

from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from postroom import DeadLetter, Event, Runtime, subscriber
from postroom.codec import encode_event
from postroom.contract import StoredEvent
from postroom.modules.sqlite import SqliteModule

from .calls import LEDGER, fetch, inside, publish

pytestmark = pytest.mark.slow


@subscriber("order.*", name="ledger")
async def nobody(event: Event) -> None:
    raise AssertionError("no handler may see it")


async def letters_when_there_are(runtime: Runtime) -> tuple[DeadLetter, ...]:
    with anyio.fail_after(10):
        while not (letters := await runtime.dead_letters.list()):
            await anyio.sleep(0.005)
    return letters


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b'{"name":1}', b"[" * 2000])
async def test_47_what_can_not_be_read_is_dead_at_once_with_its_bytes_and_the_next_is_handled(
    path: Path, body: bytes
) -> None:
    handled: list[Any] = []

    @subscriber("order.*", name="ledger")
    async def ledger(event: Event) -> None:
        handled.append(event.data)

    async with SqliteModule(path).open("hostile") as store:
        await store.bind([LEDGER], serve=True)
        await store.publish(1, [[StoredEvent("bad", "order.placed", body)]])
    module: Any = SqliteModule(path)
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        (letter,) = await letters_when_there_are(runtime)
        await runtime.emit_and_wait("order.placed", "good")
    assert (letter.raw, letter.event.id, letter.attempts) == (body, "bad", 0)
    assert handled == ["good"]


async def test_67_who_emits_waits_for_a_file_that_another_writes_to(path: Path) -> None:
    module: Any = SqliteModule(path)
    async with Runtime(module=module, role="emit", subscribers=[nobody]) as runtime:
        other = apsw.Connection(str(path))
        other.set_busy_timeout(5000)  # ms: the runtime may still be writing what it begins with
        other.execute("BEGIN IMMEDIATE")
        stored = anyio.Event()

        async def emit() -> None:
            await runtime.emit("order.placed")
            stored.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(emit)
            await anyio.sleep(0.1)
            assert not stored.is_set()
            other.execute("ROLLBACK")
        other.close()
        (listed,) = await runtime.stored_subscriptions()
    assert listed.waiting == 1


async def test_68_what_a_dead_process_had_is_taken_over_though_the_file_is_locked_meanwhile(path: Path) -> None:
    handled: list[Any] = []

    @subscriber("order.*", name="ledger")
    async def ledger(event: Event) -> None:
        handled.append(event.id)

    async with SqliteModule(path).open("dead") as dead:
        await dead.bind([LEDGER], serve=True)
        await dead.publish(1, [[StoredEvent("a", "order.placed", encode_event(Event("order.placed")))]])
        assert len(await fetch(dead)) == 1
        module: Any = SqliteModule(path, busy_timeout=0.05, lease=0.6)
        async with Runtime(module=module, subscribers=[ledger]):
            other = apsw.Connection(str(path))
            other.set_busy_timeout(5000)
            other.execute("BEGIN IMMEDIATE")
            await anyio.sleep(0.3)  # whoever asks meanwhile is told that it is busy
            other.execute("UPDATE sessions SET lease_until = 0 WHERE name = 'dead'")
            other.execute("COMMIT")
            other.close()
            with anyio.fail_after(10):
                while not handled:
                    await anyio.sleep(0.005)
    assert handled == ["a"]


async def test_69_two_that_take_over_the_same_get_it_once(path: Path) -> None:
    taken: list[str] = []
    async with (
        SqliteModule(path).open("one") as one,
        SqliteModule(path).open("two") as two,
        SqliteModule(path).open("dead") as dead,
    ):
        for store in (one, two, dead):
            await store.bind([LEDGER], serve=True)
        await publish(dead, 1, *"abcdef")
        assert len(await fetch(dead, 6)) == 6

        def end_lease(tx: Any) -> None:
            tx.db.execute("UPDATE sessions SET lease_until = 0 WHERE name = 'dead'")

        await inside(one)._run(end_lease)

        async def take(store: Any) -> None:
            taken.extend(loan.id for loan in await fetch(store, 4))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, one)
            tasks.start_soon(take, two)
    assert sorted(taken) == list("abcdef")


async def test_70_a_payload_that_is_too_large_is_dead_where_it_is_in_the_file_already(path: Path) -> None:
    body = b'{"name":"order.placed","data":"%s"}' % (b"x" * 1_100_000)
    async with SqliteModule(path).open("hostile") as store:
        await store.bind([LEDGER], serve=True)
        await store.publish(1, [[StoredEvent("huge", "order.placed", body)]])
    module: Any = SqliteModule(path)
    async with Runtime(module=module, subscribers=[nobody]) as runtime:
        (letter,) = await letters_when_there_are(runtime)
    assert letter.raw == body

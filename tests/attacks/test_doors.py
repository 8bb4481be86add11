"""Promises 1, 6 and 10: bad input at the door, ids, causes and replays."""

from collections.abc import Awaitable
from contextlib import suppress
from typing import ClassVar, Literal

import anyio
import pytest

from postroom import Actor, Batch, Event, NoSubscriber, PostroomError, Runtime, RuntimeClosed, Succeeded, on
from postroom.errors import InvalidOption

pytestmark = pytest.mark.anyio


async def nothing(event: Event) -> None:
    pass


async def test_request_says_that_nobody_listens_also_for_an_id_given_before() -> None:
    async with Runtime() as runtime:
        await runtime.emit("x", id="1")
        with pytest.raises(NoSubscriber):
            await runtime.request("x", id="1")


@pytest.mark.parametrize("option", ["delay", "expires_after"])
async def test_a_number_beyond_floats_is_an_invalid_option(option: Literal["delay", "expires_after"]) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption):
            await runtime.emit("x", **{option: 10**400})  # type: ignore[arg-type]  # a name of an option


async def test_the_time_of_an_event_must_be_one() -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption):
            await runtime.emit(Event("x", time="yesterday"))  # type: ignore[arg-type]  # what is tested


async def test_a_key_that_cannot_be_hashed_is_refused_and_nothing_is_accepted() -> None:
    class Key(str):
        __hash__ = None  # type: ignore[assignment]

    async with Runtime() as runtime:
        await runtime.spawn(nothing, "n", concurrency=2)
        with suppress(Exception):
            await runtime.emit("n", key=Key("k"))
        await anyio.sleep(1)
        assert runtime.stats.pending == 0


async def test_the_same_id_twice_in_emit_many_needs_room_once() -> None:
    async def work(event: Event) -> None:
        if event.data == 0:
            await runtime.emit_many([Event("n", 1, id="same"), Event("n", 1, id="same")])

    async with Runtime() as runtime:
        await runtime.spawn(work, "n", capacity=1)
        report = await runtime.emit_and_wait("n", 0)
    report.raise_for_failures()


async def test_emit_many_accepts_all_or_none_also_where_data_compares_oddly() -> None:
    class Odd:
        answers: ClassVar[list[bool]] = []

        def __eq__(self, other: object) -> bool:
            return Odd.answers.pop(0)

        __hash__ = None  # type: ignore[assignment]

    async with Runtime() as runtime:
        await runtime.emit("x", Odd(), id="1")
        before = runtime.stats.accepted
        Odd.answers = [True, False]
        try:
            await runtime.emit_many([Event("y"), Event("x", Odd(), id="1")])
        except PostroomError:
            assert runtime.stats.accepted == before


async def test_a_task_that_a_handler_left_behind_makes_no_chain_of_causes_with_what_is_in_hand() -> None:
    depths: list[int] = []

    async def ticker() -> None:
        for _ in range(100):
            await runtime.emit("tick")
            await anyio.sleep(1)

    async def work(event: Event) -> None:
        depths.append(event.depth)
        if event.name == "start":
            tasks.start_soon(ticker)
        else:
            await anyio.sleep(1.5)

    async with anyio.create_task_group() as tasks, Runtime(drain_within=1000) as runtime:
        await runtime.spawn(work, "start", "tick")
        await runtime.emit("start")
        await anyio.sleep(101)
    assert max(depths) <= 1, depths


async def test_a_task_that_a_batch_left_behind_emits_without_a_cause() -> None:
    causes: list[str | None] = []

    async def later() -> None:
        await anyio.sleep(1)
        causes.append((await runtime.emit("tick")).event.cause)

    async def work(events: list[Event]) -> None:
        if events[0].data == 0:
            tasks.start_soon(later)
        else:
            await anyio.sleep(2)

    async with anyio.create_task_group() as tasks, Runtime() as runtime:
        await runtime.spawn(work, "n", batch=Batch(size=1))
        await runtime.emit_many([Event("n", number) for number in range(2)])
        await anyio.sleep(2)
    assert causes == [None]


async def test_what_an_actor_does_beside_its_events_has_no_cause() -> None:
    causes: list[str | None] = []

    class Beside(Actor):
        async def started(self) -> None:
            tasks = await self.scope.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self.look_around)

        async def look_around(self) -> None:
            await anyio.sleep(1)
            causes.append((await self.emit("tick")).event.cause)

        @on("n")
        async def work(self, event: Event) -> None:
            await anyio.sleep(2)

    async with Runtime() as runtime:
        await runtime.spawn(Beside)
        await runtime.emit_and_wait("n")
    assert causes == [None]


async def test_a_replayed_event_is_not_delayed_again_where_the_mailbox_is_full() -> None:
    done: list[float] = []
    bad = True

    async def work(event: Event) -> None:
        if event.data == "delayed":
            if bad:
                raise ValueError
            done.append(anyio.current_time())
        else:
            await anyio.sleep(1)

    async with Runtime(drain_within=1e6) as runtime:
        await runtime.spawn(work, "n", capacity=1)
        await runtime.emit_and_wait("n", "delayed", delay=1000)
        bad = False
        [letter] = await runtime.dead_letters.list()
        await runtime.emit("n", 1)
        await anyio.sleep(0.1)
        await runtime.emit("n", 2)
        start = anyio.current_time()
        receipt = await runtime.dead_letters.replay(letter)
        await receipt
    assert done[0] - start < 10


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_an_async_function_behind_a_plain_wrapper_is_refused_or_called_alike_on_each_backend() -> None:
    def wrapper(event: Event) -> Awaitable[None]:
        return nothing(event)

    async with Runtime() as runtime:
        await runtime.spawn(wrapper, "n")
        [outcome] = (await runtime.emit_and_wait("n")).outcomes
    assert isinstance(outcome, Succeeded) or "await" in str(outcome.exception)  # type: ignore[union-attr]


async def test_emit_many_is_refused_as_closed_before_the_runtime_is_entered() -> None:
    with pytest.raises(RuntimeClosed, match="not entered yet"):
        await Runtime().emit_many([Event("order.placed", 1)])

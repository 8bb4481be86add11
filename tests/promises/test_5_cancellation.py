"""Promise 5: cancelled before acceptance an emit had no effect; afterwards its event stays accepted."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Dropped, Event, Receipt, Runtime, Succeeded, subscriber
from tests.promises.quick import LIBRARIES, Library, quick, run


@pytest.mark.parametrize("library", LIBRARIES)
@given(
    capacity=st.integers(1, 3),
    patiences=st.lists(st.sampled_from([0.005, 0.5, 1.5, 4.0, 1000.0]), min_size=1, max_size=12),
)
@quick
def test_28_whatever_an_emitter_waits_its_event_is_accepted_and_at_most_a_mailboxful_is_abandoned(
    library: Library, capacity: int, patiences: list[float]
) -> None:
    seen: list[int] = []

    async def main() -> Runtime:
        @subscriber("n", capacity=capacity)
        async def slow(event: Event) -> None:
            seen.append(event.data)
            await anyio.sleep(2)

        async def emit(number: int, patience: float) -> None:
            with anyio.move_on_after(patience):
                await runtime.emit("n", number)

        async with Runtime(subscribers=[slow], drain_within=1000) as runtime:
            async with anyio.create_task_group() as tasks:
                for number, patience in enumerate(patiences):
                    tasks.start_soon(emit, number, patience)
                    await anyio.sleep(0.01)
                    assert runtime.stats.accepted == number + 1
            assert runtime.subscriptions["slow"]._behaviour.mailbox.abandoned <= capacity
        return runtime

    runtime = run(library, main)
    stats = runtime.stats
    assert stats.succeeded + stats.dropped == len(patiences)
    assert seen == sorted(seen), "those that stayed kept their places"
    assert runtime.dead_letters.kept == stats.dropped
    if all(patience == 1000.0 for patience in patiences):
        assert stats.dropped == 0


async def test_28_the_same_id_tells_a_cancelled_emitter_what_became_of_its_event() -> None:
    @subscriber("n", capacity=1)
    async def slow(event: Event) -> int:
        await anyio.sleep(5)
        return int(event.data)

    async with Runtime(subscribers=[slow], drain_within=1000) as runtime:
        for number in range(2):
            await runtime.emit("n", number)
            await anyio.sleep(1)
        with anyio.move_on_after(1) as patience:
            await runtime.emit("n", 2, id="mine")
        assert patience.cancelled_caught
        report = await (await runtime.emit("n", 2, id="mine"))
        assert runtime.stats.accepted == 3
    assert isinstance(report.outcomes[0], Succeeded)
    assert report.outcomes[0].value == 2


async def test_28_beyond_the_bound_an_abandoned_event_is_dropped_with_a_dead_letter() -> None:
    @subscriber("n", capacity=1)
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime(subscribers=[hangs], drain_within=0) as runtime:
        for number in range(2):
            await runtime.emit("n", number)
            await anyio.sleep(1)
        for number in range(2, 5):
            with anyio.move_on_after(1):
                await runtime.emit("n", number, id=f"id-{number}")
        receipt = await runtime.emit("n", 4, id="id-4")
        assert isinstance(receipt.report().outcomes[0], Dropped)
        assert [letter.event.data for letter in await runtime.dead_letters.list()] == [3, 4]
        assert runtime.subscriptions["hangs"].stats.in_line == 1


async def test_29_cancelling_the_wait_for_a_receipt_cancels_no_handler_and_no_other_waiter() -> None:
    waited: list[str] = []

    @subscriber("n")
    async def slow(event: Event) -> None:
        await anyio.sleep(10)

    async def wait(receipt: Receipt, name: str, patience: float) -> None:
        with anyio.move_on_after(patience):
            await receipt
            waited.append(name)

    async with Runtime(subscribers=[slow]) as runtime, anyio.create_task_group() as tasks:
        receipt = await runtime.emit("n")
        tasks.start_soon(wait, receipt, "impatient", 1)
        tasks.start_soon(wait, receipt, "patient", 100)
        await receipt
    assert waited == ["patient"]
    assert isinstance(receipt.report().outcomes[0], Succeeded)


async def test_30_an_emit_that_is_cancelled_where_it_yields_had_no_effect() -> None:
    handled: list[int] = []

    @subscriber("n", capacity=100_000)
    async def note(event: Event) -> None:
        handled.append(event.data)

    async with Runtime(subscribers=[note]) as runtime:
        returned = 0
        with anyio.CancelScope() as scope:
            scope.cancel()
            for number in range(10_000):
                await runtime.emit("n", number)
                returned += 1
        assert scope.cancelled_caught
        assert runtime.stats.accepted == returned < 10_000
    assert handled == list(range(returned))


async def test_30_emit_many_that_is_cancelled_while_it_checks_accepts_none() -> None:
    async with Runtime() as runtime:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await runtime.emit_many([Event("n", number) for number in range(10_000)])
        assert scope.cancelled_caught
        assert runtime.stats.accepted == 0


async def test_a_cancelled_spawn_started_nothing() -> None:
    async def note(event: Event) -> None: ...

    async with Runtime() as runtime:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await runtime.spawn(note, "n")
        assert scope.cancelled_caught
        assert not runtime.subscriptions
        assert (await runtime.emit_and_wait("n")).outcomes == ()

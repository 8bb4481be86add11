"""What a runtime does while its store fails; each was wrong once. `tests/fault_everywhere` tries all places."""

from collections.abc import Callable

import anyio
import pytest

from postroom import Context, Event, Runtime, UnknownDeadLetter, subscriber
from postroom.store_errors import StoreBroken, UnknownResult
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.reference import ReferenceModule, ReferenceStore

Plan = Callable[[int, str], Fault | None]


def failing(call: str, fault: Fault, times: int = 1, after: int = 0) -> Plan:
    """A plan in which calls of this name fail, so many times, after so many that don't."""
    seen = 0

    def plan(number: int, name: str) -> Fault | None:
        nonlocal seen
        if name != call:
            return None
        seen += 1
        return fault if after < seen <= after + times else None

    return plan


def both(*plans: Plan) -> Plan:
    return lambda number, name: next((fault for plan in plans if (fault := plan(number, name)) is not None), None)


def faulty(plan: Plan) -> FaultyModule:
    return FaultyModule(ReferenceModule(ReferenceStore()), plan)


async def test_what_is_settled_and_not_written_yet_is_not_fetched_again() -> None:
    runs: list[int] = []

    @subscriber("order.*", concurrency=2)
    async def ledger(event: Event) -> None:
        runs.append(event.data)
        await anyio.sleep(1)

    module = faulty(lambda number, call: None)
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        await runtime.emit("order.placed", 1)
        await anyio.sleep(0.5)
        # A fetch whose reply is lost makes the runtime reclaim what it doesn't hold. Meanwhile the store refuses an
        # outcome: that delivery is the session's still.
        module.plan = both(failing("fetch", Fault.LOST_REPLY, times=5), failing("settle", Fault.BUSY, times=5))
        await runtime.emit("order.placed", 2)
        await runtime.idle()
    assert runs == [1, 2]


async def test_a_store_that_takes_outcomes_again_is_fetched_from_again() -> None:
    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        pass

    async with Runtime(module=faulty(failing("settle", Fault.LOST_REPLY)), subscribers=[ledger]) as runtime:
        first = await runtime.emit("order.placed", 1)
        await anyio.sleep(0.01)  # the store is behind
        second = await runtime.emit("order.placed", 2)
        with anyio.fail_after(60):
            assert (await first).succeeded
            assert (await second).succeeded


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_REQUEST, Fault.BUSY])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_mail_is_heard_of_though_the_news_of_it_got_lost(fault: Fault, times: int) -> None:
    store = ReferenceStore()

    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        pass

    handler = FaultyModule(ReferenceModule(store))
    async with Runtime(module=ReferenceModule(store)) as emitter, Runtime(module=handler, subscribers=[ledger]):
        await anyio.sleep(1)
        handler.plan = failing("news", fault, times=times)
        for n in range(3):
            with anyio.fail_after(60):
                assert (await (await emitter.emit("order.placed", n))).succeeded
            await anyio.sleep(1)


async def test_what_was_handled_by_the_end_is_written_though_the_store_was_busy_a_moment_before() -> None:
    runs: list[int] = []
    store = ReferenceStore()

    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        runs.append(event.data)
        await anyio.sleep(1)

    module = FaultyModule(ReferenceModule(store), failing("settle", Fault.BUSY))
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        await runtime.emit("order.placed", 1)
        await anyio.sleep(0.5)
    assert not store.deliveries
    assert runs == [1]


async def test_what_was_released_settles_though_the_reply_to_the_release_got_lost() -> None:
    @subscriber("order.*")
    async def ledger(event: Event) -> str:
        return "done"

    module = faulty(failing("release", Fault.LOST_REPLY, times=100))
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        receipt = await runtime.emit("order.placed", 1, group="g")
        with pytest.raises(UnknownResult):
            await runtime.release_group("g")
        with anyio.fail_after(60):
            assert (await receipt).succeeded


async def test_an_outcome_is_told_that_came_while_nobody_knew_whether_its_event_was_stored() -> None:
    handled = anyio.Event()

    @subscriber("order.*")
    async def ledger(event: Event) -> str:
        handled.set()
        return "done"

    # Fetched and settled in this very process before the store says that it was accepted.
    module = faulty(failing("publish", Fault.LOST_REPLY, times=4))
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        with anyio.fail_after(60):
            report = await (await runtime.emit("order.placed", 1))
        assert report.succeeded
        assert handled.is_set()


async def test_an_emit_whose_result_is_unknown_says_so_and_its_id_makes_sure() -> None:
    runs: list[int] = []

    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        runs.append(event.data)

    module = faulty(failing("publish", Fault.LOST_REPLY, times=20))
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        with pytest.raises(UnknownResult):
            await runtime.emit("order.placed", 1, id="order-1")
        module.plan = lambda number, call: None
        assert (await (await runtime.emit("order.placed", 1, id="order-1"))).succeeded
    assert runs == [1]


@pytest.mark.parametrize("call", ["publish", "fetch", "settle", "news", "subscriptions"])
async def test_a_store_that_breaks_ends_the_runtime_at_once_and_is_told_as_it_is(call: str) -> None:
    @subscriber("order.*")
    async def ledger(event: Event, context: Context) -> None:
        if event.data < 5:
            await context.emit("order.placed", event.data + 1)

    module = faulty(lambda number, name: None)

    async def live() -> None:
        async with Runtime(module=module, subscribers=[ledger]) as runtime:
            await anyio.sleep(1)
            module.plan = failing(call, Fault.BROKEN)
            await runtime.emit("order.placed", 0)
            await runtime.idle()
            await anyio.sleep(3600)

    start = anyio.current_time()
    with pytest.raises(StoreBroken) as caught:
        await live()
    assert caught.value.module == "reference"
    assert anyio.current_time() - start < 8


async def test_an_emit_that_may_be_stored_is_unknown_though_the_store_is_broken_by_now() -> None:
    module = faulty(both(failing("publish", Fault.LOST_REPLY), failing("publish", Fault.BROKEN)))
    told: list[Exception] = []

    async def emit(runtime: Runtime) -> None:
        try:
            await runtime.emit("order.placed")
        except (UnknownResult, StoreBroken) as error:
            told.append(error)

    async with anyio.create_task_group() as others:
        with pytest.raises(StoreBroken):
            async with Runtime(module=module) as runtime:
                others.start_soon(emit, runtime)
                await anyio.sleep_forever()
    assert [fault for _, call, fault in module.faults if call == "publish"] == [Fault.LOST_REPLY, Fault.BROKEN]
    assert [type(error) for error in told] == [UnknownResult]


async def test_a_listing_that_is_stale_tells_what_the_same_one_has_told_before() -> None:
    module = faulty(lambda number, name: None)

    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        raise ValueError("no")

    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        module.plan = lambda number, name: Fault.STALE
        assert not await runtime.dead_letters.list()
        await (await runtime.emit("order.placed", 1))
        assert not await runtime.dead_letters.list()
        assert [found.dead for found in await runtime.stored_subscriptions()] == [0]  # as when the session began
        module.plan = lambda number, name: None
        (letter,) = await runtime.dead_letters.list()
        assert [found.dead for found in await runtime.stored_subscriptions()] == [1]
        await runtime.dead_letters.discard(letter)
        module.plan = lambda number, name: Fault.STALE
        assert [stale.id for stale in await runtime.dead_letters.list()] == [letter.id]
        with pytest.raises(UnknownDeadLetter):
            await runtime.dead_letters.replay(letter)
    assert {call for _, call, fault in module.faults if fault is Fault.STALE} == {"letters", "subscriptions"}

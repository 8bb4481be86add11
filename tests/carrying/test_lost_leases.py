"""A process that was taken for dead, and goes on."""

import anyio
import anyio.lowlevel
import pytest

from postroom import Context, Event, Retry, Runtime, Succeeded, constant, subscriber
from postroom.codec import encode_event
from postroom.contract import StoredEvent
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.faults.plan import Plan
from postroom.testing.reference import ReferenceModule, ReferenceStore
from tests.carrying.test_seldom import Answers, OwnModule


def take_for_dead(store: ReferenceStore, session: str) -> None:
    """As another session would; it itself would let its lease go on."""
    store.sessions[session].lease_until = 0.0
    store.expire(anyio.current_time())


async def test_a_session_that_was_taken_for_dead_serves_its_subscriptions_again() -> None:
    @subscriber("n")
    async def work(event: Event) -> None:
        await anyio.lowlevel.checkpoint()

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        (session,) = store.sessions
        take_for_dead(store, session)
        await anyio.sleep(60)
        (found,) = await runtime.stored_subscriptions()
        assert found.served_by == (session,)
        await runtime.emit_and_wait("n")


async def test_a_session_that_was_told_in_vain_that_it_was_lost_serves_its_subscriptions_again() -> None:
    @subscriber("n")
    async def work(event: Event) -> None:
        await anyio.lowlevel.checkpoint()

    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store))
    async with Runtime(module=module, subscribers=[work]) as runtime:
        (session,) = store.sessions
        module.plan = lambda number, call: Fault.LOST_REPLY if call == "news" else None
        await runtime.emit_and_wait("n")  # the news that it waits for are asked for before
        take_for_dead(store, session)
        await anyio.sleep(20)
        module.plan = lambda number, call: None
        await anyio.sleep(5)
        assert store.sessions[session].serves == {"work"}
        await runtime.emit_and_wait("n")


async def test_what_fails_after_it_was_lost_has_no_further_attempt_here_and_leaves_no_letter() -> None:
    runs: list[int] = []

    @subscriber("n", timeout=2, retry=Retry(attempts=2, backoff=constant(30)))
    async def work(event: Event, context: Context) -> None:
        runs.append(context.attempt)
        if len(runs) == 1:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(8)

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        (session,) = store.sessions
        receipt = await runtime.emit("n")
        await anyio.sleep(1)
        take_for_dead(store, session)
        assert (await receipt).succeeded
        await anyio.sleep(100)
        assert runs == [1, 1]
        assert runtime.stats.pending == 0
        assert not await runtime.dead_letters.list()


async def test_a_retry_that_is_on_its_way_as_all_is_lost_holds_nothing_in_the_store() -> None:
    runs: list[int] = []

    @subscriber("n", retry=Retry(attempts=2, backoff=constant(30)))
    async def work(event: Event) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError

    store = ReferenceStore()
    answers = Answers(hangs="news", seconds=10)
    async with Runtime(module=OwnModule(store, answers=answers), subscribers=[work]) as runtime:
        (session,) = store.sessions
        await anyio.sleep(1)
        take_for_dead(store, session)  # which it hears of after it was lent something under its new lease
        answers.hangs, answers.seconds = "settle", 20.0
        with anyio.fail_after(100):
            assert (await runtime.emit_and_wait("n")).succeeded
    assert len(runs) == 2


def failing(fault: Fault, times: int) -> Plan:
    """A plan in which the first settlements fail."""
    left = times

    def plan(number: int, call: str) -> Fault | None:
        nonlocal left
        if call != "settle" or not left:
            return None
        left -= 1
        return fault

    return plan


@pytest.mark.parametrize("times", [1, 2, 20])
async def test_what_was_settled_before_the_lease_ran_out_is_told_though_the_answer_got_lost(times: int) -> None:
    @subscriber("n")
    async def work(event: Event) -> str:
        await anyio.lowlevel.checkpoint()
        return "done"

    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store), failing(Fault.LOST_REPLY, times))
    async with Runtime(module=module, subscribers=[work]) as runtime:
        (session,) = store.sessions
        receipt = await runtime.emit("n")
        await anyio.sleep(0.001)
        assert not store.deliveries
        assert receipt.pending
        take_for_dead(store, session)
        with anyio.fail_after(60):
            report = await receipt
        assert [outcome.value for outcome in report.outcomes if isinstance(outcome, Succeeded)] == ["done"]


async def test_an_outcome_that_the_store_has_refused_is_not_told_though_the_first_call_may_have_been_done() -> None:
    runs: list[int] = []

    @subscriber("n")
    async def work(event: Event) -> int:
        await anyio.lowlevel.checkpoint()
        runs.append(1)
        return len(runs)

    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store), failing(Fault.LOST_REQUEST, 1))
    async with Runtime(module=module, subscribers=[work]) as runtime:
        (session,) = store.sessions
        receipt = await runtime.emit("n")
        await anyio.sleep(0.001)
        assert len(store.deliveries) == len(runs) == 1
        take_for_dead(store, session)  # heard of by the settlement that is made again
        with anyio.fail_after(60):
            report = await receipt
        assert [outcome.value for outcome in report.outcomes if isinstance(outcome, Succeeded)] == [2]


async def test_what_was_being_settled_at_the_end_of_a_runtime_is_asked_for_again_under_its_number() -> None:
    @subscriber("n")
    async def work(event: Event) -> str:
        await anyio.lowlevel.checkpoint()
        return "done"

    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store), slowness=2.0)
    async with Runtime(module=module, subscribers=[work]) as runtime:
        receipt = await runtime.emit("n")
        module.plan = lambda number, call: Fault.SLOW if call == "settle" and not module.faults else None
        with anyio.move_on_after(3):  # done, and not answered
            await receipt
        assert not store.deliveries
    assert [call for _, call, _ in module.faults] == ["settle"]
    assert (await receipt).succeeded


@pytest.mark.parametrize("spawned", [False, True])
async def test_what_was_being_registered_when_the_lease_ran_out_is_registered_again(spawned: bool) -> None:
    @subscriber("n")
    async def work(event: Event) -> None:
        await anyio.lowlevel.checkpoint()

    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store), slowness=3.0)
    served: list[bool] = []

    async def live(runtime: Runtime) -> None:
        async with runtime:
            if spawned:
                module.plan = slow_bind
                await runtime.spawn(work)
            await anyio.sleep(10)
            (session,) = store.sessions
            served.append(store.sessions[session].serves == {"work"})
            await runtime.emit_and_wait("n")

    def slow_bind(number: int, call: str) -> Fault | None:
        return Fault.SLOW if call == "bind" and not module.faults else None

    if not spawned:
        module.plan = slow_bind
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live, Runtime(module=module, subscribers=() if spawned else [work]))
        await anyio.sleep(4)  # done, and not answered
        (session,) = store.sessions
        assert store.sessions[session].serves == {"work"}
        take_for_dead(store, session)
    assert served == [True]


async def test_a_retry_that_was_due_when_the_lease_ran_out_is_not_made_here() -> None:
    runs: list[tuple[int, int]] = []

    @subscriber("n", retry=Retry(attempts=3, backoff=constant(30)))
    async def work(event: Event, context: Context) -> None:
        runs.append((context.attempt, context.losses))
        if context.attempt < 3:
            raise ValueError("not yet")

    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[work]) as runtime:
        (session,) = store.sessions
        receipt = await runtime.emit("n")
        await anyio.sleep(5)
        behaviour = runtime._roster.behaviours["work"]
        (delivery,) = behaviour.take_scheduled()
        take_for_dead(store, session)
        runtime._dispatcher.actor.mailbox.queue.append((behaviour, delivery))  # as the timers do
        await runtime._outbox.carrier._begin_anew()  # type: ignore[union-attr]
        with anyio.fail_after(200):
            assert (await receipt).succeeded
        assert runtime.stats.pending == 0
    assert runs == [(1, 0), (2, 1), (3, 1)]


async def test_what_was_lent_and_on_its_way_when_the_lease_ran_out_is_handled_once_it_is_lent_anew() -> None:
    losses: list[int] = []

    @subscriber("n")
    async def work(event: Event, context: Context) -> None:
        losses.append(context.losses)

    module = OwnModule()
    async with Runtime(module=module, subscribers=[work]) as runtime:
        await anyio.sleep(1)
        (session,) = module.store.sessions
        module.answers.hangs, module.answers.seconds = "fetch", 5.0
        receipt = await runtime.emit("n")
        await anyio.sleep(1)
        module.answers.hangs = ""
        take_for_dead(module.store, session)
        with anyio.fail_after(60):
            assert (await receipt).succeeded
    assert losses == [1]


async def test_what_is_accepted_while_a_lost_session_is_not_registered_again_yet_is_handled_at_once() -> None:
    at: list[float] = []

    @subscriber("n")
    async def work(event: Event) -> None:
        at.append(anyio.current_time())

    store = ReferenceStore()
    module = FaultyModule(ReferenceModule(store), slowness=2.0)
    async with Runtime(module=module, subscribers=[work]) as runtime, ReferenceModule(store).open("other") as other:
        await anyio.sleep(1)
        (session,) = store.sessions.keys() - {"other"}
        module.plan = lambda number, call: Fault.SLOW if call == "bind" else None
        take_for_dead(store, session)
        with anyio.fail_after(60):
            while not module.faults:
                await anyio.sleep(0.25)
        since = anyio.current_time()
        await anyio.sleep(1)
        await other.publish(1, [[StoredEvent("event", "n", encode_event(Event("n")))]])
        await anyio.sleep(30)
        assert runtime.stats.pending == 0
    assert len(at) == 1
    assert at[0] - since <= 4

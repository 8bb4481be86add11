"""Emitting, acknowledgements and failures, end to end."""

import anyio
import pytest

from postroom import (
    Cancelled,
    ConflictingEvent,
    Context,
    DuplicateSubscription,
    Event,
    Failed,
    HandlerAborted,
    HandlerTimeout,
    InvalidName,
    MailboxFull,
    Retry,
    Runtime,
    RuntimeClosed,
    RuntimeReentered,
    Succeeded,
    constant,
    subscriber,
)


@subscriber("order.placed", name="double")
async def double(event: Event) -> int:
    return 2 * int(event.data)


async def test_an_acknowledged_emit_reports_the_value_of_each_subscription() -> None:
    async with Runtime(subscribers=[double]) as runtime:
        report = await runtime.emit_and_wait("order.placed", 21)
    match report.outcomes:
        case (Succeeded(subscription="double", value=value),):
            assert value == 42
        case _:
            pytest.fail(f"not one success: {report}")


async def test_scenario_1_a_handler_that_raises_changes_nothing_for_others() -> None:
    @subscriber("order.*")
    async def broken(event: Event) -> None:
        raise ValueError(event.data)

    async with Runtime(subscribers=[broken, double]) as runtime:
        report = await runtime.emit_and_wait("order.placed", 1)
        assert isinstance(report.of("broken"), Failed)
        assert isinstance(report.of("double"), Succeeded)
        with pytest.raises(ExceptionGroup, match="broken") as caught:
            report.raise_for_failures()
        assert caught.group_contains(ValueError)
        assert [letter.subscription for letter in await runtime.dead_letters.list()] == ["broken"]


async def test_a_failed_attempt_is_repeated_after_its_backoff() -> None:
    times: list[float] = []

    @subscriber("a", retry=Retry(attempts=3, backoff=constant(5)))
    async def third_time_lucky(event: Event, context: Context) -> int:
        times.append(anyio.current_time())
        if context.attempt < 3:
            raise ValueError
        return context.attempt

    async with Runtime(subscribers=[third_time_lucky]) as runtime:
        report = await runtime.emit_and_wait("a")
    assert report.outcomes == (Succeeded("third_time_lucky", 3, 3, 0.0),)
    assert [time - times[0] for time in times] == pytest.approx([0, 5, 10])


async def test_scenario_9_a_handler_that_hangs_is_cancelled_at_its_timeout() -> None:
    @subscriber("a", timeout=3)
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime(subscribers=[hangs]) as runtime:
        start = anyio.current_time()
        report = await runtime.emit_and_wait("a")
        assert anyio.current_time() - start == pytest.approx(3)
    match report.outcomes:
        case (Failed(exception=HandlerTimeout()),):
            pass
        case _:
            pytest.fail(f"not a timeout: {report}")


async def test_scenario_12_a_coroutine_returned_by_mistake_is_a_failure() -> None:
    async def forgotten() -> None: ...

    @subscriber("a")
    async def forgets(event: Event) -> object:
        return forgotten()

    async with Runtime(subscribers=[forgets]) as runtime:
        report = await runtime.emit_and_wait("a")
    assert isinstance(report.outcomes[0], Failed)
    assert isinstance(report.outcomes[0].exception, HandlerAborted)
    assert "await" in str(report.outcomes[0].exception)


async def test_scenario_23_a_subscription_gets_what_is_accepted_after_it() -> None:
    async with Runtime() as runtime:
        before = await runtime.emit_and_wait("order.placed", 1)
        await runtime.spawn(double)
        after = await runtime.emit_and_wait("order.placed", 1)
    assert (len(before.outcomes), len(after.outcomes)) == (0, 1)


async def test_scenario_25_a_stop_without_drain_settles_everything_as_cancelled() -> None:
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime() as runtime:
        subscription = await runtime.spawn(hangs, "a", capacity=2)
        receipts = [await runtime.emit("a", n) for n in range(2)]
        await subscription.stop(drain=False)
        reports = [await receipt for receipt in receipts]
        assert "hangs" not in runtime.subscriptions
        assert runtime.stats.cancelled == 2
    assert [o.reason for r in reports for o in r.outcomes if isinstance(o, Cancelled)] == ["unsubscribed"] * 2


async def test_a_stop_with_drain_handles_what_was_accepted() -> None:
    async def slow(event: Event) -> None:
        await anyio.sleep(1)

    async with Runtime() as runtime:
        subscription = await runtime.spawn(slow, "a")
        receipts = [await runtime.emit("a", n) for n in range(3)]
        await subscription.stop()
        assert [r.settled for r in receipts] == [True] * 3
        assert runtime.stats.succeeded == 3


async def test_scenario_26_a_name_stands_for_one_subscription() -> None:
    async with Runtime(subscribers=[double]) as runtime:
        with pytest.raises(DuplicateSubscription, match="double"):
            await runtime.spawn(double)


async def test_scenario_27_an_event_that_nobody_hears_is_accepted_and_settled() -> None:
    async with Runtime() as runtime:
        report = await runtime.emit_and_wait("nobody.listens")
        assert report.outcomes == ()
        assert report.succeeded
        assert runtime.stats.unrouted == 1


async def test_scenario_28_an_emitter_cancelled_while_it_waits_for_room_leaves_its_event_in_line() -> None:
    seen: list[int] = []

    @subscriber("a", capacity=1)
    async def slow(event: Event) -> None:
        await anyio.sleep(10)
        seen.append(event.data)

    async with Runtime(subscribers=[slow], drain_within=100) as runtime:
        await runtime.emit("a", 0)
        await anyio.sleep(1)
        await runtime.emit("a", 1)
        with anyio.move_on_after(1) as patience:
            await runtime.emit("a", 2)
        assert patience.cancelled_caught
    assert seen == [0, 1, 2]


async def test_scenario_31_a_runtime_refuses_events_outside_its_block() -> None:
    runtime = Runtime(subscribers=[double])
    with pytest.raises(RuntimeClosed, match="not entered yet"):
        runtime.emit_nowait("order.placed", 1)
    async with runtime:
        pass
    with pytest.raises(RuntimeClosed, match="closed"):
        await runtime.emit("order.placed", 1)
    with pytest.raises(RuntimeReentered):
        await runtime.__aenter__()


async def test_emit_nowait_delivers_to_nobody_where_one_mailbox_is_full() -> None:
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime(subscribers=[double], drain_within=0) as runtime:
        await runtime.spawn(hangs, "order.*", capacity=1)
        runtime.emit_nowait("order.placed", 1)
        with pytest.raises(MailboxFull, match="hangs"):
            runtime.emit_nowait("order.placed", 2)
        assert runtime.stats.accepted == 1


async def test_scenario_36_an_event_emitted_twice_is_two_events() -> None:
    event = Event("order.placed", 1)
    async with Runtime(subscribers=[double]) as runtime:
        first, second = await runtime.emit(event), await runtime.emit(event)
        again = await runtime.emit(first.event)
    assert len({first.id, second.id, again.id}) == 3


async def test_scenario_50_an_id_given_twice_is_one_event() -> None:
    async with Runtime(subscribers=[double]) as runtime:
        first = await runtime.emit("order.placed", 1, id="x")
        assert await runtime.emit("order.placed", 1, id="x") is first
        with pytest.raises(ConflictingEvent, match="data"):
            await runtime.emit("order.placed", 2, id="x")
        assert runtime.stats.deliveries == 1


async def test_emit_many_accepts_all_or_none() -> None:
    async with Runtime(subscribers=[double]) as runtime:
        with pytest.raises(InvalidName) as refused:
            await runtime.emit_many([Event("order.placed", 1), Event("not a name")])
        assert "number 1" in refused.value.__notes__[0]
        assert runtime.stats.accepted == 0
        receipts = await runtime.emit_many([Event("order.placed", n) for n in range(300)])
        reports = [await receipt for receipt in receipts]
    assert [r.outcomes[0].value for r in reports if isinstance(r.outcomes[0], Succeeded)] == [2 * n for n in range(300)]


async def test_scenario_40_two_tasks_await_one_receipt() -> None:
    reports: list[object] = []
    async with Runtime() as runtime, anyio.create_task_group() as tasks:

        async def slow(event: Event) -> str:
            await anyio.sleep(1)
            return "done"

        await runtime.spawn(slow, "a")
        receipt = await runtime.emit("a")

        async def waits() -> None:
            reports.append(await receipt)

        tasks.start_soon(waits)
        tasks.start_soon(waits)
    assert len(reports) == 2
    assert reports[0] == reports[1]


async def test_scenario_41_a_receipt_tells_the_final_state_after_the_end() -> None:
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async with Runtime(drain_within=2) as runtime:
        await runtime.spawn(hangs, "a")
        receipt = await runtime.emit("a")
        start = anyio.current_time()
    assert anyio.current_time() - start == pytest.approx(2)
    report = await receipt
    assert isinstance(report.outcomes[0], Cancelled)


async def test_a_handlers_emit_is_linked_to_its_cause() -> None:
    seen: list[Event] = []

    @subscriber("a")
    async def first(event: Event, context: Context) -> None:
        await context.emit("b")

    @subscriber("b")
    async def second(event: Event) -> None:
        seen.append(event)

    async with Runtime(subscribers=[first, second]) as runtime:
        receipt = await runtime.emit("a")
    assert [(event.cause, event.depth) for event in seen] == [(receipt.id, 1)]


async def test_an_error_of_the_block_comes_out_as_itself_and_cancels_at_once() -> None:
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    start = anyio.current_time()
    with pytest.raises(ZeroDivisionError):
        async with Runtime() as runtime:
            await runtime.spawn(hangs, "a")
            receipt = await runtime.emit("a")
            raise ZeroDivisionError
    assert anyio.current_time() == start
    assert receipt.settled


async def test_a_dead_letter_is_replayed_as_a_new_delivery() -> None:
    fail = [True]

    @subscriber("a")
    async def sometimes(event: Event) -> str:
        if fail:
            raise ValueError
        return "fine"

    async with Runtime(subscribers=[sometimes]) as runtime:
        await runtime.emit_and_wait("a")
        (letter,) = await runtime.dead_letters.list()
        fail.clear()
        report = await (await runtime.dead_letters.replay(letter))
        assert isinstance(report.outcomes[0], Succeeded)
        assert runtime.dead_letters.kept == 0
        assert runtime.stats.deliveries == 2


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(3)])
async def test_scenario_4_an_interrupt_ends_the_runtime_and_keeps_its_exit_code(interrupt: BaseException) -> None:
    async def interrupts(event: Event) -> None:
        raise interrupt

    with pytest.raises(type(interrupt)) as caught:
        async with Runtime() as runtime:
            await runtime.spawn(interrupts, "a")
            receipt = await runtime.emit("a")
            await anyio.sleep_forever()
    assert caught.value is interrupt
    assert isinstance(receipt.report().outcomes[0], Cancelled)
    assert runtime.dead_letters.kept == 0


async def test_scenario_5_an_odd_base_exception_is_a_failure() -> None:
    async def odd(event: Event) -> None:
        raise GeneratorExit

    async with Runtime(subscribers=[double]) as runtime:
        await runtime.spawn(odd, "order.*")
        report = await runtime.emit_and_wait("order.placed", 1)
        assert isinstance(report.of("odd"), Failed)
        assert (await runtime.emit_and_wait("order.placed", 1)).of("double")


async def test_scenario_7_a_handler_may_cancel_a_scope_of_its_own() -> None:
    async def impatient(event: Event) -> str:
        with anyio.move_on_after(1):
            await anyio.sleep_forever()
        return "moved on"

    async with Runtime() as runtime:
        await runtime.spawn(impatient, "a")
        report = await runtime.emit_and_wait("a")
    assert isinstance(report.outcomes[0], Succeeded)


async def test_attempts_are_those_that_were_made() -> None:
    @subscriber("n", capacity=1)
    async def slow(event: Event) -> None:
        await anyio.sleep(2)

    async with Runtime(subscribers=[slow], drain_within=1) as runtime:
        done = await runtime.emit("n")
        late = await runtime.emit("n", expires_after=1)
        assert (await done).of("slow").attempts == 1
        assert (await late).of("slow").attempts == 0
        in_hand = await runtime.emit("n")
        await anyio.sleep(0.5)
        waiting = await runtime.emit("n")

    assert [(await receipt).of("slow").attempts for receipt in (in_hand, waiting)] == [1, 0]


async def test_the_answer_of_an_event_that_nobody_hears_is_nothing() -> None:
    async with Runtime() as runtime:
        assert await (await runtime.emit("nobody.hears")).answer() is None


async def test_a_handler_is_told_that_it_may_have_begun_with_an_event_before() -> None:
    seen: list[bool] = []

    @subscriber("n", retry=Retry(attempts=2, backoff=constant(1)))
    async def handler(event: Event, context: Context) -> None:
        seen.append(context.redelivered)
        raise LookupError

    async with Runtime(subscribers=[handler]) as runtime:
        await runtime.emit_and_wait("n")
    assert seen == [False, True]

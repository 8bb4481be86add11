"""Promise 7, supervision: what happens to what an instance has in hand, and to errors, when it starts and stops."""

from functools import partial

import anyio
import pytest

from postroom import (
    Actor,
    Cancelled,
    Context,
    Event,
    Failed,
    HandlerAborted,
    Runtime,
    Siblings,
    Succeeded,
    Supervision,
    on,
    subscriber,
)
from tests.promises.clerks import FRESH, Clerk, Crash, Slow, values


async def test_what_an_instance_has_in_hand_is_cancelled_with_its_subscription() -> None:
    async with Runtime() as runtime:
        slow = await runtime.spawn(Slow)
        receipt = await runtime.emit("slow")
        await anyio.sleep(1)
        await slow.stop(drain=False)
        (outcome,) = (await receipt).outcomes
    assert isinstance(outcome, Cancelled)
    assert (outcome.reason, outcome.attempts) == ("unsubscribed", 1)


async def test_what_a_restart_interrupts_goes_on_although_its_subscription_is_being_drained() -> None:
    crashing = subscriber(name="crashing", supervision=FRESH)(partial(Clerk, []))
    async with Runtime(subscribers=[Siblings([crashing, Slow], strategy="one_for_all")]) as runtime:
        receipt = await runtime.emit("slow")
        await anyio.sleep(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.subscriptions["slow"].stop)
            await anyio.sleep(1)
            await runtime.emit("count", "crash")
        (outcome,) = (await receipt).outcomes
        assert isinstance(outcome, Succeeded)
        assert (outcome.value, outcome.attempts) == (1, 1)
        assert [*runtime.subscriptions] == ["crashing"]


async def test_what_a_handler_has_let_out_counts_although_a_sibling_restarts_its_actor_in_that_moment() -> None:
    class Odd(BaseException):
        """No error, and no cancellation either."""

    seen, go = list[int](), anyio.Event()

    class Waits(Actor):
        @on("wait")
        async def wait(self, event: Event, context: Context) -> None:
            seen.append(context.attempt)
            await go.wait()
            raise Odd

    class Crashes(Actor):
        @on("crash")
        async def crash(self, event: Event) -> None:
            go.set()
            raise Crash

    crashes, waits = (subscriber(name=kind.__name__, supervision=FRESH)(kind) for kind in (Crashes, Waits))
    async with Runtime(subscribers=[Siblings([crashes, waits], strategy="one_for_all")]) as runtime:
        receipt = await runtime.emit("wait")
        await anyio.sleep(1)
        await runtime.emit_and_wait("crash")
        (outcome,) = (await receipt).outcomes
        assert runtime.subscriptions["Waits"].stats.restarts == 1
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, HandlerAborted)
    assert seen == [1]


async def test_a_stop_that_fails_is_told_and_kept_as_the_failure_and_ends_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Untidy(Actor):
        async def stopped(self) -> None:
            raise Crash

        @on("n")
        async def handle(self, event: Event) -> str:
            return "done"

    async with Runtime() as runtime:
        untidy = await runtime.spawn(Untidy, supervision=Supervision(default="restart"))
        assert await runtime.request("n") == "done"
        await untidy.stop()
        assert isinstance(untidy.failure, Crash)
        assert untidy.stats.restarts == 0
        assert dict(runtime.subscriptions) == {}
    assert "the instance of untidy failed while stopping (Crash)" in caplog.text


async def test_an_interrupt_in_a_stop_ends_the_runtime_and_comes_out() -> None:
    class Interrupted(Actor):
        async def stopped(self) -> None:
            raise SystemExit(3)

        @on("n")
        async def handle(self, event: Event) -> None: ...

    with pytest.raises(SystemExit, match="3"):
        async with Runtime() as runtime:
            stops = await runtime.spawn(Interrupted)
            await runtime.emit_and_wait("n")
            await stops.stop()
            await anyio.sleep_forever()


async def test_the_log_tells_a_start_that_fails_from_a_life_that_does(caplog: pytest.LogCaptureFixture) -> None:
    class Frail(Actor):
        async def started(self) -> None:
            told.append("start")
            if len(told) == 1:
                raise Crash
            tasks = await self.scope.enter_async_context(anyio.create_task_group())
            if len(told) == 2:
                tasks.start_soon(self.fail)

        async def fail(self) -> None:
            raise Crash

        @on("n")
        async def handle(self, event: Event) -> None: ...

    told: list[str] = []
    async with Runtime() as runtime:
        await runtime.spawn(Frail)
        await anyio.sleep(1)
    lines = [record.getMessage() for record in caplog.records if "the instance of" in record.getMessage()]
    assert lines == [
        "the instance of frail failed while starting (Crash)",
        "the instance of frail failed while living (ExceptionGroup)",
    ]


async def test_one_that_is_stopped_is_subscribed_to_nothing_while_it_still_ends() -> None:
    class Leaving(Actor):
        async def stopped(self) -> None:
            await anyio.sleep(3)

        @on("n")
        async def handle(self, event: Event) -> None:
            raise Crash

    async with Runtime() as runtime:
        await runtime.spawn(Leaving, supervision=Supervision(default="stop"))
        await runtime.emit_and_wait("n")
        assert "leaving" in runtime.subscriptions
        assert (await runtime.emit_and_wait("n")).outcomes == ()
        assert runtime.stats.unrouted == 1


async def test_a_restart_whose_backoff_fails_is_a_stop_with_both_errors(caplog: pytest.LogCaptureFixture) -> None:
    def broken(restarts: int, random: object) -> float:
        raise LookupError

    async with Runtime() as runtime:
        clerk = await runtime.spawn(Clerk, [], supervision=Supervision(default="restart", backoff=broken))
        assert await values(runtime, "crash", 1) == ["Failed", "Failed"]
        await anyio.sleep(1)
        assert dict(runtime.subscriptions) == {}
        assert isinstance(clerk.failure, ExceptionGroup)
        assert [type(each) for each in clerk.failure.exceptions] == [Crash, LookupError]
    assert "clerk is stopped by its supervision: its backoff failed" in caplog.text


async def test_an_interrupt_in_a_start_ends_the_runtime_and_comes_out() -> None:
    class Clerk(Actor):
        async def started(self) -> None:
            raise SystemExit(3)

        @on("n")
        async def handle(self, event: Event) -> None: ...

    with pytest.raises(SystemExit):
        async with Runtime() as runtime:
            await runtime.spawn(Clerk)
            await anyio.sleep(10)

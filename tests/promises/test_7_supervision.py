"""Promise 7, supervision: instances are restarted, subscriptions stop, and the runtime falls as their policy says."""

from functools import partial

import anyio
import pytest

from postroom import (
    Actor,
    Context,
    Event,
    Failed,
    Retry,
    Runtime,
    Siblings,
    SubscriptionStopped,
    Supervision,
    constant,
    on,
    subscriber,
)
from tests.promises.clerks import FRESH, Clerk, Crash, values


async def test_an_actor_goes_on_as_it_is_where_nothing_is_said() -> None:
    async with Runtime(subscribers=[partial(Clerk, [])]) as runtime:
        assert await values(runtime, 1, "crash", 1) == [1, "Failed", 2]


async def test_a_restart_makes_a_fresh_instance_of_the_same_arguments_with_the_same_mailbox() -> None:
    told: list[str] = []
    async with Runtime() as runtime:
        clerk = await runtime.spawn(Clerk, told, 10, name="clerk", supervision=FRESH)
        assert await values(runtime, 1, 1, "crash", 1) == [11, 12, "Failed", 11]
        assert clerk.stats.restarts == 1
        assert isinstance(clerk.failure, Crash)
    assert told == ["+clerk", "-clerk", "+clerk", "-clerk"]


@pytest.mark.supervision
async def test_a_burst_of_exactly_the_intensity_is_absorbed() -> None:
    async with Runtime() as runtime:
        await runtime.spawn(Clerk, [], supervision=FRESH)
        assert await values(runtime, *["crash"] * 3, 1) == ["Failed"] * 3 + [1]


@pytest.mark.supervision
async def test_a_subscriber_that_crashes_in_a_loop_stops_and_is_reported_and_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handled: list[Event] = []

    @subscriber("count")
    async def other(event: Event) -> None:
        handled.append(event)

    async with Runtime(subscribers=[other]) as runtime:
        clerk = await runtime.spawn(Clerk, [], capacity=2, supervision=FRESH)
        async with anyio.create_task_group() as tasks:
            for _ in range(9):  # more than there is room for: their emitters wait, and go on
                tasks.start_soon(runtime.emit, "count", "crash")
        await runtime.idle()
        assert "clerk" not in runtime.subscriptions
        assert len(handled) == 9
        assert isinstance(clerk.failure, Crash)
        kinds = [type(letter.exception) for letter in await runtime.dead_letters.list("clerk")]
        assert kinds == [Crash] * 4 + [SubscriptionStopped] * 5
        assert runtime.stats.deliveries == runtime.stats.succeeded + runtime.stats.failed == 18
    assert "clerk is stopped by its supervision: more than 3 restart(s) in 60 s" in caplog.text


@pytest.mark.supervision
async def test_the_name_of_a_stopped_subscription_is_free_and_its_dead_letters_can_be_replayed() -> None:
    async with Runtime() as runtime:
        await runtime.spawn(Clerk, [], supervision=Supervision(default="stop"))
        assert await values(runtime, "crash", 1) == ["Failed", "Failed"]
        await runtime.spawn(Clerk, [])
        last = (await runtime.dead_letters.list())[-1]
        assert (await (await runtime.dead_letters.replay(last))).succeeded


@pytest.mark.supervision
async def test_restarts_by_one_delivery_count_once() -> None:
    again = Retry(attempts=10, backoff=constant(1.0))
    async with Runtime() as runtime:
        clerk = await runtime.spawn(Clerk, [], retry=again, supervision=Supervision(default="restart", intensity=1))
        assert await values(runtime, "crash", 1) == ["Failed", 1]
        assert clerk.stats.restarts == 10


@pytest.mark.parametrize(
    ("error", "directive"),
    [
        (Crash(), "restart"),
        (KeyError(), "stop"),
        (ValueError(), "resume"),
        (ExceptionGroup("", [Crash()]), "restart"),
        (ExceptionGroup("", [ValueError(), ExceptionGroup("", [Crash(), ValueError()])]), "restart"),
        (ExceptionGroup("", [Crash(), KeyError()]), "stop"),
        (ExceptionGroup("", [Crash(), OSError(), KeyError()]), "escalate"),
        (ExceptionGroup("", [ValueError()]), "resume"),
    ],
)
def test_a_group_comes_to_the_gravest_directive_of_what_is_in_it(error: Exception, directive: str) -> None:
    policy = Supervision(on={Crash: "restart", LookupError: "stop", OSError: "escalate"})
    assert policy.directive_for(error).value == directive


def test_a_directive_for_groups_themselves_counts_for_them_whatever_is_in_them() -> None:
    policy = Supervision(on={ExceptionGroup: "resume", Crash: "stop", Exception: "restart"})
    assert policy.directive_for(ExceptionGroup("", [Crash()])).value == "resume"
    policy = Supervision(on={Crash: "stop", Exception: "restart"})
    assert policy.directive_for(ExceptionGroup("", [Crash()])).value == "stop"


async def test_what_fails_in_an_actors_background_has_the_directive_of_its_own_class() -> None:
    class Watch(Actor):
        async def started(self) -> None:
            tasks = await self.scope.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self.look)

        async def look(self) -> None:
            await anyio.sleep(1)
            raise Crash

        @on("n")
        async def handle(self, event: Event) -> None: ...

    async with Runtime() as runtime:
        watch = await runtime.spawn(Watch, supervision=Supervision(on={Crash: "stop"}))
        await anyio.sleep(2)
        assert dict(runtime.subscriptions) == {}
        assert watch.stats.restarts == 0


@pytest.mark.supervision
async def test_beyond_the_intensity_the_runtime_falls_where_the_policy_says_so() -> None:
    with pytest.raises(ExceptionGroup) as fallen:
        async with Runtime() as runtime:
            policy = Supervision(default="restart", intensity=0, beyond="escalate")
            clerk = await runtime.spawn(Clerk, [], supervision=policy)
            await runtime.emit("count", "crash")
            await anyio.sleep_forever()
    assert [type(each) for each in fallen.value.exceptions] == [Crash]
    assert fallen.value.exceptions[0].__notes__ == ["postroom: escalated by clerk"]
    assert clerk.failure is fallen.value.exceptions[0]


async def test_when_the_runtime_falls_the_errors_of_its_block_are_told_as_well() -> None:
    @subscriber("n", supervision=Supervision(default="escalate"))
    async def handler(event: Event) -> None:
        raise Crash

    with pytest.raises(ExceptionGroup) as fallen:
        async with Runtime(subscribers=[handler]) as runtime:
            try:
                await runtime.emit("n")
                await anyio.sleep_forever()
            finally:
                raise LookupError
    assert {type(each) for each in fallen.value.exceptions} == {Crash, LookupError}


async def test_a_function_that_is_stopped_lets_fail_what_its_other_workers_have_in_hand() -> None:
    @subscriber("n", concurrency=2, supervision=Supervision(on={Crash: "stop"}))
    async def handler(event: Event) -> None:
        if event.data == "crash":
            raise Crash
        await anyio.sleep_forever()

    async with Runtime(subscribers=[handler]) as runtime:
        slow = await runtime.emit("n")
        assert await values(runtime, "crash", name="n") == ["Failed"]
        (outcome,) = (await slow).outcomes
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.exception, SubscriptionStopped)
        assert outcome.attempts == 0


async def test_a_start_that_fails_is_tried_again_after_the_backoff() -> None:
    starts: list[float] = []

    class Late(Actor):
        async def started(self) -> None:
            starts.append(anyio.current_time())
            if len(starts) < 3:
                raise Crash

        @on("n")
        async def handle(self, event: Event) -> str:
            return "handled"

    async with Runtime() as runtime:
        begin = anyio.current_time()
        await runtime.spawn(Late, supervision=Supervision(backoff=lambda restarts, random: float(restarts)))
        assert await values(runtime, 1, name="n") == ["handled"]
        assert [round(start - begin) for start in starts] == [0, 1, 3]


async def test_what_an_instance_opens_lives_until_it_has_stopped_and_its_failure_is_the_instances() -> None:
    told: list[str] = []

    class Watch(Actor):
        async def started(self) -> None:
            tasks = await self.scope.enter_async_context(anyio.create_task_group())
            self.scope.callback(lambda: told.append("closed"))
            tasks.start_soon(self.look)
            self.tasks = tasks

        async def stopped(self) -> None:
            told.append("stopped")
            self.tasks.cancel_scope.cancel()

        async def look(self) -> None:
            await anyio.sleep(1)
            if "broken" not in told:
                told.append("broken")
                raise Crash
            await anyio.sleep_forever()

        @on("n")
        async def handle(self, event: Event, context: Context) -> int:
            await anyio.sleep(5)
            return context.attempt

    async with Runtime() as runtime:
        watch = await runtime.spawn(Watch)
        assert await values(runtime, 1, name="n") == [1]  # interrupted in the first instance, no attempt spent
        assert watch.stats.restarts == 1
        assert watch.stats.retried == 0
    assert told == ["broken", "stopped", "closed", "stopped", "closed"]


async def test_what_an_instance_leaves_in_hand_is_the_first_that_the_next_one_gets() -> None:
    order: list[int] = []

    class Slow(Clerk):
        @on("slow")
        async def work(self, event: Event) -> None:
            order.append(event.data)
            await anyio.sleep(10)

    slow = subscriber(name="slow")(partial(Slow, []))
    crashing = subscriber(name="crashing", supervision=FRESH)(partial(Clerk, []))
    async with Runtime(subscribers=[Siblings([crashing, slow], strategy="one_for_all")], drain_within=100) as runtime:
        await runtime.emit_many([Event("slow", number) for number in range(3)])
        await anyio.sleep(1)
        await runtime.emit("count", "crash")
        await runtime.idle()
    assert order == [0, 0, 1, 2]

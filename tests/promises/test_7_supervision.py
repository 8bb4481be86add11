"""Promise 7, supervision: instances are restarted, subscriptions stop, and the runtime falls as their policy says."""

from collections import Counter
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom import (
    Actor,
    Breaker,
    Cancelled,
    Context,
    Event,
    Failed,
    InvalidHandler,
    InvalidOption,
    MailboxFull,
    OutsideRuntime,
    Rate,
    Retry,
    Runtime,
    Siblings,
    Subscriber,
    SubscriptionStopped,
    Succeeded,
    Supervision,
    constant,
    on,
    subscriber,
)
from postroom.testing import virtual_backend


class Crash(Exception):
    """On purpose."""


class Clerk(Actor):
    """Counts what it handles, tells of its lives, and crashes at events that say so."""

    def __init__(self, told: list[str], start: int = 0) -> None:
        self.told, self.count = told, start

    async def started(self) -> None:
        self.told.append(f"+{self.name}")

    async def stopped(self) -> None:
        self.told.append(f"-{self.name}")

    @on("count")
    async def add(self, event: Event) -> int:
        if event.data == "crash":
            raise Crash
        self.count += 1
        return self.count


FRESH = Supervision(on={Crash: "restart"}, intensity=3, within=60.0)


async def values(runtime: Runtime, *data: object, name: str = "count") -> list[Any]:
    receipts = [await runtime.emit(name, each) for each in data]
    outcomes = [(await receipt).outcomes[0] for receipt in receipts]
    return [each.value if isinstance(each, Succeeded) else type(each).__name__ for each in outcomes]


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


async def test_children_stop_before_their_parent_and_are_restarted_after_it_with_their_mailboxes() -> None:
    told: list[str] = []

    class Boss(Clerk):
        async def started(self) -> None:
            await Clerk.started(self)
            await self.spawn(Clerk, told, name="a")
            await self.spawn(Clerk, told, name="b")

        @on("boss")
        async def work(self, event: Event) -> None:
            raise Crash

    async with Runtime() as runtime:
        await runtime.spawn(Boss, told, name="boss", supervision=FRESH)
        await runtime.idle()
        await anyio.sleep(1)
        assert set(runtime.subscriptions) == {"boss", "boss.a", "boss.b"}
        child = runtime.subscriptions["boss.a"]
        await child.pause()
        receipt = await runtime.emit("count", 1)
        await runtime.emit_and_wait("boss")
        await child.resume()
        assert (await receipt).succeeded
        assert runtime.subscriptions["boss.a"] is child
        await runtime.subscriptions["boss"].stop()
        assert dict(runtime.subscriptions) == {}
    start, stop = ["+boss", "+boss.a", "+boss.b"], ["-boss.b", "-boss.a", "-boss"]
    assert sorted(told[:3]) == sorted(start)
    assert told[3:6] == stop
    assert told[6] == "+boss"
    assert sorted(told[6:9]) == sorted(start)
    assert told[9:] == stop


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", ["-b", "+b"]),
        ("one_for_all", ["-c", "-b", "-a", "+a", "+b", "+c"]),
        ("rest_for_one", ["-c", "-b", "+b", "+c"]),
    ],
)
async def test_siblings_stop_in_reverse_and_start_in_order_and_lose_nothing(strategy: Any, expected: list[str]) -> None:
    told: list[str] = []

    class Slow(Clerk):
        @on("slow")
        async def work(self, event: Event, context: Context) -> int:
            await anyio.sleep(10)
            return context.attempt

    members = [subscriber(name=name)(partial(kind, told)) for name, kind in (("a", Slow), ("b", Clerk), ("c", Slow))]
    async with Runtime() as runtime:
        await runtime.supervise(Siblings([attrs_with(each) for each in members], strategy=strategy))
        slow = await runtime.emit("slow")
        await anyio.sleep(1)
        told.clear()
        crash = await runtime.emit("count", "crash")
        await anyio.sleep(5)
        changes = told.copy()
        report = await slow
        await crash
        assert [(each.value, each.attempts) for each in report.outcomes if isinstance(each, Succeeded)] == [(1, 1)] * 2
        assert runtime.subscriptions["b"].stats.retried == 0
    assert changes == expected


def attrs_with(member: "Subscriber[..., Any]") -> "Subscriber[..., Any]":
    """`member`, whose crashes of b alone restart anything."""
    import attrs

    return attrs.evolve(member, supervision=FRESH if member.name == "b" else None)


@pytest.mark.supervision
async def test_beyond_their_intensity_all_siblings_stop() -> None:
    member = subscriber(name="a", supervision=FRESH)(partial(Clerk, []))
    other = subscriber(name="b")(partial(Clerk, []))
    async with Runtime(subscribers=[Siblings([member, other], intensity=0)]) as runtime:
        await runtime.emit_and_wait("count", "crash")
        await runtime.idle()
        await anyio.sleep(1)
        assert dict(runtime.subscriptions) == {}


class Random(Actor):
    """Does what its events say."""

    def __init__(self, seen: list[int]) -> None:
        self.seen = seen

    @on("n")
    async def handle(self, event: Event) -> None:
        pause, outcome, number = event.data
        await anyio.sleep(pause)
        if outcome == "crash":
            raise Crash
        if outcome == "fail":
            raise ValueError
        self.seen.append(number)


@pytest.mark.supervision
@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from(["", "", "fail", "crash"])), max_size=25
    ),
    intensity=st.integers(0, 4),
    within=st.sampled_from([0.4, 2.0, 6.0]),
    attempts=st.integers(1, 3),
    library=st.sampled_from(["trio", "asyncio"]),
)
def test_restarts_and_outcomes_are_those_of_a_plain_account(
    events: list[tuple[float, str]], intensity: int, within: float, attempts: int, library: Any
) -> None:
    """One event after the other: each attempt at a crashing one restarts, the first of them counts."""
    restarts, times, now, stopped, outcomes = 0, [], 0.0, False, []
    for pause, outcome in events:
        if stopped:
            outcomes.append("Failed")
            continue
        outcomes.append("Failed" if outcome else "Succeeded")
        for attempt in range(attempts if outcome else 1):
            now += pause
            if outcome == "crash":
                if attempt == 0:
                    times.append(now)
                    stopped = sum(time + within >= now for time in times) > intensity
                if stopped:
                    break
                restarts += 1

    async def program() -> None:
        seen: list[int] = []
        policy = Supervision(on={Crash: "restart"}, intensity=intensity, within=within)
        async with Runtime() as runtime:
            subscription = await runtime.spawn(
                Random, seen, supervision=policy, retry=Retry(attempts=attempts, backoff=constant(0.0))
            )
            told = []
            for number, event in enumerate(events):
                report = await runtime.emit_and_wait("n", (*event, number))
                told.append(type(report.outcomes[0]).__name__ if report.outcomes else "Failed")
            assert told == outcomes
            assert subscription.stats.restarts == restarts
            await anyio.sleep(1)  # a stop lets the instance stop
            assert (subscription.name in runtime.subscriptions) == (not stopped)
            assert seen == [number for number, each in enumerate(outcomes) if each == "Succeeded"]

    backend, options = virtual_backend(library)
    anyio.run(program, backend=backend, backend_options=options)


async def test_the_most_specific_method_handles_an_event_and_no_other() -> None:
    class Many(Actor):
        @on("order.**")
        async def rest(self, event: Event) -> str:
            return "rest"

        @on("order.*")
        async def one(self, event: Event) -> str:
            return "one"

        @on("order.placed", "order.paid")
        def exact(self, event: Event) -> str:
            return "exact"

    async with Runtime(subscribers=[Many]) as runtime:
        names = ["order.placed", "order.paid", "order.sent", "order.a.b"]
        assert [await runtime.request(name) for name in names] == ["exact", "exact", "one", "rest"]


async def test_arguments_that_an_actors_constructor_does_not_take_are_refused_and_nothing_is_started() -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidHandler, match="it can't be made: too many positional arguments"):
            await runtime.spawn(Clerk, [], 1, "one too many")
        with pytest.raises(InvalidHandler, match="it can't be made: got an unexpected keyword argument 'other'"):
            await runtime.spawn(partial(Clerk, [], other=1))  # type: ignore[call-arg]
        with pytest.raises(InvalidHandler, match="it can't be made: missing a required argument: 'told'"):
            await runtime.spawn(Clerk)
        with pytest.raises(InvalidHandler, match="it can't be made: multiple values for argument 'start'"):
            await runtime.spawn(partial(Clerk, [], start=1), 7)
        await runtime.spawn(partial(partial(Clerk, []), start=1))
        assert len(runtime.subscriptions) == 1


def test_two_methods_that_match_the_same_events_are_refused_when_the_class_is_made() -> None:
    async def handle(self: Any, event: Event) -> None: ...

    for first, second in [("a.b", "a.b"), ("a.*", "*.b"), ("a.**", "*.b")]:
        with pytest.raises(InvalidHandler, match="neither pattern is more specific"):
            type("Two", (Actor,), {"one": on(first)(copy_of(handle)), "two": on(second)(copy_of(handle))})


def copy_of(function: Any) -> Any:
    return type(function)(function.__code__, function.__globals__)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: subscriber()(type("Idle", (Actor,), {})), "no method of it is marked"),
        (lambda: subscriber()(Clerk), "missing a required argument: 'told'"),
        (lambda: subscriber("x")(partial(Clerk, [])), "those of its methods"),
        (lambda: subscriber(concurrency=2)(partial(Clerk, [])), "one event at a time"),
        (lambda: subscriber("n", supervision=FRESH)(values), "nothing to restart"),
        (lambda: subscriber("n", breaker=3), "must be a Breaker"),  # type: ignore[call-overload]
        (lambda: Supervision(default="retry"), "must be one of"),  # type: ignore[arg-type]
        (lambda: Supervision(on={int: "stop"}), "classes of exceptions"),  # type: ignore[dict-item]
        (lambda: Supervision(intensity=-1), "at least 0"),
        (lambda: Supervision(within=0), "above 0"),
        (lambda: Breaker(failures=0), "at least 1"),
        (lambda: Rate(1, per=0), "above 0"),
        (lambda: Siblings([]), "at least one"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declare: Any, message: str) -> None:
    with pytest.raises((InvalidHandler, InvalidOption), match=message):
        made = declare()
        made(values)


async def test_a_paused_subscription_keeps_its_mailbox_and_holds_its_emitters_back() -> None:
    async with Runtime() as runtime:
        clerk = await runtime.spawn(Clerk, [], capacity=2)
        await clerk.pause()
        receipts = [await runtime.emit("count", 1) for _ in range(2)]
        with pytest.raises(MailboxFull):
            runtime.emit_nowait("count")
        with anyio.move_on_after(100) as patience:
            await runtime.emit("count", 1)
        assert patience.cancelled_caught
        assert (clerk.stats.paused, clerk.stats.waiting, clerk.stats.in_line) == (True, 2, 1)
        await clerk.resume()
        assert [(await receipt).outcomes[0].value for receipt in receipts] == [1, 2]  # type: ignore[union-attr]
        await runtime.idle()
        assert runtime.subscriptions["clerk"].stats.succeeded == 3


async def test_a_stop_with_drain_resumes_what_was_paused() -> None:
    async with Runtime() as runtime:
        clerk = await runtime.spawn(Clerk, [])
        await clerk.pause()
        receipt = await runtime.emit("count", 1)
        await clerk.stop()
        assert (await receipt).succeeded


async def test_a_breaker_opens_probes_and_closes_and_what_it_holds_back_costs_no_attempt() -> None:
    times: list[float] = []
    up_from = 50.0

    @subscriber("n", breaker=Breaker(failures=2, within=10, probe_after=30))
    async def call(event: Event, context: Context) -> int:
        times.append(anyio.current_time() - begin)
        if times[-1] < up_from:
            raise ConnectionError
        return context.attempt

    async with Runtime(subscribers=[call]) as runtime:
        begin = anyio.current_time()
        receipts = [await runtime.emit("n", number) for number in range(5)]
        await anyio.sleep(1)
        assert runtime.subscriptions["call"].stats.breaker == "open"
        kinds = [type((await receipt).outcomes[0]) for receipt in receipts]
        assert kinds == [Failed, Failed, Succeeded, Succeeded, Succeeded]
        assert [round(time) for time in times] == [0, 0, 30, 60, 60, 60]
        assert [(await receipt).outcomes[0].attempts for receipt in receipts] == [1] * 5
        assert runtime.subscriptions["call"].stats.breaker == "closed"


@settings(max_examples=40, deadline=None)
@given(
    rate=st.integers(1, 20),
    per=st.sampled_from([0.5, 1.0, 7.0]),
    burst=st.integers(1, 5),
    gaps=st.lists(st.sampled_from([0.0, 0.01, 0.3, 2.0]), min_size=1, max_size=30),
    concurrency=st.integers(1, 3),
    library=st.sampled_from(["trio", "asyncio"]),
)
def test_no_time_holds_more_attempts_than_the_rate_and_its_burst_allow(
    rate: int, per: float, burst: int, gaps: list[float], concurrency: int, library: Any
) -> None:
    times: list[float] = []

    async def program() -> None:
        @subscriber("n", rate=Rate(rate, per=per, burst=burst), concurrency=concurrency)
        async def handle(event: Event) -> None:
            times.append(anyio.current_time())

        async with Runtime(subscribers=[handle], drain_within=1000) as runtime:
            for gap in gaps:
                await anyio.sleep(gap)
                await runtime.emit("n")
            await runtime.idle()

    backend, options = virtual_backend(library)
    anyio.run(program, backend=backend, backend_options=options)
    assert len(times) == len(gaps)
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - times[first]) * rate / per + 1e-6
    if not any(gaps[1:]):  # all at once: it takes no longer than it must
        assert times[-1] - times[0] == pytest.approx(max(0, len(gaps) - burst) * per / rate)


async def test_nothing_is_lost_when_events_of_keys_meet_restarts_and_pauses() -> None:
    seen: Counter[str] = Counter()

    class Keyed(Actor):
        @on("n")
        async def handle(self, event: Event) -> None:
            await anyio.sleep(0.1)
            seen[event.id] += 1
            if seen[event.id] == 1 and event.data % 3 == 0:
                raise Crash

    policy = Supervision(default="restart", intensity=100)
    async with Runtime(drain_within=1000) as runtime:
        keyed = await runtime.spawn(Keyed, supervision=policy, retry=Retry(attempts=2, backoff=constant(0.3)))
        receipts = [await runtime.emit("n", number, key=f"k{number % 2}") for number in range(30)]
        await keyed.pause()
        await anyio.sleep(1)
        await keyed.resume()
        assert all([(await receipt).succeeded for receipt in receipts])
        assert keyed.stats.restarts == 10


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ExceptionGroup("", [ConnectionError()]), 3),
        (ExceptionGroup("", [ExceptionGroup("", [ConnectionError()]), ConnectionResetError()]), 3),
        (ExceptionGroup("", [ConnectionError(), ValueError()]), 1),
        (ExceptionGroup("", [ValueError()]), 1),
    ],
)
async def test_a_group_is_worth_another_attempt_where_all_that_is_in_it_is(error: Exception, attempts: int) -> None:
    @subscriber("n", retry=Retry(attempts=3, backoff=constant(1), on=ConnectionError))
    async def handler(event: Event) -> None:
        raise error

    async with Runtime(subscribers=[handler]) as runtime:
        assert (await runtime.emit_and_wait("n")).outcomes[0].attempts == attempts


async def test_a_group_with_an_error_that_the_breaker_looks_for_counts_for_it() -> None:
    error: Exception = ExceptionGroup("", [ValueError()])

    @subscriber("n", breaker=Breaker(failures=2))
    async def handler(event: Event) -> None:
        raise error

    async with Runtime(subscribers=[handler], drain_within=0) as runtime:
        for _ in range(3):
            await runtime.emit_and_wait("n")
        assert runtime.subscriptions["handler"].stats.breaker == "closed"
        error = ExceptionGroup("", [ValueError(), ExceptionGroup("", [ConnectionError()])])
        for _ in range(2):
            await runtime.emit_and_wait("n")
        assert runtime.subscriptions["handler"].stats.breaker == "open"


class Slow(Actor):
    """Takes ten seconds for an event, and tells which attempt it was."""

    @on("slow")
    async def work(self, event: Event, context: Context) -> int:
        await anyio.sleep(10)
        return context.attempt


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


async def test_a_function_that_is_an_actors_child_waits_for_its_parents_next_instance_and_goes_on() -> None:
    handled: list[tuple[float, int]] = []
    lives: list[int] = []

    class Boss(Actor):
        async def started(self) -> None:
            lives.append(len(lives))
            if len(lives) > 1:
                await anyio.sleep(5)

            async def child(event: Event, life: int = lives[-1]) -> None:
                handled.append((round(anyio.current_time() - began), life))

            await self.spawn(child, "child", name="child")

        @on("boss")
        async def work(self, event: Event) -> None:
            raise Crash

    began = anyio.current_time()
    async with Runtime() as runtime:
        await runtime.spawn(Boss, supervision=FRESH)
        await anyio.sleep(1)
        await runtime.emit_and_wait("child")
        await runtime.emit_and_wait("boss")
        for _ in range(2):
            await runtime.emit("child")
        await anyio.sleep(1)
        assert handled == [(1, 0)]
        await runtime.idle()
        await runtime.emit_and_wait("child")
    assert [life for _, life in handled] == [0, 1, 1, 1]
    assert [at for at, _ in handled] == [1, 6, 6, 6]


async def test_a_sibling_that_is_down_already_is_not_restarted_once_more() -> None:
    starts: list[str] = []

    class Late(Slow):
        async def started(self) -> None:
            starts.append(self.name)
            if len(starts) == 1:
                raise Crash

    first = subscriber(name="first", supervision=FRESH)(partial(Clerk, []))
    late = subscriber(supervision=Supervision(default="restart", backoff=constant(10)))(Late)
    async with Runtime(subscribers=[Siblings([first, late], strategy="one_for_all", intensity=5)]) as runtime:
        await anyio.sleep(1)  # the first one has been restarted with it, and late waits for its backoff
        before = runtime.subscriptions["late"].stats.restarts
        await runtime.emit("count", "crash")
        await anyio.sleep(1)
        assert before == 1
        assert runtime.subscriptions["late"].stats.restarts == 1
        await anyio.sleep(20)
        assert starts == ["late", "late"]


async def test_an_actor_that_was_made_by_hand_says_what_it_lacks() -> None:
    clerk = Clerk([])
    with pytest.raises(OutsideRuntime, match=r"Clerk\.name is there from `started` on"):
        _ = clerk.name
    with pytest.raises(OutsideRuntime, match=r"Clerk\.scope is there from `started` on"):
        _ = clerk.scope
    with pytest.raises(OutsideRuntime, match=r"Clerk\.emit"):
        await clerk.emit("n")
    with pytest.raises(OutsideRuntime, match=r"Clerk\.spawn"):
        await clerk.spawn(Clerk, [])


def test_an_override_that_forgot_its_mark_is_refused_when_the_class_is_made_and_a_marked_one_counts() -> None:
    with pytest.raises(InvalidHandler, match="its 'add' overrides a method that is marked with @on"):

        class Forgot(Clerk):
            async def add(self, event: Event) -> int:
                return 0

    class Other(Clerk):
        @on("other")
        async def add(self, event: Event) -> int:
            return 0

    assert subscriber()(partial(Other, [])).patterns == ("other",)


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


async def test_a_declared_actor_keeps_its_policies_when_it_is_spawned_with_arguments() -> None:
    declared = subscriber(name="declared", capacity=7, supervision=FRESH)(partial(Clerk, []))
    async with Runtime() as runtime:
        clerk = await runtime.spawn(declared, 40, name="spawned")
        assert (clerk.name, clerk.subscriber.capacity, clerk.subscriber.supervision) == ("spawned", 7, FRESH)
        assert await values(runtime, 1, "crash", 1) == [41, "Failed", 41]


async def test_failures_at_both_ends_of_the_breakers_time_count() -> None:
    @subscriber("n", breaker=Breaker(failures=2, within=8.0))
    async def handler(event: Event) -> None:
        raise ConnectionError

    async with Runtime(subscribers=[handler], drain_within=0) as runtime:
        subscription = runtime.subscriptions["handler"]
        await runtime.emit_and_wait("n")
        await anyio.sleep(8.5)
        await runtime.emit_and_wait("n")
        assert subscription.stats.breaker == "closed"
        await anyio.sleep(7.5)
        await runtime.emit_and_wait("n")
        assert subscription.stats.breaker == "open"


@pytest.mark.parametrize("backoff", [3, "soon"])
def test_a_backoff_that_is_no_function_is_refused(backoff: Any) -> None:
    with pytest.raises(InvalidOption, match="backoff"):
        Supervision(backoff=backoff)


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


def test_only_actors_can_be_siblings() -> None:
    async def handler(event: Event) -> None: ...

    with pytest.raises(InvalidHandler, match="only actors can be siblings"):
        Siblings([subscriber("n")(handler)])

"""What the tests of Medusa's event modules pin down, here for Local: a user who comes from there misses nothing.

In their words on the left: a group is a staged set of events, a priority of 100 is `default`, `internal` is `quiet`,
`created_at` is `time`, `published_at` is `accepted_at`.
"""

import logging
from typing import Any

import anyio
import msgspec
import pytest

from postroom import (
    Context,
    DuplicateSubscription,
    Event,
    Failed,
    GroupCleared,
    Policy,
    Retry,
    Runtime,
    Succeeded,
    constant,
    subscriber,
)

pytestmark = pytest.mark.anyio


class Listener:
    """A subscriber to `pattern`, and what it has got."""

    def __init__(self, pattern: str = "**", name: str = "listener") -> None:
        self.events: list[Event] = []
        self.subscriber = subscriber(pattern, name=name)(self.take)

    async def take(self, event: Event) -> None:
        self.events.append(event)

    @property
    def told(self) -> list[tuple[str, Any]]:
        return [(event.name, event.data) for event in self.events]


class LoopClock:
    """Wall time as the loop's, so that virtual seconds are seen in events."""

    def time(self) -> float:
        return anyio.current_time()


@pytest.fixture
def listener() -> Listener:
    return Listener()


async def test_an_event_reaches_its_listener_with_name_data_and_both_times(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber], clock=LoopClock()) as runtime:
        start = anyio.current_time()
        await runtime.emit_and_wait("order.placed", {"id": 1})
    [event] = listener.events
    assert (event.name, event.data) == ("order.placed", {"id": 1})
    assert event.time == event.accepted_at == pytest.approx(start)


async def test_a_quiet_event_is_handled_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    @subscriber("n", retry=Retry(attempts=2, backoff=constant(1)))
    async def broken(event: Event) -> None:
        raise ValueError

    with caplog.at_level(logging.DEBUG, "postroom"):
        async with Runtime(subscribers=[broken]) as runtime:
            quiet = await runtime.emit_and_wait("n", quiet=True)
            assert caplog.records == []
            loud = await runtime.emit_and_wait("n")
            assert len(caplog.records) == 2
    assert [type(report.outcomes[0]) for report in (quiet, loud)] == [Failed, Failed]
    assert quiet.event.priority == "lowest"


async def test_events_of_one_call_keep_their_own_names_and_data(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber]) as runtime:
        await runtime.emit_many([Event("a", 1), Event("b", 2)])
        await runtime.idle()
    assert listener.told == [("a", 1), ("b", 2)]


async def test_a_group_is_staged_a_second_call_appends_and_what_has_no_group_goes_through(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber]) as runtime:
        await runtime.emit("a", 1, group="g")
        await runtime.emit("a", 2, group="g")
        await runtime.emit("a", 3)
        await runtime.emit("a", 4, group="h")
        await runtime.idle()
        assert listener.told == [("a", 3)]
        assert [receipt.event.data for receipt in await runtime.release_group("g")] == [1, 2]
        assert [receipt.event.data for receipt in await runtime.release_group("h")] == [4]


async def test_a_release_emits_just_that_group_in_order_and_leaves_others(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber]) as runtime:
        for number in range(6):
            await runtime.emit("a", number, group="even" if number % 2 == 0 else "odd")
        await runtime.release_group("even")
        await runtime.idle()
        assert [event.data for event in listener.events] == [0, 2, 4]
        assert runtime.stats.staged == 3
        await runtime.release_group("odd")
        await runtime.idle()
    assert [event.data for event in listener.events] == [0, 2, 4, 1, 3, 5]


async def test_a_grouped_event_keeps_its_time_and_is_accepted_at_the_release(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber], clock=LoopClock()) as runtime:
        start = anyio.current_time()
        await runtime.emit("a", group="g")
        await anyio.sleep(60)
        await runtime.release_group("g")
        await runtime.idle()
    [event] = listener.events
    assert (event.time, event.accepted_at) == pytest.approx((start, start + 60))


async def test_a_clear_leaves_other_groups(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber]) as runtime:
        await runtime.emit("a", 1, group="g")
        await runtime.emit("a", 2, group="h")
        await runtime.clear_group("g")
        await runtime.release_group("h")
        await runtime.idle()
    assert listener.told == [("a", 2)]


async def test_without_subscribers_nothing_is_delivered_and_interceptors_are_called_once_and_told_of_the_group() -> (
    None
):
    seen: list[tuple[str, str | None]] = []

    def look(event: Event, group: str | None) -> None:
        seen.append((event.name, group))

    async with Runtime(interceptors=[look]) as runtime:
        await runtime.emit("a")
        await runtime.emit("b", group="g")
        await runtime.release_group("g")
        stats = runtime.stats
    assert seen == [("a", None), ("b", "g")]
    assert (stats.accepted, stats.unrouted, stats.deliveries) == (2, 2, 0)


@pytest.mark.parametrize("pattern", ["*", "**"])
async def test_a_subscriber_to_everything_is_enough(pattern: str) -> None:
    everything = Listener(pattern)
    async with Runtime(subscribers=[everything.subscriber]) as runtime:
        await runtime.emit("a", 1)
        await runtime.emit("b", 2, group="g")
        await runtime.release_group("g")
        await runtime.idle()
    assert everything.told == [("a", 1), ("b", 2)]


async def test_a_release_without_subscribers_empties_the_group(listener: Listener) -> None:
    async with Runtime() as runtime:
        await runtime.emit("a", group="g")
        await runtime.release_group("g")
        assert runtime.stats.staged == 0
        await runtime.spawn(listener.subscriber)
        await runtime.release_group("g")
        await runtime.idle()
    assert listener.told == []


async def test_cleared_then_released_nothing_arrives(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber]) as runtime:
        await runtime.emit("a", group="g")
        await runtime.clear_group("g")
        await runtime.release_group("g")
        await runtime.idle()
    assert listener.told == []


async def test_cleared_by_name_then_released_only_the_others_arrive(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber]) as runtime:
        for name in ("a", "b", "a", "c"):
            await runtime.emit(name, group="g")
        await runtime.clear_group("g", names=["a"])
        await runtime.release_group("g")
        await runtime.idle()
    assert [event.name for event in listener.events] == ["b", "c"]


async def test_a_group_has_its_time_to_live_from_its_first_event(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber]) as runtime:
        start = anyio.current_time()
        first = await runtime.emit("a", 1, group="g")
        await anyio.sleep(599)
        await runtime.emit("a", 2, group="g")
        with pytest.raises(GroupCleared):
            await first
        assert anyio.current_time() - start == pytest.approx(600)
        assert await runtime.release_group("g") == []
    assert listener.told == []


async def test_by_default_there_is_one_attempt_and_nothing_is_kept_of_what_succeeded() -> None:
    attempts: list[int] = []

    @subscriber("n")
    async def note(event: Event, context: Context) -> None:
        attempts.append(context.attempt)
        if event.data == "fail":
            raise ValueError

    async with Runtime(subscribers=[note]) as runtime:
        report = await runtime.emit_and_wait("n")
        assert (report.event.priority, runtime.dead_letters.kept, runtime.stats.pending) == ("default", 0, 0)
        await runtime.emit_and_wait("n", "fail")
    assert attempts == [1, 1]


async def test_options_of_the_emit_beat_the_modules_and_the_events_own_beat_both() -> None:
    attempts: dict[str, int] = {}

    @subscriber("n")
    async def fail(event: Event, context: Context) -> None:
        attempts[event.data] = context.attempt
        raise ValueError

    defaults = Policy(attempts=2, backoff=constant(1))
    async with Runtime(subscribers=[fail], defaults=defaults) as runtime:
        await runtime.emit_and_wait("n", "module")
        await runtime.emit_and_wait("n", "emit", attempts=3)
        await runtime.emit_and_wait(Event("n", "event", attempts=4), attempts=3)
    assert attempts == {"module": 2, "emit": 3, "event": 4}


async def test_priorities_and_options_survive_staging_also_different_ones_in_one_group() -> None:
    told: list[tuple[object, float]] = []
    attempts: list[int] = []
    opened = anyio.Event()

    @subscriber("n")
    async def note(event: Event, context: Context) -> None:
        if event.data == "first":
            await opened.wait()
            return
        attempts.append(context.attempt)
        if event.attempts is not None and context.attempt < event.attempts:
            raise ValueError
        told.append((event.data, anyio.current_time() - start))

    async with Runtime(subscribers=[note]) as runtime:
        await runtime.emit("n", "first")
        start = anyio.current_time()
        async with runtime.group() as group:
            receipts = [
                await group.emit("n", "low", priority="low"),
                await group.emit("n", "default"),
                await group.emit(Event("n", "delayed", delay=7)),
                await group.emit("n", "critical", priority="critical", key="k", headers={"a": "b"}),
                await group.emit("n", "repeated", attempts=2, backoff=constant(3)),
            ]
        opened.set()
        events = [(await receipt).event for receipt in receipts]

    assert told == [
        ("critical", 0),
        ("default", 0),
        ("low", 0),
        ("repeated", pytest.approx(3)),
        ("delayed", pytest.approx(7)),
    ]
    assert (events[3].key, dict(events[3].headers)) == ("k", {"a": "b"})


async def test_of_four_subscribers_two_fail_all_run_and_each_failure_is_reported() -> None:
    ran: list[str] = []

    async def well(event: Event) -> None:
        ran.append("well")

    async def at_once(event: Event) -> None:
        ran.append("at once")
        raise ValueError

    async def later(event: Event) -> None:
        ran.append("later")
        await anyio.sleep(1)
        raise KeyError

    async with Runtime() as runtime:
        for number, handler in enumerate([well, at_once, later, well]):
            await runtime.spawn(handler, "n", name=f"{number}")
        report = await runtime.emit_and_wait("n")

    assert sorted(ran) == ["at once", "later", "well", "well"]
    kinds = {outcome.subscription: type(outcome) for outcome in report.outcomes}
    assert kinds == {"0": Succeeded, "1": Failed, "2": Failed, "3": Succeeded}
    with pytest.raises(ExceptionGroup) as caught:
        report.raise_for_failures()
    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyError}


async def test_on_a_retry_only_those_that_have_not_succeeded_run_again() -> None:
    ran: list[str] = []

    async def well(event: Event) -> None:
        ran.append("well")

    async def second_time(event: Event, context: Context) -> None:
        ran.append("second_time")
        if context.attempt == 1:
            raise ValueError

    async with Runtime() as runtime:
        await runtime.spawn(well, "n")
        await runtime.spawn(second_time, "n")
        report = await runtime.emit_and_wait("n", attempts=3, backoff=constant(1))
    assert report.succeeded
    assert sorted(ran) == ["second_time", "second_time", "well"]


async def test_the_same_subscription_twice_is_refused(listener: Listener) -> None:
    with pytest.raises(DuplicateSubscription):
        Runtime(subscribers=[listener.subscriber, listener.subscriber])
    async with Runtime(subscribers=[listener.subscriber]) as runtime:
        with pytest.raises(DuplicateSubscription):
            await runtime.spawn(listener.subscriber)


async def test_a_subscription_is_ended_by_its_name_or_by_what_spawn_returned() -> None:
    first, second = Listener(name="first"), Listener(name="second")
    async with Runtime(subscribers=[first.subscriber]) as runtime:
        subscription = await runtime.spawn(second.subscriber)
        await runtime.emit_and_wait("n", 1)
        await runtime.subscriptions["first"].stop()
        await runtime.emit_and_wait("n", 2)
        await subscription.stop()
        await runtime.emit_and_wait("n", 3)
    assert (first.told, second.told) == ([("n", 1)], [("n", 1), ("n", 2)])


async def test_times_that_were_serialised_come_back_as_times(listener: Listener) -> None:
    async with Runtime(subscribers=[listener.subscriber], clock=LoopClock()) as runtime:
        await anyio.sleep(0.125)
        event = (await runtime.emit_and_wait("a", {"id": 1})).event
    again = msgspec.json.decode(msgspec.json.encode(event, enc_hook=dict))  # headers are a mapping that can't change
    assert (again["time"], again["accepted_at"]) == (event.time, event.accepted_at)
    assert isinstance(again["time"], float)

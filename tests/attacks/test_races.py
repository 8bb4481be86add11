"""Moments that only a random schedule meets. Each was found by `tests.simulation`, and is told here by hand."""

import anyio
import anyio.lowlevel
import pytest

from postroom import Actor, Event, MailboxFull, Rate, Runtime, UnknownSubscription, WouldDeadlock, on

pytestmark = pytest.mark.anyio


async def spin() -> None:
    """Let everybody else run a few times, while virtual time stands."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def test_a_rate_that_is_used_in_the_moment_before_its_alarm_comes_opens_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handled: list[float] = []

    async def work(event: Event) -> None:
        handled.append(anyio.current_time() - start)

    async with Runtime() as runtime:
        start = anyio.current_time()
        subscription = await runtime.spawn(work, "n", rate=Rate(1, per=1.0))
        rate = subscription._behaviour.rate
        assert rate is not None
        look = rate.look

        async with anyio.create_task_group() as tasks:
            # The alarm is due at 1 s. Before it comes, somebody takes what has just arrived: the gate is open by then.
            alarm_is_late = anyio.Event()

            async def look_late() -> None:
                await alarm_is_late.wait()
                look()

            monkeypatch.setattr(type(rate), "look", lambda _: tasks.start_soon(look_late))
            await runtime.emit("n")
            await anyio.sleep(1)
            await runtime.emit("n")
            await spin()
            await runtime.emit("n")
            await spin()
            monkeypatch.undo()
            alarm_is_late.set()
        with anyio.fail_after(10):
            await runtime.idle()
    assert handled == [0.0, 1.0, 2.0]


async def test_what_coalesces_does_not_overtake_one_of_its_key_that_stands_in_line() -> None:
    seen: list[int] = []
    gates = [anyio.Event() for _ in range(5)]

    async def work(event: Event) -> None:
        await gates[event.data].wait()
        seen.append(event.data)

    async with Runtime() as runtime, anyio.create_task_group() as tasks:
        await runtime.spawn(work, "n", capacity=1, overflow="coalesce")

        async def emit(data: int, key: str) -> None:
            await runtime.emit("n", data, key=key)

        for data, key in enumerate(["in hand", "waits", "k", "k"]):
            tasks.start_soon(emit, data, key)
            await spin()
        gates[0].set()
        await spin()  # so that one of the key is in the mailbox, and one in line
        with pytest.raises(MailboxFull):
            runtime.emit_nowait("n", 4, key="k")
        tasks.start_soon(emit, 4, "k")
        await spin()
        for gate in gates:
            gate.set()
    assert seen == [0, 1, 2, 3, 4]


async def test_emit_nowait_counts_what_is_due_and_on_its_way_to_the_mailbox() -> None:
    async def work(event: Event) -> None:
        await anyio.sleep(10)

    async with Runtime(drain_within=0) as runtime:
        subscription = await runtime.spawn(work, "n", capacity=1)
        await runtime.emit("n")
        await spin()
        behaviour = subscription._behaviour
        await runtime.emit("n", delay=1)
        # What the task of the timers does when its time has come, but the dispatcher has not had its turn.
        (delivery,) = behaviour.delays.cancel()
        behaviour.delays.deliver(delivery)
        with pytest.raises(MailboxFull):
            runtime.emit_nowait("n")
        assert subscription.stats.in_line == 0


@pytest.mark.parametrize("many", [False, True])
async def test_a_handler_s_wait_for_room_counts_what_is_due_and_on_its_way_to_the_mailbox(many: bool) -> None:
    async def work(event: Event) -> None:
        if event.data == "first":
            behaviour = subscription._behaviour
            (delivery,) = behaviour.delays.cancel()
            behaviour.delays.deliver(delivery)
            if many:
                await runtime.emit_many([Event("n")])
            else:
                await runtime.emit("n")

    async with Runtime(drain_within=10) as runtime:
        subscription = await runtime.spawn(work, "n", capacity=1)
        await runtime.emit("n", delay=100)
        report = await runtime.emit_and_wait("n", "first")
        with pytest.RaisesGroup(pytest.RaisesExc(WouldDeadlock)):
            report.raise_for_failures()
        assert runtime.stats.accepted == 2, "what is refused is not accepted"


async def test_a_dead_letter_is_not_replayed_to_another_subscription_of_the_same_name() -> None:
    class Second(Actor):
        @on("other")
        async def work(self, event: Event) -> None:
            pass

    async def work(event: Event) -> None:
        raise ValueError

    async with Runtime() as runtime:
        first = await runtime.spawn(work, "n", name="work")
        await runtime.emit_and_wait("n")
        await first.stop()
        await runtime.spawn(Second, name="work")
        (letter,) = await runtime.dead_letters.list()
        with pytest.raises(UnknownSubscription, match="that subscribes to 'n'"):
            await runtime.dead_letters.replay(letter)
        assert await runtime.dead_letters.list() == (letter,)
        await runtime.idle()

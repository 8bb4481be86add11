"""The actor's loop: hands, draining, interrupting, the end; and the guard around each message."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from contextvars import ContextVar

import anyio
import attrs
import pytest

from postroom_actors import (
    Actor,
    Admission,
    BatchActor,
    Hand,
    Kernel,
    Lives,
    LivingActor,
    Mailbox,
    Owner,
    TimeSlice,
    current_hand,
    current_message,
    open_kernel,
)
from postroom_actors.guard import Verdict, interrupt_of, judge
from postroom_actors.slices import MOST_PER_SLICE, SLICE


@attrs.define(eq=False)
class Diary:
    """A behaviour that calls a handler and writes down what it is told."""

    handler: Callable[[int], Awaitable[object]]
    lines: list[tuple[str, object]] = attrs.field(factory=list)
    room: Admission | None = None

    def receive(self, message: int) -> Awaitable[object]:
        return self.handler(message)

    def succeeded(self, message: int, result: object, started: float, ended: float) -> None:
        self.lines.append(("succeeded", message))

    def failed(self, message: int, error: BaseException, started: float, ended: float) -> Admission | None:
        self.lines.append(("failed", message))
        return self.room

    def cancelled(self, message: int, started: float, ended: float) -> None:
        self.lines.append(("cancelled", message))

    def interrupted(self, message: int, interrupt: BaseException) -> None:
        self.lines.append(("interrupted", message))

    def ended(self) -> None:
        self.lines.append(("ended", None))


async def handle(message: int) -> None:
    """0 and more: sleeps as many seconds. Less: raises."""
    if message < 0:
        raise ValueError(message)
    await anyio.sleep(message)


@asynccontextmanager
async def actor_at_work(
    handler: Callable[[int], Awaitable[object]] = handle, *, concurrency: int = 1, capacity: int = 100
) -> AsyncIterator[tuple[Kernel, Actor[int], Diary]]:
    diary = Diary(handler)
    async with open_kernel() as kernel:
        actor: Actor[int] = Actor("clerk", Mailbox(Owner(), capacity), diary, concurrency)
        kernel.start(actor)
        yield kernel, actor, diary
        kernel.cancel()


async def test_a_closed_actor_handles_what_it_has_and_ends() -> None:
    async with actor_at_work() as (_, actor, diary):
        for number in (1, -1, 0):
            actor.mailbox.offer(number)
        actor.close()
        await anyio.sleep(5)
        assert diary.lines == [("succeeded", 1), ("failed", -1), ("succeeded", 0), ("ended", None)]
        assert actor.hands == []


async def test_an_idle_actor_that_is_closed_ends_at_once() -> None:
    async with actor_at_work(concurrency=3) as (_, actor, diary):
        await anyio.wait_all_tasks_blocked()
        assert actor.mailbox.idle_hands == 3
        actor.close()
        await anyio.wait_all_tasks_blocked()
        assert diary.lines == [("ended", None)]


async def test_an_interrupted_actor_loses_what_is_in_hand_and_leaves_the_rest() -> None:
    async with actor_at_work(concurrency=2) as (_, actor, diary):
        for number in (50, 60, 70):
            actor.mailbox.offer(number)
        await anyio.sleep(1)
        assert sorted(actor.in_hand) == [50, 60]
        actor.interrupt()
        await anyio.sleep(1)
        assert sorted(diary.lines[:2]) == [("cancelled", 50), ("cancelled", 60)]
        assert diary.lines[2:] == [("ended", None)]
        assert list(actor.mailbox.queue) == [70]
        assert actor.in_hand == []


async def test_cancelling_the_kernel_cancels_what_is_in_hand() -> None:
    async with actor_at_work() as (_, actor, diary):
        actor.mailbox.offer(50)
        await anyio.sleep(1)
    assert diary.lines == [("cancelled", 50), ("ended", None)]


async def test_several_hands_work_side_by_side() -> None:
    async with actor_at_work(concurrency=3) as (_, actor, diary):
        start = anyio.current_time()
        for _ in range(6):
            actor.mailbox.offer(1)
        actor.close()
        await anyio.sleep(1.5)
        assert len(diary.lines) == 3
        await anyio.sleep(1)
        assert diary.lines[-1] == ("ended", None)
        assert anyio.current_time() - start == pytest.approx(2.5)


class Interrupted(list[Hand[int]]):
    """The idle hands; as the first one lies down, a signal handler puts a message into their mailbox."""

    def __init__(self, mailbox: Mailbox[int]) -> None:
        self.messages = [1]
        self.mailbox = mailbox

    def append(self, hand: Hand[int]) -> None:
        while self.messages:
            self.mailbox.offer(self.messages.pop())
        super().append(hand)


@pytest.mark.parametrize("size", [None, 1])
async def test_mail_that_comes_while_a_hand_lies_down_is_seen(size: int | None) -> None:
    diary, batches, mailbox = Diary(handle), Batches(), Mailbox(Owner[int](), 100)
    actor: Actor[int] = Actor("clerk", mailbox, diary)
    if size is not None:
        actor = batched = BatchActor("clerk", mailbox, diary, size=size, within=0)
        batched.batches = batches
    actor._idle = Interrupted(mailbox)
    async with open_kernel() as kernel:
        kernel.start(actor)
        await anyio.sleep(2)
        assert [*diary.lines, *batches.lines] == [("succeeded", 1 if size is None else (1,))]
        kernel.cancel()


async def test_a_hand_tells_tasks_apart_by_message_but_for_those_too_quick_to_have_started_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = [0.0]

    async def takes(message: int) -> None:
        ticks[0] += message

    async with open_kernel() as kernel:
        monkeypatch.setattr(kernel.port, "stopwatch", lambda: ticks[0])
        actor: Actor[int] = Actor("clerk", Mailbox(Owner(), 100), Diary(takes))
        kernel.start(actor)
        await anyio.wait_all_tasks_blocked()
        marks = []
        for seconds in (0, 1):
            actor.mailbox.offer(0)
            actor.mailbox.offer(seconds)
            hand = actor.hands[0]
            await anyio.wait_all_tasks_blocked()
            marks.append(hand.mark)
        assert marks[0] is not marks[1]
        kernel.cancel()


async def test_an_interrupt_in_a_handler_ends_the_actor_and_nothing_else() -> None:
    async def interrupts(message: int) -> None:
        raise SystemExit(message)

    async with actor_at_work(interrupts) as (_, actor, diary):
        actor.mailbox.offer(1)
        actor.mailbox.offer(2)
        await anyio.sleep(1)
        assert diary.lines == [("interrupted", 1), ("ended", None)]
        assert list(actor.mailbox.queue) == [2]


async def test_a_hand_that_is_replaced_and_goes_on_is_not_replaced_again() -> None:
    async def does_not_listen(message: int) -> None:
        with anyio.CancelScope(shield=message == 0):
            await anyio.sleep(30)

    async with actor_at_work(does_not_listen) as (kernel, actor, diary):
        actor.mailbox.offer(0)
        await anyio.sleep(1)
        for _ in range(3):
            kernel.replace(actor)
            await anyio.sleep(1)
        for number in (1, 2, 3):
            actor.mailbox.offer(number)
        await anyio.sleep(1)
        assert actor.in_hand == [0, 1]
        await anyio.sleep(100)
        assert diary.lines == [("succeeded", number) for number in (0, 1, 2, 3)]


async def test_a_hand_that_was_ended_and_has_not_heard_of_it_takes_nothing_more() -> None:
    begun: list[int] = []

    async def does_not_listen(message: int) -> None:
        begun.append(message)
        with anyio.CancelScope(shield=True):
            await anyio.sleep(1)

    async with actor_at_work(does_not_listen) as (_, actor, diary):
        actor.mailbox.offer(1)
        actor.mailbox.offer(2)
        await anyio.sleep(0.5)
        actor.interrupt()
        await anyio.sleep(5)
        assert begun == [1]
        assert diary.lines == [("succeeded", 1), ("ended", None)]
        assert list(actor.mailbox.queue) == [2]


async def test_a_hand_waits_for_the_room_that_its_failed_message_needs() -> None:
    async with actor_at_work() as (kernel, actor, diary):
        full: Mailbox[int] = Mailbox(Owner(), 1)
        full.offer(0)
        diary.room = kernel.admission()
        full.stand_in_line(1, diary.room)
        actor.mailbox.offer(-1)
        actor.mailbox.offer(0)
        await anyio.sleep(1)
        assert diary.lines == [("failed", -1)]
        full.take(0.0)
        await anyio.sleep(1)
        assert diary.lines == [("failed", -1), ("succeeded", 0)]


async def test_the_current_hand_is_known_to_the_handler_and_its_tasks_and_to_nobody_else() -> None:
    seen: list[object] = []

    async def note() -> None:
        hand = current_hand()
        assert hand is not None
        seen.append(hand.message)

    async def looks(message: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(note)
        await note()

    async with actor_at_work(looks) as (_, actor, _diary):
        actor.mailbox.offer(7)
        await anyio.wait_all_tasks_blocked()
        assert current_hand() is None
    assert seen == [7, 7]


async def test_a_task_that_outlives_its_handler_has_nothing_in_hand() -> None:
    seen: list[object] = []

    async def looks_on() -> None:
        for _ in range(4):
            seen.append(current_message())
            await anyio.sleep(1)

    async def leaves_a_task(message: int) -> None:
        if message == 1:
            others.start_soon(looks_on)
        await anyio.sleep(1.5)
        assert current_message() == message

    async with anyio.create_task_group() as others, actor_at_work(leaves_a_task) as (_, actor, diary):
        for message in (1, 2, 3):
            actor.mailbox.offer(message)
        await anyio.sleep(10)
    assert seen == [1, 1, None, None]
    assert diary.lines[:3] == [("succeeded", 1), ("succeeded", 2), ("succeeded", 3)]


async def test_variables_that_a_handler_sets_do_not_reach_another_actor() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: list[str] = []

    async def sets(message: int) -> None:
        variable.set("set")

    async def reads(message: int) -> None:
        seen.append(variable.get())

    async with actor_at_work(sets) as (_, first, _diary), actor_at_work(reads) as (_, second, _other):
        first.mailbox.offer(1)
        await anyio.wait_all_tasks_blocked()
        second.mailbox.offer(1)
        await anyio.wait_all_tasks_blocked()
    assert seen == ["unset"]
    assert variable.get() == "unset"


def verdicts(error: BaseException) -> tuple[Verdict, Verdict]:
    """What an error means while nobody has cancelled the task, and while somebody has."""
    with ExitStack() as stack:
        scope = stack.enter_context(anyio.CancelScope())
        before = judge(error)
        scope.cancel()
        return before, judge(error)


@pytest.mark.parametrize("error", [ValueError(), ExceptionGroup("all", [ValueError()]), RecursionError()])
async def test_an_exception_is_a_failure_even_while_its_task_is_being_cancelled(error: Exception) -> None:
    assert verdicts(error) == (Verdict.FAILURE, Verdict.FAILURE)


@pytest.mark.parametrize("make", [BaseException, lambda: BaseExceptionGroup("b", [BaseException()])])
async def test_an_odd_base_exception_is_a_failure_even_while_its_task_is_being_cancelled(
    make: Callable[[], BaseException],
) -> None:
    assert verdicts(make()) == (Verdict.FAILURE, Verdict.FAILURE)


@pytest.mark.parametrize("make", [GeneratorExit, lambda: BaseExceptionGroup("b", [ValueError(), GeneratorExit()])])
async def test_the_end_of_a_coroutine_is_a_failure_unless_somebody_asked_for_a_cancellation(
    make: Callable[[], BaseException],
) -> None:
    assert verdicts(make()) == (Verdict.FAILURE, Verdict.CANCELLED)


async def test_a_cancellation_by_a_scope_around_the_task_is_one() -> None:
    seen = []
    with anyio.CancelScope(deadline=anyio.current_time() + 1):
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            seen += [judge(error), judge(BaseExceptionGroup("b", [BaseException(), error]))]
            raise
    assert seen == [Verdict.CANCELLED, Verdict.CANCELLED]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(1)])
async def test_an_interrupt_is_found_wherever_it_hides(interrupt: BaseException) -> None:
    deep: BaseException = interrupt
    for _ in range(5000):
        deep = BaseExceptionGroup("deeper", [ValueError(), deep])
    assert verdicts(interrupt) == (Verdict.INTERRUPTED, Verdict.INTERRUPTED)
    assert verdicts(deep) == (Verdict.INTERRUPTED, Verdict.INTERRUPTED)
    assert interrupt_of(deep) is interrupt


def test_a_slice_is_over_by_the_clock_or_by_count() -> None:
    turn = TimeSlice()
    turn.restart(10.0)
    assert not turn.is_over(10.0 + 0.9 * SLICE)
    assert turn.is_over(10.0 + SLICE)
    turn.restart(10.0)
    assert [turn.is_over(10.0) for _ in range(MOST_PER_SLICE)].index(True) == MOST_PER_SLICE - 1
    turn.restart(10.0)
    assert not turn.is_over(10.0)


class Defective(Diary):
    """A behaviour with a mistake in it."""

    def succeeded(self, message: int, result: object, started: float, ended: float) -> None:
        raise LookupError("a mistake of ours")


@attrs.define(eq=False)
class OneLife(Lives):
    """Instances of nothing, that are told of."""

    grace: float = 1.0
    ends: list[BaseException | None] = attrs.field(factory=list)

    async def may_begin(self) -> None: ...

    async def begin(self, scope: AsyncExitStack) -> None: ...

    def begun(self) -> None: ...

    async def end(self) -> None: ...

    async def over(self) -> None: ...

    def ended(self, error: BaseException | None) -> None:
        self.ends.append(error)

    def interrupted(self, interrupt: BaseException) -> None:
        raise interrupt


async def test_a_mistake_of_our_own_ends_the_kernel_and_is_no_failure_of_an_instance() -> None:
    actor: LivingActor[int] = LivingActor("clerk", Mailbox(Owner(), 100), Defective(handle))
    actor.lives = lives = OneLife()
    with pytest.raises(ExceptionGroup) as caught:
        async with open_kernel() as kernel:
            kernel.start(actor)
            actor.mailbox.offer(0)
            await anyio.sleep(5)
    assert [str(error) for error in caught.value.exceptions] == ["a mistake of ours"]
    assert lives.ends == []


@attrs.define(eq=False)
class Batches:
    """A behaviour of batches that writes them down."""

    lines: list[tuple[str, tuple[int, ...]]] = attrs.field(factory=list)

    async def receive(self, batch: list[int]) -> None:
        await handle(batch[0])

    def succeeded(self, batch: list[int], result: object, started: float, ended: float) -> None:
        self.lines.append(("succeeded", tuple(batch)))

    def failed(self, batch: list[int], error: BaseException, started: float, ended: float) -> None:
        self.lines.append(("failed", tuple(batch)))

    def cancelled(self, batch: list[int], started: float, ended: float) -> None:
        self.lines.append(("cancelled", tuple(batch)))

    def interrupted(self, batch: list[int], interrupt: BaseException) -> None:
        self.lines.append(("interrupted", tuple(batch)))

    def ended(self) -> None:
        raise AssertionError("the behaviour of single messages is told")


@asynccontextmanager
async def batches_at_work(size: int, within: float) -> AsyncIterator[tuple[BatchActor[int], Batches, Diary]]:
    diary, batches = Diary(handle), Batches()
    async with open_kernel() as kernel:
        actor: BatchActor[int] = BatchActor("clerk", Mailbox(Owner(), 100), diary, size=size, within=within)
        actor.batches = batches
        kernel.start(actor)
        yield actor, batches, diary
        kernel.cancel()


async def test_a_batch_is_handed_over_when_it_is_full() -> None:
    async with batches_at_work(2, 60) as (actor, batches, _):
        for number in (0, 1, 2):
            actor.mailbox.offer(number)
        await anyio.sleep(1)
        assert batches.lines == [("succeeded", (0, 1))]
        assert actor.in_hand == [2]


async def test_a_batch_that_does_not_fill_is_handed_over_when_its_time_is_over() -> None:
    async with batches_at_work(5, 2) as (actor, batches, _):
        actor.mailbox.offer(0)
        await anyio.sleep(1.5)
        actor.mailbox.offer(-1)
        assert batches.lines == []
        await anyio.sleep(0.6)
        assert batches.lines == [("succeeded", (0, -1))]


async def test_a_closed_actor_hands_over_its_last_batch_and_ends() -> None:
    async with batches_at_work(5, 60) as (actor, batches, diary):
        actor.mailbox.offer(-1)
        await anyio.sleep(1)
        actor.close()
        await anyio.sleep(1)
        assert batches.lines == [("failed", (-1,))]
        assert diary.lines == [("ended", None)]


async def test_a_batch_that_is_still_being_gathered_is_cancelled_as_a_whole() -> None:
    async with batches_at_work(5, 60) as (actor, batches, diary):
        actor.mailbox.offer(0)
        actor.mailbox.offer(1)
        await anyio.sleep(1)
        actor.interrupt()
        await anyio.sleep(1)
        assert batches.lines == [("cancelled", (0, 1))]
        assert diary.lines == [("ended", None)]

"""Checks of failures: retries, giving up, dead letters, and what can't be read."""

import anyio

from postroom.capabilities import Capability
from postroom.codec import BackoffNotPortable, decode_event
from postroom.context import Context
from postroom.contract import StoredEvent, StoredLetter
from postroom.event import Event
from postroom.nesting import DEEPEST
from postroom.outcomes import Failed, Succeeded
from postroom.portable import LARGEST
from postroom.retry import Retry, constant

from .check import check
from .ledger import Ledger, Then
from .refusals import raises
from .world import World


def fail_until(attempt: int) -> Then:
    """What raises before the attempt of this number."""

    def fail(event: Event, context: Context) -> int:
        if context.attempt < attempt:
            raise ValueError(f"not yet: {event.data}")
        return context.attempt

    return fail


async def letters_of(world: World, subscription: str | None = None) -> list[StoredLetter]:
    """The dead letters in a world's store, seen by a session of its own.

    Cancellation: changes nothing.
    """
    async with world.session() as store:
        return await store.letters(subscription, None, 100)


@check()
async def failed_attempts_are_retried_after_their_backoff(world: World) -> None:
    """As often as the policy says; others are handled meanwhile."""
    ledger = Ledger()
    retry = Retry(attempts=3, backoff=constant(3 * world.moment))

    def fail(event: Event, context: Context) -> None:
        if event.data == "bad" and context.attempt < 3:
            raise ValueError("not yet")

    shop = await world.start(ledger.handler(then=fail, retry=retry))
    bad = await shop.emit("order.placed", "bad")
    await (await shop.emit("order.placed", "good"))
    report = await bad
    assert (report.succeeded, report.outcomes[0].attempts) == (True, 3)
    assert ledger.lines == ["bad", "good", "bad", "bad"]
    assert (ledger.attempts, shop.stats.retried) == ([1, 1, 2, 3], 2)
    pauses = [ledger.at[2] - ledger.at[0], ledger.at[3] - ledger.at[2]]
    assert min(pauses) >= 3 * world.moment
    await shop.idle()
    assert len(ledger.lines) == 4


@check()
async def an_error_whose_text_no_encoding_can_carry_is_a_failure_as_any_other(world: World) -> None:
    """Such as the name of a file that is not UTF-8, of which Python makes lone surrogates."""
    ledger = Ledger()

    def fail(event: Event, context: Context) -> str:
        if event.data == "bad":
            raise ValueError("nothing in \udce9t\udce9.csv")
        return "fine"

    shop = await world.start(ledger.handler(then=fail, retry=Retry(attempts=2, backoff=constant(0))))
    failed = (await (await shop.emit("order.placed", "bad"))).of("ledger")
    assert isinstance(failed, Failed)
    assert failed.attempts == 2
    assert (await (await shop.emit("order.placed", "good"))).succeeded
    (letter,) = await shop.dead_letters.list()
    assert (letter.event.data, letter.attempts) == ("bad", 2)


@check()
async def an_event_says_how_it_is_retried(world: World) -> None:
    """`attempts` and `backoff` of an emit win, wherever the event is handled; a timeout likewise."""
    ledger = Ledger()
    shop = await world.start(ledger.handler(then=fail_until(9)))
    report = await (await shop.emit("order.placed", 1, attempts=4, backoff=constant(world.moment)))
    assert (report.outcomes[0].attempts, ledger.attempts) == (4, [1, 2, 3, 4])
    hang = Ledger()
    await shop.spawn(hang.handler("mail.sent", name="hang", then=lambda event, context: anyio.sleep_forever()))
    outcome = (await (await shop.emit("mail.sent", timeout=world.moment))).of("hang")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, TimeoutError)


@check(has_store=True)
async def a_backoff_that_can_not_be_stored_is_refused(world: World) -> None:
    """A function of the user's own belongs to a subscriber, not to an event."""
    shop = await world.start(Ledger().handler())
    await raises(BackoffNotPortable, lambda: shop.emit("order.placed", backoff=lambda attempt, random: 1.0))


@check()
async def a_failure_is_nobody_elses(world: World) -> None:
    """Other subscriptions of the same event succeed, and so do other events."""
    ledger, healthy = Ledger(), Ledger()
    shop = await world.start(ledger.handler(then=fail_until(9)), healthy.handler(name="healthy", concurrency=2))
    receipts = [await shop.emit("order.placed", n) for n in range(8)]
    for n, receipt in enumerate(receipts):
        report = await receipt
        failed = report.of("ledger")
        assert isinstance(failed, Failed)
        assert (type(failed.exception), str(failed.exception)) == (ValueError, f"not yet: {n}")
        assert (await receipt).of("healthy").attempts == 1
    assert sorted(healthy.lines) == list(range(8))


@check(has_store=True)
async def what_is_given_up_on_is_kept_as_a_dead_letter(world: World) -> None:
    """With the event, the error, its traceback and the number of attempts, after the process has ended, too."""
    shop = await world.start(Ledger().handler(then=fail_until(9), retry=Retry(attempts=2, backoff=constant(0))))
    receipt = await shop.emit("order.placed", {"n": 1})
    await receipt
    await world.stop(shop)
    (letter,) = await letters_of(world)
    assert (letter.subscription, letter.event) == ("ledger", receipt.id)
    why = letter.letter
    assert (why.error, why.message, why.attempts) == ("ValueError", "not yet: {'n': 1}", 2)
    assert "ValueError" in why.traceback
    assert decode_event(letter.body, letter.event, letter.accepted_at).data == {"n": 1}
    assert abs(letter.accepted_at - (receipt.event.accepted_at or 0)) < 0.001


@check()
async def whoever_replays_a_dead_letter_hears_what_becomes_of_it(world: World) -> None:
    """By a receipt of its own, beside that of the first delivery; whether the letter is named or its id is."""
    refusals = 2

    def refuse(event: Event, context: Context) -> str:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise ValueError(f"refused, {refusals} to come")
        return "handled"

    shop = await world.start(Ledger().handler(then=refuse), Ledger().handler(name="other"))
    receipt = await shop.emit("order.placed", 1)
    assert isinstance((await receipt).of("ledger"), Failed)
    (letter,) = await shop.dead_letters.list()
    with anyio.fail_after(world.patience):
        again = await (await shop.dead_letters.replay(letter))
        (letter,) = await shop.dead_letters.list()
        last = await (await shop.dead_letters.replay(letter.id))
    assert again.event.id == last.event.id == receipt.id
    assert [type(each) for each in again.outcomes] == [Failed]
    assert [each.value for each in last.outcomes if isinstance(each, Succeeded)] == ["handled"]
    assert isinstance((await receipt).of("ledger"), Failed)
    assert await shop.dead_letters.list() == ()


@check(has_store=True)
async def a_replayed_dead_letter_is_handled_again(world: World) -> None:
    """By its subscription alone, from the first attempt on; then the letter is gone."""
    ledger, other = Ledger(), Ledger()
    shop = await world.start(ledger.handler(then=fail_until(9)), other.handler(name="other"))
    await (await shop.emit("order.placed", 1))
    await world.stop(shop)
    (letter,) = await letters_of(world)
    async with world.session() as store:
        published = await store.replay(1, letter.id)
        assert published is not None
        assert published.targets == ("ledger",)
    shop = await world.start(ledger.handler(), other.handler(name="other"))
    await shop.idle()
    await world.stop(shop)
    assert (ledger.lines, ledger.attempts, other.lines) == ([1, 1], [1, 1], [1])
    assert await letters_of(world) == []


@check(has_store=True)
async def what_can_not_be_read_becomes_a_dead_letter(world: World) -> None:
    """Its bytes are kept, no handler sees it, and what comes behind it is handled: garbage, another version, and what
    breaks the limits of depth and size, which somebody has written past them."""
    bodies = {
        "garbage": b"\xff\x00 not JSON",
        "version": b'{"v":99,"name":"order.placed","data":1}',
        "deep": b'{"v":1,"name":"order.placed","data":' + b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1) + b"}",
        "large": b'{"v":1,"name":"order.placed","data":"' + b"x" * LARGEST + b'"}',
    }
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    await world.stop(shop)
    async with world.session() as store:
        events = [StoredEvent(f"event-{name}", "order.placed", body) for name, body in bodies.items()]
        await store.publish(1, [events])
    shop = await world.start(ledger.handler())
    assert (await (await shop.emit("order.placed", "good"))).succeeded
    await shop.idle()
    await world.stop(shop)
    assert ledger.lines == ["good"]
    letters = await letters_of(world)
    assert {letter.event.removeprefix("event-"): letter.body for letter in letters} == bodies
    assert all(letter.letter.error == "UnreadableRecord" for letter in letters)


@check(Capability.DURABLE)
async def attempts_are_remembered_when_a_process_ends(world: World) -> None:
    """A retry that is due after the end is made by the next process, when it is due, as the attempt that it is."""
    ledger = Ledger()
    retry = Retry(attempts=3, backoff=constant(8 * world.moment))
    shop = await world.start(ledger.handler(then=fail_until(9), retry=retry), drain_within=world.moment)
    await shop.emit("order.placed", 1)
    await world.until(lambda: shop.stats.retried)
    await world.stop(shop)
    shop = await world.start(ledger.handler(then=fail_until(9), retry=retry))
    await shop.idle()
    assert ledger.attempts == [1, 2, 3]
    assert ledger.at[1] - ledger.at[0] >= 8 * world.moment
    assert (shop.stats.failed, shop.stats.retried) == (1, 1)


@check(Capability.DURABLE, kills=True)
async def attempts_are_remembered_when_a_process_is_killed(world: World) -> None:
    """Between two attempts: the next one is made by another process, and not before its time."""
    ledger = Ledger()
    retry = Retry(attempts=2, backoff=constant(4 * world.moment))
    shop = await world.start(ledger.handler(then=fail_until(9), retry=retry))
    await shop.emit("order.placed", 1)
    await world.until(lambda: shop.stats.retried)
    await world.wait(1)  # its settlement gets into the store
    await world.kill(shop)
    shop = await world.start(ledger.handler(then=fail_until(9), retry=retry))
    await world.until(lambda: shop.stats.failed)
    assert ledger.attempts == [1, 2]
    assert ledger.at[1] - ledger.at[0] >= 4 * world.moment


@check(Capability.DURABLE, kills=True)
async def what_kills_its_process_again_and_again_is_given_up_on(world: World) -> None:
    """After `losses` processes that died with it in hand; it costs no attempt, and what else there is gets handled."""
    ledger = Ledger()

    async def hang(event: Event, context: Context) -> None:
        if event.data == "poison":
            await anyio.sleep_forever()

    for count in range(2):
        shop = await world.start(ledger.handler(then=hang), losses=2)
        if count == 0:
            await shop.emit("order.placed", "poison")
        await world.until(lambda count=count: len(ledger.lines) > count)  # type: ignore[misc]
        await world.kill(shop)
    shop = await world.start(ledger.handler(then=hang), losses=2)
    assert (await (await shop.emit("order.placed", "good"))).succeeded
    await world.until(lambda: shop.stats.failed)
    await world.stop(shop)
    assert (ledger.lines, ledger.attempts) == (["poison", "poison", "good"], [1, 1, 1])
    (letter,) = await letters_of(world)
    assert (letter.letter.error, letter.letter.attempts) == ("LostTooOften", 0)

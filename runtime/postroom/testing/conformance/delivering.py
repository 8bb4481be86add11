"""Checks of what every event module does: events reach whom they should, once, in order, and unchanged."""

from typing import Any

import anyio

from postroom.batch import Batch
from postroom.capabilities import Capability
from postroom.context import Context
from postroom.errors import NoSubscriber, NotPortable
from postroom.event import Event, Priority
from postroom.outcomes import Expired, Succeeded
from postroom.portable import LARGEST
from postroom.subscriber import subscriber

from .check import check
from .ledger import Ledger
from .refusals import raises
from .world import World


@check()
async def each_matching_subscription_gets_each_event_once(world: World) -> None:
    """Conservation: events accepted times subscriptions that match are the deliveries, and each one settles once."""
    exact, star, rest = Ledger(), Ledger(), Ledger()
    shop = await world.start(
        exact.handler("order.placed", name="exact"),
        star.handler("order.*", name="star", concurrency=3),
        rest.handler("**", name="rest", capacity=2),
    )
    receipts = [await shop.emit(("order.placed", "order.paid", "mail")[n % 3], n) for n in range(30)]
    reports = [await receipt for receipt in receipts]
    assert [len(report.outcomes) for report in reports] == [3, 2, 1] * 10
    assert all(report.succeeded for report in reports)
    await shop.idle()
    assert sorted(exact.lines) == list(range(0, 30, 3))
    assert sorted(star.lines) == sorted({*range(0, 30, 3), *range(1, 30, 3)})
    assert sorted(rest.lines) == list(range(30))
    assert (shop.stats.succeeded, shop.stats.pending, shop.stats.accepted) == (60, 0, 30)


@check()
async def an_event_that_nobody_subscribes_to_is_settled_at_once(world: World) -> None:
    """It is accepted, and its report is empty; with `require=True` it is refused."""
    shop = await world.start(Ledger().handler("order.placed"))
    assert (await (await shop.emit("mail.sent"))).outcomes == ()
    await raises(NoSubscriber, lambda: shop.emit("mail.sent", require=True))
    await raises(NoSubscriber, lambda: shop.request("mail.sent"))


@check()
async def events_arrive_as_they_were_emitted(world: World) -> None:
    """Name, data, headers, id, times and attempts are those of the emit; an event of a handler names its cause."""
    ledger, caused = Ledger(), Ledger()

    async def react(event: Event, context: Context) -> None:
        await context.emit("mail.sent", event.data["n"])

    shop = await world.start(ledger.handler("order.placed", then=react), caused.handler("mail.sent", name="mailer"))
    data = {"n": 1, "text": "naïve \u2028 \x00 €", "list": [1, 2.5, None, True, {"deep": []}], "big": 2**63}
    receipt = await shop.emit("order.placed", data, headers={"trace": "a b"})
    await receipt
    await shop.idle()
    (event,) = ledger.events
    assert (event.name, event.data, dict(event.headers)) == ("order.placed", data, {"trace": "a b"})
    assert (event.id, event.accepted_at, event.time) == (receipt.id, receipt.event.accepted_at, receipt.event.time)
    assert ledger.attempts == [1]
    (mail,) = caused.events
    assert (mail.data, mail.cause) == (1, event.id)


@check()
async def handlers_do_not_share_what_they_change(world: World) -> None:
    """Each delivery has data of its own."""
    seen: list[Any] = []

    def change(event: Event, context: Context) -> None:
        seen.append(list(event.data))
        event.data.append("changed")

    shop = await world.start(Ledger().handler(name="one", then=change), Ledger().handler(name="two", then=change))
    await (await shop.emit("order.placed", [1]))
    assert seen == [[1], [1]]


@check()
async def events_of_one_emitter_are_handled_in_order(world: World) -> None:
    """Without keys, by one worker, whether they are emitted one by one or together."""
    ledger = Ledger()
    shop = await world.start(ledger.handler(capacity=3))
    for n in range(20):
        await shop.emit("order.placed", n)
    await shop.emit_many([Event("order.placed", n) for n in range(20, 40)])
    await shop.idle()
    assert ledger.lines == list(range(40))


@check()
async def emit_many_accepts_all_or_none(world: World) -> None:
    """One that is refused refuses them all."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    bad = Event("order.placed", float("nan"))
    await raises(NotPortable, lambda: shop.emit_many([Event("order.placed", 1), bad]))
    receipts = await shop.emit_many([Event("order.placed", n) for n in (2, 3)])
    assert [(await receipt).succeeded for receipt in receipts] == [True, True]
    assert ledger.lines == [2, 3]


@check()
async def receipts_bring_the_handlers_values(world: World) -> None:
    """One outcome for each subscription; `request` returns the first value."""
    shop = await world.start(Ledger().handler(then=lambda event, context: {"total": event.data * 2}))
    report = await (await shop.emit("order.placed", 4))
    outcome = report.of("ledger")
    assert isinstance(outcome, Succeeded)
    assert (outcome.value, outcome.attempts) == ({"total": 8}, 1)
    assert await shop.request("order.placed", 5) == {"total": 10}


@check()
async def what_can_not_be_carried_is_refused(world: World) -> None:
    """Payloads of more than 1 MiB, and those that would not come back as they were; at the limit they do."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    for data in (float("inf"), (1, 2), {1: "one"}, 2**64, "\ud800", object(), "x" * (LARGEST - 1)):
        await raises(NotPortable, lambda data=data: shop.emit("order.placed", data))  # type: ignore[misc]
    assert (await (await shop.emit("order.placed", "x" * (LARGEST - 2)))).succeeded
    assert [len(line) for line in ledger.lines] == [LARGEST - 2]


@check(Capability.PRIORITY)
async def the_more_urgent_goes_first(world: World) -> None:
    """Where several wait; of one priority, in the order of the emits."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate))
    await shop.emit("order.placed", "first")
    await world.until(lambda: ledger.lines)
    priorities: list[Priority] = ["low", "default", "critical", "default", "high"]
    for n, priority in enumerate(priorities):
        await shop.emit("order.placed", n, priority=priority)
    gate.set()
    await shop.idle()
    assert ledger.lines == ["first", 2, 4, 1, 3, 0]


@check(Capability.DELAY)
async def a_delayed_event_comes_when_it_is_due(world: World) -> None:
    """Not before, and in the order of the times at which they are due."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    start = anyio.current_time()
    await shop.emit("order.placed", "later", delay=6 * world.moment)
    await shop.emit("order.placed", "soon", delay=3 * world.moment)
    await shop.emit("order.placed", "now")
    await shop.idle()
    assert ledger.lines == ["now", "soon", "later"]
    assert [at - start >= wait * world.moment for at, wait in zip(ledger.at, (0, 3, 6), strict=True)] == [True] * 3
    assert ledger.at[2] - start < 12 * world.moment


@check()
async def what_is_too_late_expires(world: World) -> None:
    """An event whose turn comes after its time settles as expired, and no handler sees it."""
    ledger, gate = Ledger(), anyio.Event()
    shop = await world.start(ledger.blocked(gate))
    await shop.emit("order.placed", "first")
    await world.until(lambda: ledger.lines)
    late = await shop.emit("order.placed", "late", expires_after=2 * world.moment)
    long = await shop.emit("order.placed", "in time", expires_after=2 * world.patience)
    await world.wait(4)
    gate.set()
    assert isinstance((await late).of("ledger"), Expired)
    assert (await long).succeeded
    assert ledger.lines == ["first", "in time"]


@check()
async def batches_settle_one_by_one(world: World) -> None:
    """A handler of batches gets them in order, and each event has an outcome of its own."""
    batches: list[list[int]] = []

    @subscriber("order.*", name="inserts", batch=Batch(size=4, within=2 * world.moment))
    async def insert(events: list[Event]) -> None:
        batches.append([event.data for event in events])

    shop = await world.start(insert)
    receipts = await shop.emit_many([Event("order.placed", n) for n in range(10)])
    assert all([(await receipt).succeeded for receipt in receipts])
    assert [n for batch in batches for n in batch] == list(range(10))
    assert max(map(len, batches)) <= 4

"""Checks of rates: how many attempts a subscription may begin in a time, over all its processes."""

from postroom.capabilities import Capability
from postroom.contract import Settlement, Step
from postroom.pacing import Rate

from .bare import Bare, ids_of
from .check import check
from .ledger import Ledger
from .world import World

RATES = Capability.RATES


@check(RATES)
async def a_rate_spreads_attempts_over_time(world: World) -> None:
    """One at first, and each of the others its interval later."""
    interval = 2 * world.moment
    ledger = Ledger()
    shop = await world.start(ledger.handler(rate=Rate(1, per=interval)))
    for n in range(4):
        await shop.emit("order.placed", n)
    await world.until(lambda: len(ledger.lines) == 4)
    assert ledger.lines == [0, 1, 2, 3]
    assert ledger.at[-1] - ledger.at[0] > 2 * interval


@check(RATES, Capability.SHARED)
async def a_rate_is_that_of_all_processes(world: World) -> None:
    """Two processes together begin no more attempts than one would."""
    interval = 4 * world.moment
    ledger = Ledger()
    shops = [await world.start(ledger.handler(rate=Rate(1, per=interval), concurrency=4)) for _ in range(2)]
    for n in range(5):
        await shops[0].emit("order.placed", n)
    await world.until(lambda: len(ledger.lines) == 5)
    # Two that each kept to it alone would take two intervals; how soon what is lent begins is a matter of the machine.
    assert max(ledger.at) - min(ledger.at) > 3 * interval


@check(RATES, Capability.SHARED, has_store=True)
async def what_a_rate_does_not_allow_yet_is_not_lent(world: World) -> None:
    """To no session; each is told when to ask again. What was lent and comes back counts once more."""
    interval = 4 * world.moment
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        for each in (one, two):
            await each.bind(interval=interval, burst=2)
        await one.publish("1", "2", "3", "4")
        loans = await one.fetch()
        assert ids_of(loans) == ["1", "2"]
        again = await two.store.fetch({"ledger": 100})
        assert again.loans == []
        assert again.next_due is not None
        assert 0 < again.next_due <= interval
        await one.give_back(loans[0])
        assert await one.fetch() == []
        assert ids_of(await two.fetch_when_due(world)) == ["1"]


@check(RATES, Capability.SHARED, has_store=True)
async def a_rate_counts_attempts_that_are_made_again(world: World) -> None:
    """Each takes the place of one that would have been lent."""
    interval = 4 * world.moment
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind(interval=interval, burst=3)
        await bare.publish("1", "2", "3")
        (loan,) = await bare.fetch(1)
        await store.settle(bare.next(), [Settlement(loan.token, Step.RETRYING, attempts=1, wait=interval)])
        assert len(await bare.fetch()) == 1
        assert await bare.fetch() == []


@check(RATES, Capability.SHARED, has_store=True)
async def a_rate_that_is_taken_back_holds_no_more(world: World) -> None:
    """As patterns, it is that which was registered last."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind(interval=1000 * world.moment)
        await bare.publish("1", "2", "3")
        assert ids_of(await bare.fetch()) == ["1"]
        await bare.bind()
        assert ids_of(await bare.fetch()) == ["2", "3"]

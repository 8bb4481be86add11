"""Checks of the contract itself: what a store lends, and takes back."""

import anyio

from postroom.capabilities import Capability
from postroom.contract import Binding, Settlement, Step

from .bare import Bare, event, ids_of
from .check import check
from .world import World


@check(has_store=True)
async def a_store_lends_what_is_asked_for(world: World) -> None:
    """So many, for these subscriptions, in order, and nothing twice."""
    async with world.session() as store:
        bare = Bare(store)
        await store.bind([Binding("one", ("order.*",)), Binding("two", ("order.*", "mail.**"))], serve=True)
        await bare.publish("a", "b", "c")
        assert ids_of(await bare.fetch(2, "one")) == ["a", "b"]
        fetched = await store.fetch({"one": 5, "two": 1})
        assert [(loan.subscription, loan.id) for loan in fetched.loans] == [("one", "c"), ("two", "a")]
        assert await bare.fetch(5, "one") == []
        loans = fetched.loans + await bare.fetch(5, "two")
        assert len({loan.token for loan in loans}) == 4


@check(has_store=True)
async def a_loan_carries_what_was_published(world: World) -> None:
    """Id, body as it was, the moment of acceptance, and how long ago it was due."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        body = bytes(range(256)) * 4
        (published,) = await bare.publish("a", body=body)
        await world.wait(3)
        (loan,) = await bare.fetch()
        assert (loan.id, loan.body, loan.subscription, loan.attempts, loan.losses) == ("a", body, "ledger", 0, 0)
        assert abs(loan.accepted_at - published.accepted_at) < 0.001
        assert 2.5 * world.moment <= loan.age <= 3 * world.moment + world.lease
        assert published.targets == ("ledger",)


@check(has_store=True)
async def routing_is_by_patterns(world: World) -> None:
    """`*` stands for one token, `**` at the end for one or more; one that matches by several patterns gets it once."""
    patterns = {
        "exact": ("order.placed",),
        "star": ("order.*",),
        "rest": ("order.**",),
        "middle": ("*.placed.*", "order.placed.*"),
        "all": ("**",),
    }
    wanted = {
        "order": {"all"},
        "order.placed": {"exact", "star", "rest", "all"},
        "order.placed.eu": {"rest", "middle", "all"},
        "mail.placed.eu": {"middle", "all"},
        "orders.placed": {"all"},
    }
    async with world.session() as store:
        bare = Bare(store)
        await store.bind([Binding(name, each) for name, each in patterns.items()], serve=False)
        for number, (name, targets) in enumerate(wanted.items()):
            (published,) = await bare.publish(f"event-{number}", name=name)
            assert set(published.targets) == targets, name
            assert len(published.targets) == len(targets)
        await store.bind([Binding("star", ("mail.*",))], serve=True)
        (published,) = await bare.publish("late")
        assert set(published.targets) == {"exact", "rest", "all"}
        assert ids_of(await bare.fetch(name="star")) == ["event-1"]


@check(has_store=True)
async def a_loan_is_settled_once(world: World) -> None:
    """Afterwards its token is worth nothing, nor is one that never was, and the delivery is not lent again."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a", "b")
        one, two = await bare.fetch()
        unknown = Settlement(max(one.token, two.token) + 1000, Step.SETTLED, b"{}")
        steps = [Settlement(one.token, Step.SETTLED, b"{}"), unknown]
        assert await bare.note(*steps) == [True, False]
        assert not await bare.settle(one)
        assert not await bare.give_back(one)
        assert await bare.give_back(two)
        assert not await bare.settle(two)
        (again,) = await bare.fetch()
        assert (again.id, again.losses) == ("b", 0)
        assert again.token != two.token


@check(has_store=True)
async def what_is_returned_is_available_in_its_old_place(world: World) -> None:
    """With its attempts; after its wait, of which the fetch tells."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a", "b", "c")
        a, b = await bare.fetch(2)
        await bare.give_back(b)
        await bare.give_back(a, attempts=2, wait=4 * world.moment)
        fetched = await store.fetch({"ledger": 5})
        assert ids_of(fetched.loans) == ["b", "c"]
        assert fetched.next_due is not None
        assert 0 < fetched.next_due <= 4 * world.moment
        await world.wait(3)
        assert await bare.fetch() == []
        (again,) = await bare.fetch_when_due(world)
        assert (again.id, again.attempts, again.losses) == ("a", 2, 0)


@check(Capability.DELAY, has_store=True)
async def what_is_delayed_is_not_lent_before_it_is_due(world: World) -> None:
    """The fetch says when that is."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a", delay=4 * world.moment)
        await bare.publish("b", delay=1000 * world.patience)
        fetched = await store.fetch({"ledger": 5})
        assert fetched.loans == []
        assert fetched.next_due is not None
        assert 0 < fetched.next_due <= 4 * world.moment
        await world.wait(2)
        assert await bare.fetch() == []
        (loan,) = await bare.fetch_when_due(world)
        assert loan.id == "a"
        assert -0.001 <= loan.age <= 2 * world.moment + world.lease


@check(Capability.DELAY, has_store=True)
async def the_age_of_a_loan_counts_from_when_it_was_due_first(world: World) -> None:
    """Not from its acceptance, nor anew where it was returned."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        start = anyio.current_time()
        await bare.publish("a", delay=4 * world.moment)
        (loan,) = await bare.fetch_when_due(world)
        assert -0.001 <= loan.age <= anyio.current_time() - start - 3 * world.moment
        await bare.give_back(loan, wait=2 * world.moment)
        (again,) = await bare.fetch_when_due(world)
        assert again.age >= loan.age + 2 * world.moment - 0.001


@check(has_store=True)
async def a_retry_stays_with_its_session(world: World) -> None:
    """It is lent to nobody meanwhile; where the session ends, its attempts and its time are kept."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a")
        (loan,) = await bare.fetch()
        step = Settlement(loan.token, Step.RETRYING, attempts=1, wait=5 * world.moment)
        assert await bare.note(step) == [True]
        assert await bare.fetch() == []
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        assert await bare.fetch() == []
        (again,) = await bare.fetch_when_due(world)
        assert (again.attempts, again.losses) == (1, 0)


@check(has_store=True)
async def the_end_of_a_session_returns_what_it_was_lent(world: World) -> None:
    """At once, and without a loss."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a", "b")
        tokens = {loan.token for loan in await bare.fetch()}
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        loans = await bare.fetch()
        assert [(loan.id, loan.losses, loan.attempts) for loan in loans] == [("a", 0, 0), ("b", 0, 0)]
        assert not tokens & {loan.token for loan in loans}


@check(has_store=True)
async def a_session_reclaims_what_it_does_not_know_of(world: World) -> None:
    """What it says that it holds stays with it; the rest is available again, without a loss."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a", "b", "c")
        held, lost = await bare.fetch(2)
        await store.reclaim([held.token])
        assert not await bare.settle(lost)
        again = await bare.fetch()
        assert [(loan.id, loan.losses) for loan in again] == [("b", 0), ("c", 0)]
        assert await bare.settle(held)
        await store.reclaim([])
        assert ids_of(await bare.fetch()) == ["b", "c"]


@check(Capability.PRIORITY, has_store=True)
async def a_head_start_decides_who_goes_first(world: World) -> None:
    """The earliest of the moments of acceptance plus head start."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        lowest = event("lowest", head_start=300.0)
        urgent = [event("low", head_start=30.0), event("critical", head_start=0.0), event("default")]
        await store.publish(bare.next(), [[lowest], urgent])
        assert ids_of(await bare.fetch()) == ["critical", "default", "low", "lowest"]


@check(Capability.KEYS, Capability.SHARED, has_store=True)
async def a_key_is_with_one_session_at_a_time(world: World) -> None:
    """In order; another session gets its next delivery once nothing of the key is lent or waits for a retry."""
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        await one.bind()
        await two.bind()
        await one.publish("a1", "a2", key="a")
        await one.publish("b1", key="b")
        (a1,) = await one.fetch(1)
        assert a1.id == "a1"
        assert ids_of(await two.fetch()) == ["b1"]
        await one.note(Settlement(a1.token, Step.RETRYING, attempts=1, wait=world.moment))
        assert await two.fetch() == []
        await one.give_back(a1, attempts=1, wait=2 * world.moment)
        assert await two.fetch() == []
        again = await two.fetch_when_due(world)
        assert again[0].id == "a1"
        assert await one.fetch() == []
        for loan in again:
            await two.settle(loan)
        assert ids_of([*again, *await one.fetch()]) == ["a1", "a2"]


@check(Capability.KEYS, Capability.SHARED, has_store=True)
async def a_key_is_with_the_session_that_has_a_later_one_of_it(world: World) -> None:
    """Also where an earlier delivery of the key was returned: another session would handle two of one key at a time."""
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        await one.bind()
        await two.bind()
        await one.publish("a1", "a2", "a3", key="a")
        a1, a2 = await one.fetch(2)
        await one.give_back(a1)
        assert await two.fetch() == []
        assert await one.settle(a2)
        assert ids_of(await two.fetch()) == ["a1", "a3"]


@check(Capability.KEYS, has_store=True)
async def a_key_waits_for_what_is_lent_again_later(world: World) -> None:
    """Behind one that was returned for a while, and in the next session behind one that is to be tried again."""
    wait = 8 * world.moment
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a1", "a2", key="a")
        await bare.publish("b1", key="b")
        (a1,) = await bare.fetch(1)
        assert await bare.give_back(a1, attempts=1, wait=wait)
        (b1,) = await bare.fetch()
        assert b1.id == "b1"
        assert await bare.settle(b1)
        a1, a2 = await bare.fetch_when_due(world)
        assert [a1.id, a2.id] == ["a1", "a2"]
        assert await bare.note(Settlement(a1.token, Step.RETRYING, attempts=2, wait=wait)) == [True]
        assert await bare.give_back(a2)
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        assert await bare.fetch() == []
        a1, a2 = await bare.fetch_when_due(world)
        assert [(a1.id, a1.attempts), (a2.id, a2.attempts)] == [("a1", 2), ("a2", 0)]


@check(Capability.SHARED, has_store=True)
async def a_token_is_worth_nothing_in_another_session(world: World) -> None:
    """Nobody settles, returns or reclaims what another session has."""
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        await one.bind()
        await two.bind()
        await one.publish("a")
        (loan,) = await one.fetch()
        assert not await two.settle(loan)
        assert not await two.give_back(loan)
        await second.reclaim([])
        assert await two.fetch() == []
        assert await one.settle(loan)

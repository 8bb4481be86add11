"""Checks of the contract itself: what a store tells its sessions."""

import anyio

from postroom.capabilities import Capability
from postroom.contract import EXPIRED, News

from .bare import Bare, event
from .check import check
from .world import World


async def hear_until(world: World, bare: Bare, wanted: str) -> News:
    """The first news of a kind."""
    seen = 0
    with anyio.fail_after(world.patience):
        while True:
            news = await bare.store.news(seen)
            seen = news.number
            if getattr(news, wanted):
                return news


@check(Capability.SHARED, has_store=True)
async def notices_come_until_they_are_acknowledged(world: World) -> None:
    """Of outcomes elsewhere, to who has published the event; again and again until their number is told."""
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        await two.bind()
        await one.publish("a", "b")
        a, b = await two.fetch()
        await two.settle(a, b"one")
        notices, news = await one.hear(world)
        assert [(notice.event, notice.subscription, notice.outcome) for notice in notices] == [("a", "ledger", b"one")]
        again, _ = await one.hear(world)
        assert again == notices
        await two.settle(b, b"two")
        both, _ = await one.hear(world, count=2)
        assert [notice.event for notice in both] == ["a", "b"]
        rest, _ = await one.hear(world, seen=news.number)
        assert [notice.event for notice in rest] == ["b"]


@check(Capability.SHARED, has_store=True)
async def a_cancelled_wait_for_news_forgets_nothing(world: World) -> None:
    """What it would have told is told to the next."""
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        await two.bind()
        await one.publish("a")
        with anyio.move_on_after(0.3 * world.moment):
            while True:
                await first.news(0)
        (loan,) = await two.fetch()
        await two.settle(loan, b"one")
        with anyio.move_on_after(0):
            await first.news(0)
        notices, _ = await one.hear(world)
        assert [notice.outcome for notice in notices] == [b"one"]


@check(has_store=True)
async def who_settles_is_not_told_of_it(world: World) -> None:
    """It knows; only what other sessions settle is news."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a")
        (loan,) = await bare.fetch()
        await bare.settle(loan)
        seen = 0
        with anyio.move_on_after(2 * world.moment):
            while True:
                news = await store.news(seen)
                seen = news.number
                assert not news.notices


@check(Capability.SHARED, has_store=True)
async def who_serves_hears_of_mail(world: World) -> None:
    """What another session publishes, returns or leaves at its end, and what a resumed subscription has."""
    async with world.session() as second:
        two = Bare(second)
        await two.bind()
        async with world.session() as first:
            one = Bare(first)
            await one.bind()
            await one.publish("a")
            await hear_until(world, two, "mail")
            (loan,) = await one.fetch()
            await one.give_back(loan)
            await hear_until(world, two, "mail")
            assert len(await one.fetch()) == 1
        await hear_until(world, two, "mail")
        assert len(await two.fetch()) == 1


@check(Capability.SHARED, has_store=True)
async def all_hear_of_routes(world: World) -> None:
    """Of subscriptions that come, and of who serves them."""
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        await one.bind()
        await hear_until(world, two, "routes")
        (listed,) = await second.subscriptions()
        assert len(listed.served_by) == 1
        await first.leave(["ledger"])
        await hear_until(world, two, "routes")
        (listed,) = await second.subscriptions()
        assert listed.served_by == ()


@check(Capability.BACKLOG, Capability.SHARED, has_store=True)
async def who_was_refused_hears_of_room(world: World) -> None:
    """Once another session has taken something, or settled it."""
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        await two.bind(backlog=1)
        await one.publish("a")
        (answer,) = await first.publish(one.next(), [[event("b")]])
        assert not isinstance(answer, list)
        (loan,) = await two.fetch()
        await two.settle(loan)
        await hear_until(world, one, "room")
        await one.publish("b")


@check(Capability.GROUPS, Capability.SHARED, has_store=True)
async def who_staged_hears_of_the_release(world: World) -> None:
    """By whichever session, its own included: the reply to that may get lost. And of events that were cleared, or not
    released in time."""
    async with world.session() as first, world.session() as second:
        one, two = Bare(first), Bare(second)
        await two.bind()
        await first.stage("g", [event("a"), event("b", name="order.paid")], None)
        assert await second.clear("g", ["order.paid"], "no need") == 1
        ids, answer = await second.release(two.next(), "g")
        assert ids == ["a"]
        assert isinstance(answer, list)
        notices, news = await one.hear(world, count=2)
        cleared, released = sorted(notices, key=lambda notice: notice.published is not None)
        assert (cleared.event, cleared.cleared) == ("b", "no need")
        assert released.published is not None
        assert (released.event, released.published.targets) == ("a", ("ledger",))
        await first.stage("h", [event("c")], world.moment)
        (expired,), news = await one.hear(world, seen=news.number)
        assert (expired.event, expired.cleared) == ("c", EXPIRED)
        await first.stage("i", [event("d")], None)
        await first.release(one.next(), "i")
        (own,), _ = await one.hear(world, seen=news.number)
        assert own.event == "d"
        assert own.published is not None

"""What sessions are told, and how often."""

from functools import partial
from typing import Any

import anyio
import pytest

from postroom.contract import Binding, News, Settlement, Step, Store
from postroom.store_errors import BacklogFull
from tests.servers.redis import RedisServer

from .making import NUMBERS, PREFIX, bind, event, fetch, hear, module, publish, settle

pytestmark = pytest.mark.slow


async def news_within(store: Store, seconds: float) -> list[News]:
    """All news that come within a time."""
    found: list[News] = []
    with anyio.move_on_after(seconds):
        seen = 0
        while True:
            news = await store.news(seen)
            seen = news.number
            found.append(news)
    return found


async def quiet(*stores: Store) -> None:
    """Let sessions hear all that there is."""
    for store in stores:
        await news_within(store, 0.15)


async def test_who_publishes_is_not_told_of_mail_and_all_others_who_serve_are(server: RedisServer) -> None:
    async with module(server.url).open("one") as one, module(server.url).open("two") as two:
        await bind(one)
        await bind(two)
        await quiet(one, two)
        await publish(one, 1, "a")
        assert any(news.mail for news in await news_within(two, 0.3))
        assert not any(news.mail for news in await news_within(one, 0.3))


async def test_a_hundred_emits_are_one_entry_until_it_is_read(server: RedisServer) -> None:
    async with module(server.url).open("one") as one, module(server.url).open("two") as two:
        await bind(two)
        await quiet(two)
        before = server.ask("XLEN", PREFIX + "s:two")
        for number in range(100):
            await publish(one, number + 1, f"e{number}")
        assert server.ask("XLEN", PREFIX + "s:two") == before + 1
        assert (await hear(two, lambda news: news.mail)).mail
        await publish(one, 101, "more")
        assert (await hear(two, lambda news: news.mail)).mail


async def give_back(store: Store, loan: Any) -> None:
    await store.settle(next(NUMBERS), [Settlement(loan.token, Step.RETURNED)])


@pytest.mark.parametrize("make_room", ["fetch", "drop by a larger backlog", "remove"])
async def test_who_was_refused_hears_of_room(server: RedisServer, make_room: str) -> None:
    async with module(server.url).open("one") as one, module(server.url).open("two") as two:
        await bind(two, backlog=1)
        await publish(one, 1, "a")
        (answer,) = await one.publish(2, [[event("b")]])
        assert isinstance(answer, BacklogFull)
        await quiet(one)
        if make_room == "fetch":
            await fetch(two)
        elif make_room == "remove":
            await two.leave(["ledger"])
            assert await two.remove("ledger") == 1
        else:
            await bind(two, backlog=2)
        await hear(one, lambda news: news.room)
        (answer,) = await one.publish(3, [[event("b")]])
        assert isinstance(answer, list)


async def test_what_may_be_lent_again_is_told(server: RedisServer) -> None:
    """What was returned or reclaimed, a key that is free, what was paused, released or replayed."""
    async with module(server.url).open("one") as one, module(server.url).open("two") as two:
        await bind(one)
        await bind(two)

        async def tells(call: Any) -> None:
            await quiet(two)
            await call()
            assert any(news.mail for news in await news_within(two, 0.5))

        await publish(one, 1, "a", "b", key="k")
        (a,) = await fetch(one, 1)
        await tells(partial(settle, one, a))
        (b,) = await fetch(one, 1)
        await tells(partial(give_back, one, b))
        (b,) = await fetch(one, 1)
        await tells(partial(one.reclaim, []))
        await one.pause("ledger", True)
        assert await fetch(one) == []
        await tells(partial(one.pause, "ledger", False))
        await one.stage("g", [event("c")], 9.0)
        await tells(partial(one.release, 2, "g"))


async def test_all_hear_of_routes(server: RedisServer) -> None:
    async with module(server.url).open("one") as one, module(server.url).open("two") as two:
        for call in (
            partial(bind, one),
            partial(one.pause, "ledger", True),
            partial(one.leave, ["ledger"]),
            partial(one.remove, "ledger"),
        ):
            await quiet(two)
            await call()
            await hear(two, lambda news: news.routes)


async def test_routes_that_changed_elsewhere_decide_at_once(server: RedisServer) -> None:
    """An emitter whose table is old is sent to read it anew."""
    async with module(server.url).open("one") as one, module(server.url).open("two") as two:
        (published,) = await publish(one, 1, "a")
        assert published.targets == ()
        await two.bind([Binding("ledger", ("order.*",))], serve=True)
        (published,) = await publish(one, 2, "b")
        assert published.targets == ("ledger",)
        await two.bind([Binding("ledger", ("stock.*",)), Binding("mail", ("**",))], serve=True)
        (published,) = await publish(one, 3, "c")
        assert published.targets == ("mail",)
        await one.stage("g", [event("d")], None)
        await two.bind([Binding("mail", ("stock.*",)), Binding("shelf", ("order.**",))], serve=True)
        _, answer = await one.release(4, "g")
        assert isinstance(answer, list)
        assert answer[0].targets == ("shelf",)

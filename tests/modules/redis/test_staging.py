"""Groups and keys where several sessions use them."""

from postroom.contract import Settlement, Step
from tests.servers.redis import RedisServer

from .making import NUMBERS, bind, event, fetch, module, publish, settle


async def test_a_repeated_stage_of_what_was_released_meanwhile_stages_nothing(server: RedisServer) -> None:
    async with module(server.url).open("one") as one, module(server.url).open("two") as two:
        await bind(two)
        assert await one.stage("g", [event("a")], None) == [None]
        ids, _ = await two.release(1, "g")
        assert ids == ["a"]
        for loan in await fetch(two):
            await settle(two, loan)
        assert await one.stage("g", [event("a")], None) == [None]
        assert await two.release(2, "g") == ([], [])


async def test_a_key_is_with_one_session_until_nothing_of_it_is_lent(server: RedisServer) -> None:
    async with module(server.url).open("one") as one, module(server.url).open("two") as two:
        await bind(one)
        await bind(two)
        await publish(one, 1, "a1", "a2", "a3", key="a")
        await publish(one, 2, "b1", key="b")
        a1, a2 = await fetch(one, 2)
        assert [a1.id, a2.id] == ["a1", "a2"]
        (b1,) = await fetch(two)
        assert b1.id == "b1"
        await settle(one, a1)
        assert await fetch(two) == []
        await one.settle(next(NUMBERS), [Settlement(a2.token, Step.RETURNED)])
        again = await fetch(two)
        assert [loan.id for loan in again] == ["a2", "a3"]
        assert await fetch(one) == []


async def test_within_a_key_order_beats_priority(server: RedisServer) -> None:
    async with module(server.url).open("one") as one:
        await bind(one)
        await publish(one, 1, "slow", key="k", head_start=300.0)
        await publish(one, 2, "urgent", key="k", head_start=0.0)
        await publish(one, 3, "other", head_start=5.0)
        assert [loan.id for loan in await fetch(one, 2)] == ["other", "slow"]
        assert [loan.id for loan in await fetch(one)] == ["urgent"]

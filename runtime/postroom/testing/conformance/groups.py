"""Checks of groups: what is staged goes out together, or not at all."""

import anyio

from postroom.capabilities import Capability
from postroom.errors import ConflictingEvent, NoSubscriber
from postroom.event import Event
from postroom.outcomes import Succeeded
from postroom.staged import GroupCleared
from postroom.staging import GroupClosed

from .bare import Bare, event, ids_of
from .check import check
from .ledger import Ledger
from .refusals import raises
from .world import World


@check(Capability.GROUPS)
async def what_is_staged_goes_out_with_its_block(world: World) -> None:
    """In order, to those who subscribe then, and nothing of it before."""
    ledger, late = Ledger(), Ledger()
    shop = await world.start(ledger.handler())
    async with shop.group() as group:
        receipts = [await group.emit("order.placed", n) for n in range(5)]
        await world.wait(2)
        assert ledger.lines == []
        assert all(receipt.staged for receipt in receipts)
        await shop.spawn(late.handler(name="late"))
    reports = [await receipt for receipt in receipts]
    assert [len(report.outcomes) for report in reports] == [2] * 5
    assert ledger.lines == late.lines == [0, 1, 2, 3, 4]
    assert [event.id for event in ledger.events] == [receipt.id for receipt in receipts]


@check(Capability.GROUPS)
async def what_is_staged_is_dropped_with_its_block(world: World) -> None:
    """Where the block raises or is cancelled nobody gets anything, and the receipts say so."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())

    async def fail() -> None:
        async with shop.group() as group:
            receipts.append(await group.emit("order.placed", 1))
            raise ValueError("no")

    receipts = []
    await raises(ValueError, fail)
    with anyio.CancelScope() as scope:
        async with shop.group() as group:
            receipts.append(await group.emit("order.placed", 2))
            scope.cancel()
            await anyio.sleep_forever()
    for receipt in receipts:
        await raises(GroupCleared, receipt.wait)
    await shop.idle()
    assert ledger.lines == []


@check(Capability.GROUPS)
async def a_group_is_released_and_cleared_by_its_id(world: World) -> None:
    """All of it, or the events of some names; where nothing is staged nothing happens."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    for n, name in enumerate(("order.placed", "order.paid", "order.placed", "order.sent")):
        await shop.emit(name, n, group="g")
    assert await shop.clear_group("g", ["order.placed"]) == 2
    released = await shop.release_group("g")
    assert [(await receipt).event.data for receipt in released] == [1, 3]
    assert await shop.release_group("g") == []
    staged = await shop.emit("order.placed", 9, group="g")
    assert await shop.clear_group("g") == 1
    await raises(GroupCleared, staged.wait)
    assert await shop.clear_group("g") == 0
    await shop.idle()
    assert ledger.lines == [1, 3]


@check(Capability.GROUPS)
async def a_group_goes_out_as_a_whole_or_not_at_all(world: World) -> None:
    """Where one of its events is refused at the release, none is accepted."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    await shop.emit("order.placed", 1, group="g")
    await shop.emit("nobody.cares", 2, group="g", require=True)
    await raises(NoSubscriber, lambda: shop.release_group("g"))
    await shop.idle()
    assert ledger.lines == []
    await shop.spawn(ledger.handler("nobody.*", name="somebody"))
    assert len(await shop.release_group("g")) == 2
    await shop.idle()
    assert sorted(ledger.lines) == [1, 2]


@check(Capability.GROUPS)
async def what_is_staged_for_too_long_is_dropped(world: World) -> None:
    """Its receipt says so, and so does the block."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    receipts = []

    async def dawdle() -> None:
        async with shop.group(ttl=2 * world.moment) as group:
            receipts.append(await group.emit("order.placed", 1))
            await world.until(lambda: not receipts[0].staged)
            await raises(GroupCleared, receipts[0].wait)

    await raises(GroupClosed, dawdle)
    await shop.idle()
    assert ledger.lines == []


@check(Capability.GROUPS, Capability.DEDUPLICATION)
async def an_id_is_staged_once(world: World) -> None:
    """Staged twice in a group it goes out once; with other contents it is refused; what was accepted is not staged."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    one = await shop.emit("order.placed", 1, id="order-1", group="g")
    two = await shop.emit("order.placed", 1, id="order-1", group="g")
    await raises(ConflictingEvent, lambda: shop.emit("order.placed", 2, id="order-1", group="g"))
    assert len(await shop.release_group("g")) == 1
    assert [(await receipt).succeeded for receipt in (one, two)] == [True, True]
    late = await shop.emit("order.placed", 1, id="order-1", group="g")
    assert (await late).succeeded
    assert await shop.release_group("g") == []
    assert ledger.lines == [1]


@check(Capability.GROUPS)
async def groups_are_listed_as_they_stand(world: World) -> None:
    """Those first that expire first, those last that never do; gone once released, cleared or expired."""
    shop = await world.start()
    short, long = 20 * world.moment, 60 * world.patience
    async with shop.group("for ever", ttl=None) as for_ever, shop.group("long", ttl=long) as a_while:
        assert await shop.staged_groups() == ()
        await for_ever.emit("order.placed", 1)
        await a_while.emit_many([Event("order.placed", 2), Event("order.paid", 3)])
        async with shop.group("short", ttl=short) as soon_over:
            await soon_over.emit("order.placed", 4)
            listed = await shop.staged_groups()
            assert [(each.id, each.events) for each in listed] == [("short", 1), ("long", 2), ("for ever", 1)]
            assert [each.expires_in is None for each in listed] == [False, False, True]
            assert 0 < (listed[0].expires_in or 0.0) <= short < (listed[1].expires_in or 0.0) <= long
            assert [each.id for each in await shop.staged_groups(limit=1)] == ["short"]
        assert await a_while.clear(["order.paid"]) == 1
        assert [(each.id, each.events) for each in await shop.staged_groups()] == [("long", 1), ("for ever", 1)]
        assert await for_ever.clear() == 1
        assert [each.id for each in await shop.staged_groups()] == ["long"]
    assert await shop.staged_groups() == ()
    await shop.emit("order.placed", 5, group="left over")
    assert [each.events for each in await shop.staged_groups()] == [1]
    assert await shop.clear_group("left over") == 1
    assert await shop.staged_groups() == ()


@check(Capability.GROUPS, Capability.SHARED)
async def a_group_is_released_by_another_process(world: World) -> None:
    """Its receipts settle where it was staged, and where it was released."""
    ledger = Ledger()
    one = await world.start()
    two = await world.start(ledger.handler(then=lambda event, context: event.data))
    staged = [await one.emit("order.placed", n, group="g") for n in range(3)]
    await two.emit("order.placed", 3, group="g")
    assert [(each.id, each.events) for each in await two.staged_groups()] == [("g", 4)]
    released = await two.release_group("g")
    assert [receipt.id for receipt in released[:3]] == [receipt.id for receipt in staged]
    for receipts in (staged, released):
        outcomes = [(await receipt).of("ledger") for receipt in receipts]
        values = [outcome.value for outcome in outcomes if isinstance(outcome, Succeeded)]
        assert values == [0, 1, 2, 3][: len(receipts)]
    assert ledger.lines == [0, 1, 2, 3]


@check(Capability.GROUPS, Capability.SHARED)
async def a_group_is_cleared_by_another_process(world: World) -> None:
    """The receipts of what was staged elsewhere say so."""
    ledger = Ledger()
    one, two = await world.start(), await world.start(ledger.handler())
    staged = await one.emit("order.placed", 1, group="g")
    kept = await one.emit("order.paid", 2, group="g")
    assert await two.clear_group("g", ["order.placed"]) == 1
    await raises(GroupCleared, staged.wait)
    await two.release_group("g")
    assert (await kept).succeeded
    assert ledger.lines == [2]


@check(Capability.GROUPS, Capability.DURABLE, kills=True)
async def what_is_staged_outlives_its_process(world: World) -> None:
    """Outside of a block, whoever comes next may release it."""
    ledger = Ledger()
    shop = await world.start(ledger.handler())
    await shop.emit("order.placed", 1, group="g")
    await world.kill(shop)
    shop = await world.start(ledger.handler())
    assert len(await shop.release_group("g")) == 1
    await shop.idle()
    assert ledger.lines == [1]


@check(Capability.GROUPS, Capability.DURABLE, has_store=True)
async def what_is_staged_outlives_its_session(world: World) -> None:
    """Where that has ended well, too: whoever comes next lists it, and may release it."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        assert await store.stage("g", [event("a"), event("b")], 60 * world.patience) == [None, None]
        assert await bare.fetch() == []
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        assert [(each.id, each.events) for each in await store.groups(10)] == [("g", 2)]
        ids, answer = await store.release(bare.next(), "g")
        assert isinstance(answer, list)
        assert (ids, [published.targets for published in answer]) == (["a", "b"], [("ledger",)] * 2)
        assert ids_of(await bare.fetch()) == ["a", "b"]


@check(Capability.GROUPS, Capability.DEDUPLICATION)
async def all_who_have_staged_an_id_hear_that_it_was_dropped(world: World) -> None:
    """Each receipt says so, not only the first one of its id."""
    shop = await world.start()
    receipts = [await shop.emit("order.placed", 1, id="order-1", group="g") for _ in range(3)]
    assert await shop.clear_group("g") == 1
    with anyio.fail_after(world.patience):
        for receipt in receipts:
            await raises(GroupCleared, receipt.wait)

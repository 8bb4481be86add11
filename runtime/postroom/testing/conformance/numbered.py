"""Checks of the contract itself: calls that are made again because their reply was lost."""

from postroom.capabilities import Capability
from postroom.contract import Letter, Settlement, Step
from postroom.errors import ConflictingEvent, NoSubscriber

from .bare import Bare, event, ids_of
from .check import check
from .world import World


@check(has_store=True)
async def a_publish_with_the_same_number_is_the_same_call(world: World) -> None:
    """It has the same answer, and nothing is accepted twice; also where the first time was handled already."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        number = bare.next()
        emits = [[event("a"), event("b")], [event("c", name="nobody.cares", require=True)], [event("d")]]
        first = await store.publish(number, emits)
        second = await store.publish(number, emits)
        for answers in (first, second):
            assert isinstance(answers[1], NoSubscriber)
            accepted = [published for answer in answers if isinstance(answer, list) for published in answer]
            assert [published.targets for published in accepted] == [("ledger",)] * 3
            assert accepted == [published for answer in first if isinstance(answer, list) for published in answer]
        loans = await bare.fetch()
        assert ids_of(loans) == ["a", "b", "d"]
        for loan in loans:
            await bare.settle(loan)
        await store.publish(number, emits)
        assert await bare.fetch() == []


@check(has_store=True, stalls=True)
async def a_publish_with_the_same_number_is_the_same_call_after_a_lost_lease(world: World) -> None:
    """Also where what it accepted was handled by others meanwhile."""
    async with world.mortal() as (store, module), world.session() as other:
        bare, elsewhere = Bare(store), Bare(other)
        await bare.bind()
        await elsewhere.bind()
        number = bare.next()
        (first,) = await store.publish(number, [[event("a")]])
        world.stall_session(module)
        (loan,) = await elsewhere.fetch()
        await elsewhere.settle(loan)
        (second,) = await store.publish(number, [[event("a")]])
        assert first == second
        assert await elsewhere.fetch() == []


@check(has_store=True)
async def each_emit_of_a_publish_is_accepted_as_a_whole(world: World) -> None:
    """One of its events that is refused refuses those beside it, and no other emit."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        refused = [event("a"), event("b", name="nobody.cares", require=True), event("c")]
        answers = await store.publish(bare.next(), [[event("x")], refused, [event("y")]])
        assert isinstance(answers[1], NoSubscriber)
        assert ids_of(await bare.fetch()) == ["x", "y"]


@check(Capability.DEDUPLICATION, has_store=True)
async def an_id_with_the_same_digest_was_accepted_before(world: World) -> None:
    """The answer says what was accepted then, and what has become of it; another digest is a conflict."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        (first,) = await bare.publish("a", digest=b"1", body=b"first")
        (second,) = await bare.publish("a", digest=b"1", body=b"second")
        assert (second.body, second.targets) == (b"first", first.targets)
        assert abs(second.accepted_at - first.accepted_at) < 0.001
        (loan,) = await bare.fetch()
        assert loan.body == b"first"
        await bare.settle(loan, b"outcome")
        (third,) = await bare.publish("a", digest=b"1")
        assert dict(third.outcomes) == {"ledger": b"outcome"}
        answers = await store.publish(bare.next(), [[event("b"), event("a", digest=b"2")]])
        assert isinstance(answers[0], ConflictingEvent)
        assert await bare.fetch() == []


@check(Capability.GROUPS, has_store=True)
async def a_release_with_the_same_number_is_the_same_call(world: World) -> None:
    """It has the same answer; with the next number the group is empty."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        staged = await store.stage("g", [event("a", digest=b"1"), event("b")], 60.0)
        assert staged == [None, None]
        number = bare.next()
        ids, answer = await store.release(number, "g")
        again, second = await store.release(number, "g")
        assert ids == again == ["a", "b"]
        for each in (answer, second):
            assert isinstance(each, list)
            assert [published.body for published in each] == [b"body", b"body"]
        assert await store.release(bare.next(), "g") == ([], [])
        assert ids_of(await bare.fetch()) == ["a", "b"]


@check(Capability.GROUPS, has_store=True)
async def staging_again_stages_nothing(world: World) -> None:
    """The same events in the same group, as after a reply that was lost."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        events = [event("a"), event("b")]
        assert await store.stage("g", events, None) == [None, None]
        assert await store.stage("g", events, None) == [None, None]
        assert await store.clear("g", ["order.placed"], "no") == 2
        assert await store.clear("g", None, "no") == 0
        assert await store.release(bare.next(), "g") == ([], [])


@check(has_store=True)
async def a_replay_with_the_same_number_is_the_same_call(world: World) -> None:
    """A letter is replayed once; one that is gone can't be."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a")
        (loan,) = await bare.fetch()
        letter = Letter("gave up", "ValueError", "no", "Traceback", 3)
        await bare.note(Settlement(loan.token, Step.SETTLED, b"{}", letter, 3))
        (stored,) = await store.letters(None, None, 10)
        number = bare.next()
        first, second = await store.replay(number, stored.id), await store.replay(number, stored.id)
        assert first is not None
        assert second is not None
        assert first.targets == second.targets == ("ledger",)
        assert await store.replay(bare.next(), stored.id) is None
        (again,) = await bare.fetch()
        assert (again.id, again.attempts, again.losses, again.body) == ("a", 0, 0, b"body")
        assert await store.letters(None, None, 10) == []


@check(has_store=True)
async def a_settle_with_the_same_number_is_the_same_call(world: World) -> None:
    """It has the same answer, for each step that of the first time, and nothing is done twice: whatever else the
    session has asked for meanwhile, and also where what it returned was lent anew, and where a letter was kept."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a", "b", "c", "d")
        a, b, c, d = await bare.fetch()
        letter = Letter("gave up", "ValueError", "no", "Traceback", 3)
        steps = [
            Settlement(a.token, Step.SETTLED, b"{}"),
            Settlement(max(each.token for each in (a, b, c, d)) + 1000, Step.SETTLED, b"{}"),
            Settlement(b.token, Step.SETTLED, b"{}", letter, 3),
            Settlement(c.token, Step.RETURNED),
            Settlement(d.token, Step.RETRYING, attempts=1, wait=world.moment),
        ]
        number = bare.next_settle()
        answers = [True, False, True, True, True]
        assert list(await store.settle(number, steps)) == answers
        (again,) = await bare.fetch()
        await bare.publish("e")
        assert list(await store.settle(number, steps)) == answers
        (e,) = await bare.fetch()
        assert (again.id, e.id) == ("c", "e")
        assert len(await store.letters(None, None, 10)) == 1
        assert list(await store.settle(bare.next_settle(), steps)) == [False, False, False, False, True]
        assert [await bare.settle(loan) for loan in (again, d, e)] == [True, True, True]


@check(Capability.SHARED, has_store=True, stalls=True)
async def a_settle_with_the_same_number_is_the_same_call_after_a_lost_lease(world: World) -> None:
    """It tells what was taken before its lease ran out, and what was refused since it had: also where that session has
    the very delivery again, under another token."""
    async with world.mortal() as (store, module), world.session() as other:
        bare, elsewhere = Bare(store), Bare(other)
        await bare.bind()
        await elsewhere.bind()
        await bare.publish("a", "b")
        a, b = await bare.fetch()
        taken, refused = bare.next_settle(), bare.next_settle()
        first = [Settlement(a.token, Step.SETTLED, b"a")]
        second = [Settlement(b.token, Step.SETTLED, b"b")]
        assert list(await store.settle(taken, first)) == [True]
        world.stall_session(module)
        (lost,) = await elsewhere.fetch()
        assert (lost.id, lost.losses) == ("b", 1)
        assert list(await store.settle(taken, first)) == [True]
        assert list(await store.settle(refused, second)) == [False]
        await elsewhere.give_back(lost)
        await bare.bind()
        (again,) = await bare.fetch()
        assert (again.id, again.token != b.token) == ("b", True)
        assert list(await store.settle(refused, second)) == [False]
        assert await bare.settle(again)
        assert await elsewhere.fetch() == []

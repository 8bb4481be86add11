"""Checks of the contract itself: what operators see and do."""

from postroom.capabilities import Capability
from postroom.contract import Letter, Loan, Settlement, Step, Store
from postroom.staging import MOST_STAGED, GroupFull

from .bare import Bare, event, ids_of
from .check import check
from .world import World


@check(has_store=True)
async def subscriptions_are_listed_as_they_stand(world: World) -> None:
    """By name, with what waits, what is lent, the dead letters and who serves them; also when nobody does."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind("ledger", "order.*")
        await bare.bind("audit", "order.placed", "mail.*", serve=False)
        await bare.publish("a", "b", "c")
        dead, _ = await bare.fetch(2)
        await bare.note(Settlement(dead.token, Step.SETTLED, b"{}", Letter("no", None, "", "", 0)))
        audit, ledger = await store.subscriptions()
        assert (audit.name, set(audit.patterns), audit.served_by) == ("audit", {"order.placed", "mail.*"}, ())
        assert (audit.waiting, audit.lent, audit.dead, audit.paused) == (3, 0, 0, False)
        assert (ledger.name, ledger.waiting, ledger.lent, ledger.dead) == ("ledger", 1, 1, 1)
        assert len(ledger.served_by) == 1


@check(Capability.DELAY, has_store=True)
async def what_is_delayed_is_counted_apart(world: World) -> None:
    """It does not wait yet."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a", delay=100 * world.patience)
        (listed,) = await store.subscriptions()
        assert (listed.waiting, listed.delayed, listed.lent) == (0, 1, 0)


@check(has_store=True)
async def a_paused_subscription_is_lent_nothing(world: World) -> None:
    """Whoever asks, also after the end of the session that paused it; what it has stays there."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a")
        await store.pause("ledger", True)
        assert await bare.fetch() == []
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        assert await bare.fetch() == []
        (listed,) = await store.subscriptions()
        assert (listed.paused, listed.waiting) == (True, 1)
        await store.pause("ledger", False)
        assert ids_of(await bare.fetch()) == ["a"]


@check(has_store=True)
async def a_subscription_that_nobody_serves_is_removed_with_what_waits(world: World) -> None:
    """One that somebody serves is not; who published what waited hears that it was cancelled."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("a", "b")
        assert await store.remove("ledger") == 0
        assert await store.remove("nobody") == 0
        await store.leave(["ledger"])
        assert await store.remove("ledger") == 2
        assert await store.subscriptions() == []
        notices, _ = await bare.hear(world, count=2)
        assert {(notice.event, notice.subscription) for notice in notices} == {("a", "ledger"), ("b", "ledger")}
        (published,) = await bare.publish("c")
        assert published.targets == ()


@check(has_store=True)
async def dead_letters_are_listed_page_by_page(world: World) -> None:
    """Oldest first, of one subscription or of all; discarded ones are gone, and counted."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind("ledger")
        await bare.bind("audit", "order.*")
        await bare.publish("a", "b", "c")
        for name in ("ledger", "audit"):
            for loan in await bare.fetch(name=name):
                letter = Letter("gave up", "ValueError", loan.id, "Traceback", 2)
                assert await bare.note(Settlement(loan.token, Step.SETTLED, b"{}", letter, 2)) == [True]
        every = await store.letters(None, None, 100)
        assert [letter.id for letter in every] == sorted(letter.id for letter in every)
        assert [letter.event for letter in every] == ["a", "b", "c"] * 2
        first = await store.letters("ledger", None, 2)
        rest = await store.letters("ledger", first[-1].id, 2)
        assert [letter.event for letter in (*first, *rest)] == ["a", "b", "c"]
        assert first[0].letter == Letter("gave up", "ValueError", "a", "Traceback", 2)
        assert (first[0].subscription, first[0].body) == ("ledger", b"body")
        assert await store.discard([first[0].id, "unknown"]) == 1
        assert len(await store.letters(None, None, 100)) == 5
        assert await store.replay(bare.next(), first[0].id) is None


@check(Capability.KEYS, has_store=True)
async def a_replay_goes_behind_what_waits_of_its_key(world: World) -> None:
    """It has its event's key again."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("keyed", key="k")
        await _bury(bare, await bare.fetch(), Letter("no", None, "", "", 1, "k"))
        await bare.publish("before", key="k", head_start=300.0)  # which counts for nothing within a key
        await _replay_all(store, bare)
        assert ids_of(await bare.fetch()) == ["before", "keyed"]


@check(Capability.PRIORITY, has_store=True)
async def a_replay_is_as_urgent_as_its_event_was(world: World) -> None:
    """It has its event's head start again."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        await bare.publish("urgent", head_start=0.0)
        await _bury(bare, await bare.fetch(), Letter("no", None, "", "", 1, None, 0.0))
        await bare.publish("default")
        await _replay_all(store, bare)
        assert ids_of(await bare.fetch()) == ["urgent", "default"]


async def _bury(bare: Bare, loans: list[Loan], letter: Letter) -> None:
    steps = [Settlement(loan.token, Step.SETTLED, b"{}", letter) for loan in loans]
    assert all(await bare.note(*steps))


async def _replay_all(store: Store, bare: Bare) -> None:
    for stored in await store.letters(None, None, 10):
        assert await store.replay(bare.next(), stored.id) is not None


@check(Capability.GROUPS, has_store=True)
async def a_group_has_a_limit(world: World) -> None:
    """10,000 events; beyond it nothing more is staged, and what is there stays."""
    async with world.session() as store:
        bare = Bare(store)
        await bare.bind()
        many = [event(f"event-{n}") for n in range(MOST_STAGED)]
        assert await store.stage("g", many, None) == [None] * MOST_STAGED
        assert isinstance(await store.stage("g", [event("late")], None), GroupFull)
        assert await store.clear("g", None, "no") == MOST_STAGED

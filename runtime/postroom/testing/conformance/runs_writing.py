"""Checks of the journal's contract: what is written to a run, by whoever has it and from outside."""

from postroom.capabilities import Capability
from postroom.journal import RunState

from .check import check
from .clerk import Clerk, keys_of, runs_of, step
from .telling import hear_until
from .world import World

WORKFLOWS = Capability.WORKFLOWS


@check(WORKFLOWS, has_store=True)
async def entries_are_kept_in_order_and_each_once(world: World) -> None:
    """Of a kind and key the first one counts; so a call that is repeated changes nothing."""
    async with world.session() as store:
        clerk = Clerk(store)
        loan = await clerk.have("a")
        first = [step("x", bytes(range(256))), step("y", b""), step("x", b"second")]
        assert await clerk.journal.record(loan.token, first)
        assert await clerk.journal.record(loan.token, first)
        assert await clerk.journal.record(loan.token, [step("x", b"1", "compensated"), step("y"), step("ä#0: \n")])
        assert await clerk.journal.record(loan.token, [])
        seen = await clerk.see()
        wanted = (*first[:2], step("x", b"1", "compensated"), step("ä#0: \n"))
        assert (seen.entries, seen.run.entries, seen.token) == (wanted, 4, 0)


@check(WORKFLOWS, has_store=True)
async def a_record_may_say_how_far_the_run_is(world: World) -> None:
    """And who looks at it sees that, and when it was written to last."""
    async with world.session() as store:
        clerk = Clerk(store)
        loan = await clerk.have("a")
        await world.wait(2)
        assert await clerk.journal.record(loan.token, [step("x")])
        assert (await clerk.see()).run.state is RunState.RUNNING
        assert await clerk.journal.record(loan.token, [], RunState.COMPENSATING)
        run = (await clerk.see()).run
        assert (run.state, run.owner) == (RunState.COMPENSATING, loan.run.owner)
        assert run.created_at == loan.run.created_at
        assert run.changed_at - run.created_at >= 1.5 * world.moment


@check(WORKFLOWS, has_store=True)
async def a_signal_is_told_to_whoever_has_the_run(world: World) -> None:
    """Once for each key; it stands in the journal."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        loan = await one.have("a")
        assert await two.journal.signal("a", step("paid", b"yes", "signal"))
        told, number = await one.told_of(world)
        assert told == ["a"]
        assert await two.journal.signal("a", step("paid", b"no", "signal"))
        await one.hears_nothing(world, number)
        assert await one.journal.signal("a", step("sent", b"", "signal"))
        told, _ = await one.told_of(world, number)
        assert told == ["a"]
        assert (await two.see()).entries == (step("paid", b"yes", "signal"), step("sent", b"", "signal"))
        assert await one.journal.record(loan.token, [step("paid", b"no", "signal")])
        assert (await one.see()).entries[0].body == b"yes"
        await two.hears_nothing(world)


@check(WORKFLOWS, has_store=True)
async def a_signal_ends_the_wait_of_a_run(world: World) -> None:
    """Of one that was handed back for a while, or has not begun; others hear of it."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        loan = await one.have("a")
        await one.begin("b", lend=False, delay=1000 * world.lease)
        await one.journal.hand_back(loan.token, 1000 * world.lease)
        assert await two.take() == []
        await hear_until(world, two.bare, "mail")
        assert await one.journal.signal("a", step("paid", b"yes", "signal"))
        await hear_until(world, two.bare, "mail")
        (again,) = await two.take()
        assert (again.run.id, keys_of(again)) == ("a", ["paid"])
        assert await one.journal.signal("b", step("cancel", b"", "signal"))
        (early,) = await two.take()
        assert early.run.id == "b"
        assert early.run.starts_at - early.run.created_at >= 999 * world.lease
        await two.journal.hand_back(early.token, 1000 * world.lease)
        assert await one.journal.signal("b", step("cancel", b"", "signal"))  # said before
        assert await two.take() == []


@check(WORKFLOWS, has_store=True)
async def a_signal_comes_too_late_for_what_is_over(world: World) -> None:
    """Or is not there; what is asleep keeps it until it is woken."""
    async with world.session() as store:
        clerk = Clerk(store)
        for id, state in (("a", RunState.SUCCEEDED), ("b", RunState.FAILED), ("c", RunState.CANCELLED)):
            loan = await clerk.have(id)
            await clerk.journal.signal(id, step("paid"))
            await clerk.conclude(loan, state)
            assert not await clerk.journal.signal(id, step("sent"))
            assert not await clerk.journal.signal(id, step("paid"))
            assert keys_of(await clerk.see(id)) == ["paid"]
        assert not await clerk.journal.signal("nobody", step("paid"))
        await clerk.conclude(await clerk.have("d"), RunState.PARKED)
        assert await clerk.journal.signal("d", step("paid"))
        assert await clerk.take() == []
        await clerk.journal.wake("d")
        (loan,) = await clerk.take()
        assert (runs_of([loan]), keys_of(loan)) == (["d"], ["paid"])

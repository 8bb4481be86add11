"""Checks of the journal's contract: who has a run, and what a token is worth."""

import anyio

from postroom.capabilities import Capability
from postroom.journal import RunState

from .bare import event
from .check import check
from .clerk import Clerk, keys_of, runs_of, step
from .telling import hear_until
from .world import World

WORKFLOWS = Capability.WORKFLOWS


@check(WORKFLOWS, has_store=True)
async def runs_are_lent_to_who_knows_their_workflow(world: World) -> None:
    """So many of each, those that have waited longest first, and each to one."""
    async with world.session() as store:
        clerk = Clerk(store)
        for id in ("c", "a", "b"):
            await clerk.begin(id, lend=False)
            await clerk.begin(f"mail {id}", workflow="mail", lend=False)
        assert await clerk.take(workflow="other") == []
        taken = await clerk.take_all({"ship": 2, "mail": 1, "other": 3})
        assert runs_of(taken.loans) == ["c", "a", "mail c"]
        assert taken.next_due == 0
        assert await clerk.take(0) == []
        loans = taken.loans + await clerk.take() + await clerk.take(workflow="mail")
        assert runs_of(loans) == ["c", "a", "mail c", "b", "mail a", "mail b"]
        assert len({loan.token for loan in loans}) == 6
        assert all(loan.token > 0 for loan in loans)
        assert (await clerk.take_all({"ship": 2, "mail": 1})).next_due is None


@check(WORKFLOWS, has_store=True)
async def a_run_that_is_handed_back_is_lent_anew(world: World) -> None:
    """With what was written, at no loss, and with another token; the old one is worth nothing."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        loan = await one.have("a")
        await one.journal.record(loan.token, [step("x", b"1"), step("y")])
        assert await one.journal.hand_back(loan.token)
        assert not await one.journal.hand_back(loan.token)
        assert not await one.journal.record(loan.token, [step("z")])
        assert await one.conclude(loan) is None
        (again,) = await two.take()
        assert (again.entries, again.run.losses, again.run.entries) == ((step("x", b"1"), step("y")), 0, 2)
        assert again.token != loan.token
        for token in (loan.token, again.token):
            assert not await one.journal.record(token, [step("z")])
        assert keys_of(await one.see()) == ["x", "y"]


@check(WORKFLOWS, has_store=True)
async def a_run_may_be_handed_back_for_a_while(world: World) -> None:
    """Nobody has it before that is over; then it is behind what waited already."""
    async with world.session() as store:
        clerk = Clerk(store)
        loan = await clerk.have("a")
        assert await clerk.journal.hand_back(loan.token, 5 * world.moment)
        taken = await clerk.take_all({"ship": 1})
        assert (taken.loans, (await clerk.see()).run.owner) == ([], None)
        assert taken.next_due is not None
        assert 0 < taken.next_due <= 5 * world.moment
        await clerk.begin("b", lend=False)
        await world.wait(8)
        assert runs_of(await clerk.take(1)) == ["b"]
        assert runs_of(await clerk.take(1)) == ["a"]


@check(WORKFLOWS, has_store=True)
async def a_run_is_not_handed_back_for_a_while_where_it_has_more_than_is_known(world: World) -> None:
    """Whoever lays it down does not miss what was written from outside meanwhile."""
    async with world.session() as store:
        clerk = Clerk(store)
        loan = await clerk.have("a")
        await clerk.journal.record(loan.token, [step("x"), step("y")])
        assert await clerk.journal.hand_back(loan.token, 1000 * world.lease, 1)
        (loan,) = await clerk.take()
        assert await clerk.journal.hand_back(loan.token, 1000 * world.lease, 2)
        assert await clerk.take() == []
        assert await clerk.journal.signal("a", step("go", kind="signal"))
        (loan,) = await clerk.take()
        assert await clerk.journal.hand_back(loan.token, 1000 * world.lease, 0)
        assert runs_of(await clerk.take()) == ["a"]


@check(WORKFLOWS, has_store=True)
async def a_token_is_worth_something_to_its_session_alone(world: World) -> None:
    """Nor is one worth anything that never was."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        loan = await one.have("a")
        for token in (loan.token, loan.token + 1_000_000, 0):
            assert not await two.journal.record(token, [step("x")])
            assert not await two.journal.hand_back(token)
            assert await two.journal.conclude(token, RunState.FAILED, b"", [], 1) is None
        assert (await one.see()).run == loan.run


@check(WORKFLOWS, has_store=True)
async def what_a_session_has_at_its_end_is_taken_up_by_others(world: World) -> None:
    """At once, at no loss; they hear that there is something."""
    async with world.session() as second:
        two = Clerk(second)
        async with world.session() as first:
            loan = await Clerk(first).have("a")
            await Clerk(first).journal.record(loan.token, [step("x")])
            assert await two.take() == []
        await hear_until(world, two.bare, "mail")
        (again,) = await two.take()
        assert (again.run.losses, keys_of(again)) == (0, ["x"])


@check(WORKFLOWS, has_store=True)
async def others_hear_of_runs_to_take_up(world: World) -> None:
    """Of what begins and is not lent, is handed back, or is woken."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        await one.begin("a", lend=False)
        await hear_until(world, two.bare, "mail")
        (loan,) = await one.take()
        await one.journal.hand_back(loan.token)
        await hear_until(world, two.bare, "mail")
        (loan,) = await one.take()
        await one.conclude(loan, RunState.PARKED)
        await one.journal.wake("a")
        await hear_until(world, two.bare, "mail")
        assert runs_of(await two.take()) == ["a"]


@check(WORKFLOWS, has_store=True)
async def what_a_session_does_not_know_of_is_taken_up_again(world: World) -> None:
    """Once it has named the loans that it knows: the reply to a take may get lost."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        known = await one.have("a")
        lost = await one.have("b")
        foreign = await two.have("c")
        await one.journal.reclaim([known.token])
        assert not await one.journal.record(lost.token, [step("x")])
        assert await one.journal.record(known.token, [step("x")])
        assert await two.journal.record(foreign.token, [step("x")])
        (again,) = await two.take()
        assert (again.run.id, again.run.losses) == ("b", 0)


@check(WORKFLOWS, has_store=True)
async def sessions_that_race_for_runs_have_each_of_them_once(world: World) -> None:
    """Whoever takes at the same time."""
    async with world.session() as first, world.session() as second, world.session() as third:
        clerks = [Clerk(first), Clerk(second), Clerk(third)]
        for number in range(30):
            await clerks[0].begin(f"run-{number:02}", lend=False)
        taken: list[str] = []

        async def race(clerk: Clerk) -> None:
            while loans := await clerk.take(2):
                taken.extend(runs_of(loans))
                for loan in loans:
                    assert await clerk.journal.record(loan.token, [step("x")])

        async with anyio.create_task_group() as tasks:
            for clerk in clerks:
                tasks.start_soon(race, clerk)
        assert sorted(taken) == [f"run-{number:02}" for number in range(30)]
        assert {run.entries for run in await clerks[0].journal.runs(None, None, None, 100)} == {1}


@check(WORKFLOWS, has_store=True, kills=True)
async def the_run_of_a_killed_session_is_taken_up_with_a_loss(world: World) -> None:
    """Once its lease has run out, with all that was written."""
    async with world.session() as second, world.mortal() as (first, module):
        one, two = Clerk(first), Clerk(second)
        loan = await one.have("a")
        await one.journal.record(loan.token, [step("x")], RunState.COMPENSATING)
        world.kill_session(module)
        assert await two.take() == []
        (again,) = await two.take_when_due(world)
        assert (again.run.losses, keys_of(again), again.run.state) == (1, ["x"], RunState.COMPENSATING)
        assert await two.journal.hand_back(again.token)
        (again,) = await two.take()
        assert again.run.losses == 1


@check(WORKFLOWS, has_store=True, stalls=True)
async def who_was_taken_for_dead_changes_nothing_more(world: World) -> None:
    """Its token is worth nothing, and no event gets out, whether somebody has the run by then or not."""
    async with world.session() as second, world.mortal() as (first, module):
        one, two = Clerk(first), Clerk(second)
        await two.bare.bind()
        loan = await one.have("a")
        world.stall_session(module)
        for _ in range(2):
            assert not await one.journal.record(loan.token, [step("x")])
            assert await one.conclude(loan, events=[event("e")]) is None
            assert not await one.journal.hand_back(loan.token)
            await two.take()
        seen = await two.see()
        assert (seen.run.losses, seen.run.state, seen.entries) == (1, RunState.RUNNING, ())
        assert await two.bare.fetch() == []

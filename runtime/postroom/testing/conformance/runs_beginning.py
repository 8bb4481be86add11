"""Checks of the journal's contract: how runs begin."""

from postroom.capabilities import Capability
from postroom.journal import RunLoan, RunState, StoredRun

from .check import check
from .clerk import Clerk, new_run, runs_of, step
from .world import World

WORKFLOWS = Capability.WORKFLOWS


@check(WORKFLOWS, has_store=True)
async def a_run_begins_once(world: World) -> None:
    """Whoever begins it again gets the one that is there, whatever they give; by its digest they see that it is
    another's."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        bytes_of_all_kinds = bytes(range(256))
        loan = await one.have("a", input=bytes_of_all_kinds, digest=b"\x00\xff", lane="")
        run = loan.run
        assert (run.id, run.workflow, run.input, run.digest) == ("a", "ship", bytes_of_all_kinds, b"\x00\xff")
        assert (run.state, run.result, run.losses, run.entries) == (RunState.RUNNING, b"", 0, 0)
        assert (loan.entries, run.lane) == ((), "")
        assert run.owner is not None
        assert abs(run.created_at - run.changed_at) < 0.001
        assert abs(run.created_at - run.starts_at) < 0.001
        for clerk in (one, two):
            again = await clerk.begin("a", workflow="other", digest=b"other", input=b"")
            assert again == run
        assert await two.take() == []
        assert await two.take(workflow="other") == []


@check(WORKFLOWS, has_store=True)
async def a_begin_with_the_same_number_is_the_same_call(world: World) -> None:
    """It has the same loan, with what was written meanwhile; another number has none, and no second run begins."""
    async with world.session() as store:
        clerk = Clerk(store)
        number = clerk.bare.next()
        first = await clerk.journal.begin(number, new_run("a"), lend=True)
        assert isinstance(first, RunLoan)
        same = await clerk.journal.begin(number, new_run("a"), lend=True)
        assert isinstance(same, RunLoan)
        assert (same.token, same.run, same.entries) == (first.token, first.run, ())
        await clerk.journal.record(first.token, [step("x")])
        again = await clerk.journal.begin(number, new_run("a"), lend=True)
        assert isinstance(again, RunLoan)
        assert (again.token, again.entries) == (first.token, (step("x"),))
        assert isinstance(await clerk.begin("a"), StoredRun)
        number = clerk.bare.next()
        waits = await clerk.journal.begin(number, new_run("b"), lend=False)
        assert await clerk.journal.begin(number, new_run("b"), lend=False) == waits
        assert runs_of(await clerk.take()) == ["b"]
        assert [run.id for run in await clerk.journal.runs(None, None, None, 10)] == ["a", "b"]


@check(WORKFLOWS, has_store=True)
async def a_run_that_is_not_lent_waits(world: World) -> None:
    """For whoever takes it up first; nobody has it until then."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        begun = await one.begin("a", lend=False)
        assert isinstance(begun, StoredRun)
        assert (begun.owner, begun.state) == (None, RunState.RUNNING)
        (loan,) = await two.take()
        assert loan.run.owner is not None
        assert loan.run.owner == (await one.see()).run.owner
        assert await one.take() == []
        assert await two.journal.record(loan.token, [step("x")])


@check(WORKFLOWS, has_store=True)
async def a_run_may_begin_later(world: World) -> None:
    """Nobody takes it up before that; a take says when."""
    async with world.session() as store:
        clerk = Clerk(store)
        assert (await clerk.take_all({"ship": 1})).next_due is None
        delay = 6 * world.moment
        run = await clerk.begin("a", lend=False, delay=delay)
        assert isinstance(run, StoredRun)
        assert abs(run.starts_at - run.created_at - delay) < 0.001
        taken = await clerk.take_all({"ship": 1})
        assert taken.loans == []
        assert taken.next_due is not None
        assert 0 < taken.next_due <= delay
        assert runs_of(await clerk.take_when_due(world)) == ["a"]
        assert (await clerk.take_all({"ship": 1, "other": 1})).next_due is None
        await clerk.have("b", delay=delay)  # whoever has it decides for themselves


@check(WORKFLOWS, has_store=True)
async def a_lane_has_one_run_at_a_time(world: World) -> None:
    """Another one begins once that is over, whoever has it; while it needs attention, it is not."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        loan = await one.have("a", lane="nightly")
        assert loan.run.lane == "nightly"
        blocked = await two.begin("b", lane="nightly")
        assert isinstance(blocked, StoredRun)
        assert blocked.id == "a"
        await two.have("c", lane="hourly")
        await two.have("d")
        await two.have("e")
        await one.conclude(loan, RunState.NEEDS_ATTENTION)
        blocked = await two.begin("b", lane="nightly")
        assert isinstance(blocked, StoredRun)
        assert blocked.state is RunState.NEEDS_ATTENTION
        await one.journal.wake("a")
        (loan,) = await one.take()
        await one.conclude(loan, RunState.FAILED)
        loan = await two.have("b", lane="nightly")
        await two.conclude(loan, RunState.PARKED)
        await two.journal.forget(["b"])
        await one.have("f", lane="nightly")


@check(WORKFLOWS, has_store=True)
async def what_is_over_does_not_begin_again(world: World) -> None:
    """As long as it is remembered, its result is what a begin finds."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        await one.conclude(await one.have("a"), result=b"shipped")
        found = await two.begin("a")
        assert isinstance(found, StoredRun)
        assert (found.state, found.result, found.owner) == (RunState.SUCCEEDED, b"shipped", None)
        assert await two.take() == []


@check(WORKFLOWS, has_store=True)
async def of_a_series_so_many_runs_begin(world: World) -> None:
    """In all sessions, and for good: whether they are over, or forgotten, or the sessions are gone. What does not begin
    does not count."""
    async with world.session() as second:
        async with world.session() as first:
            one, two = Clerk(first), Clerk(second)
            assert await one.begin("z", series="none", most=0) is None
            loan = await one.have("a", series="s", most=3)
            number = one.bare.next()
            assert await one.journal.begin(number, new_run("b", lane="l", series="s", most=3), lend=True) is not None
            assert await one.journal.begin(number, new_run("b", lane="l", series="s", most=3), lend=True) is not None
            assert isinstance(await two.begin("a", series="s", most=3), StoredRun)
            busy = await two.begin("c", lane="l", series="s", most=3)
            assert isinstance(busy, StoredRun)
            assert busy.id == "b"
            await one.conclude(loan, RunState.PARKED)
            assert await one.journal.forget(["a"]) == 1
        assert isinstance(await two.begin("c", lend=False, series="s", most=3), StoredRun)
        for _ in range(2):
            assert await two.begin("d", series="s", most=3) is None
        assert await two.journal.run("d") is None
        assert isinstance(await two.begin("c", series="s", most=3), StoredRun)
        assert isinstance(await two.begin("d", series="other", most=1), RunLoan)
        assert isinstance(await two.begin("e", series="s", most=4), RunLoan)
        assert await two.begin("f", series="s", most=4) is None


@check(WORKFLOWS, has_store=True)
async def a_loan_tells_the_time(world: World) -> None:
    """That of the store, on the clock of the run's own times."""
    async with world.session() as store:
        clerk = Clerk(store)
        loan = await clerk.have("a")
        assert abs(loan.now - loan.run.created_at) < 0.001
        await world.wait(2)
        seen = await clerk.see()
        assert seen.now - loan.now >= world.moment
        await clerk.journal.hand_back(loan.token)
        (again,) = await clerk.take()
        assert again.now >= seen.now
        assert again.run.created_at == loan.run.created_at

"""Checks of the journal's contract: how runs end or stop, and what gets out with that."""

from postroom.capabilities import Capability
from postroom.errors import ConflictingEvent, NoSubscriber
from postroom.journal import RunLoan, RunState, StoredRun
from postroom.store_errors import BacklogFull

from .bare import event, ids_of
from .check import check
from .clerk import Clerk, keys_of, runs_of, step
from .telling import hear_until
from .world import World

WORKFLOWS = Capability.WORKFLOWS


@check(WORKFLOWS, has_store=True)
async def a_run_ends_with_its_events(world: World) -> None:
    """They are accepted in their order, the answer is as that of a publish, and nothing more is written to the run."""
    async with world.session() as store:
        clerk = Clerk(store)
        await clerk.bare.bind()
        loan = await clerk.have("a")
        await clerk.journal.record(loan.token, [step("x")])
        events = [event("e", body=b"1"), event("f", name="nobody.cares"), event("g")]
        answer = await clerk.conclude(loan, result=bytes(range(256)), events=events)
        assert isinstance(answer, list)
        assert [published.targets for published in answer] == [("ledger",), (), ("ledger",)]
        assert [published.body for published in answer] == [None] * 3
        assert ids_of(await clerk.bare.fetch()) == ["e", "g"]
        seen = await clerk.see()
        assert (seen.run.state, seen.run.result, seen.run.owner) == (RunState.SUCCEEDED, bytes(range(256)), None)
        assert keys_of(seen) == ["x"]
        assert abs(seen.run.changed_at - answer[0].accepted_at) < world.lease
        assert not await clerk.journal.record(loan.token, [step("y")])
        assert not await clerk.journal.hand_back(loan.token)
        assert await clerk.take() == []


@check(WORKFLOWS, has_store=True)
async def refused_events_leave_the_run_as_it_was(world: World) -> None:
    """None of them is accepted, and its token is worth what it was."""
    async with world.session() as store:
        clerk = Clerk(store)
        await clerk.bare.bind()
        loan = await clerk.have("a")
        refused = [event("e"), event("f", name="nobody.cares", require=True)]
        for _ in range(2):
            assert isinstance(await clerk.conclude(loan, events=refused), NoSubscriber)
        assert await clerk.bare.fetch() == []
        assert (await clerk.see()).run == loan.run
        assert await clerk.journal.record(loan.token, [step("x")])
        assert isinstance(await clerk.conclude(loan, RunState.FAILED, events=[event("g")]), list)
        assert ids_of(await clerk.bare.fetch()) == ["g"]


@check(WORKFLOWS, Capability.DEDUPLICATION, has_store=True)
async def a_run_may_end_with_events_that_are_known(world: World) -> None:
    """The answer says what became of them; another event under that id is refused, and so is the end."""
    async with world.session() as store:
        clerk = Clerk(store)
        await clerk.bare.bind()
        await clerk.bare.publish("e", body=b"1", digest=b"1")
        loan = await clerk.have("a")
        conflict = await clerk.conclude(loan, events=[event("f"), event("e", body=b"2", digest=b"2")])
        assert isinstance(conflict, ConflictingEvent)
        answer = await clerk.conclude(loan, events=[event("f"), event("e", body=b"2", digest=b"1")])
        assert isinstance(answer, list)
        assert (answer[1].body, answer[1].targets) == (b"1", ("ledger",))
        assert ids_of(await clerk.bare.fetch()) == ["e", "f"]


@check(WORKFLOWS, Capability.BACKLOG, has_store=True)
async def a_run_whose_events_find_no_room_hears_of_room(world: World) -> None:
    """As one does that publishes."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        await two.bare.bind(backlog=1)
        await one.bare.publish("e")
        loan = await one.have("a")
        assert isinstance(await one.conclude(loan, events=[event("f")]), BacklogFull)
        (lent,) = await two.bare.fetch()
        await two.bare.settle(lent)
        await hear_until(world, one.bare, "room")
        assert isinstance(await one.conclude(loan, events=[event("f")]), list)
        assert ids_of(await two.bare.fetch()) == ["f"]


@check(WORKFLOWS, has_store=True)
async def an_entry_that_came_first_keeps_a_run_from_its_end(world: World) -> None:
    """No event is accepted, and the run goes on as it was; of an end that is written the answer stays what it was."""
    async with world.session() as store:
        clerk = Clerk(store)
        await clerk.bare.bind()
        loan = await clerk.have("a")
        assert await clerk.journal.signal("a", step("", kind="cancel"))
        assert await clerk.conclude(loan, events=[event("e")], unless=("cancel", "")) is False
        assert await clerk.bare.fetch() == []
        assert (await clerk.see()).run.state is RunState.RUNNING
        assert await clerk.journal.record(loan.token, [step("x")])
        for other in (("cancel", "x"), ("step", "")):
            answer = await clerk.conclude(loan, events=[event("f")], unless=other)
            assert isinstance(answer, list)
        assert await clerk.conclude(loan, unless=("cancel", "")) == answer
        assert ids_of(await clerk.bare.fetch()) == ["f"]


@check(WORKFLOWS, has_store=True)
async def a_loan_is_concluded_once(world: World) -> None:
    """Again it has the same answer, whatever is given then, and no event is accepted twice."""
    async with world.session() as store:
        clerk = Clerk(store)
        await clerk.bare.bind()
        loans = [await clerk.have(id) for id in ("a", "b", "c")]
        events = [event("e"), event("f", name="nobody.cares")]
        answer = await clerk.conclude(loans[0], events=events)
        assert await clerk.conclude(loans[1], RunState.PARKED) == []
        assert await clerk.conclude(loans[2], RunState.NEEDS_ATTENTION, events=[event("g")]) is not None
        assert await clerk.conclude(loans[0], events=events) == answer
        assert await clerk.conclude(loans[0], RunState.FAILED, b"other", [event("h")]) == answer
        assert await clerk.conclude(loans[1], RunState.PARKED) == []
        seen = (await clerk.see()).run
        assert (seen.state, seen.result) == (RunState.SUCCEEDED, b"done")
        assert ids_of(await clerk.bare.fetch()) == ["e", "g"]
        await clerk.journal.wake("b")
        (again,) = await clerk.take()
        assert await clerk.conclude(loans[1], RunState.FAILED) is None
        assert await clerk.conclude(again, RunState.CANCELLED) == []


@check(WORKFLOWS, Capability.SHARED, has_store=True)
async def who_concludes_hears_what_becomes_of_the_events(world: World) -> None:
    """From other sessions, as one does that publishes."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        await two.bare.bind()
        await one.conclude(await one.have("a"), events=[event("e")])
        (lent,) = await two.bare.fetch()
        await two.bare.settle(lent, b"handled")
        (notice,), _ = await one.bare.hear(world)
        assert (notice.event, notice.outcome, notice.run) == ("e", b"handled", "")


@check(WORKFLOWS, has_store=True)
async def who_watches_a_run_is_told_when_another_concludes_it(world: World) -> None:
    """Whoever began it, here or in vain, or asked to watch; when it stops, and when it is over."""
    async with world.session() as first, world.session() as second, world.session() as third:
        one, two, three = Clerk(first), Clerk(second), Clerk(third)
        await one.begin("a", lend=False)
        (loan,) = await two.take()
        await three.begin("a")
        assert await three.journal.run("nobody", watch=True) is None
        assert await two.journal.run("a", watch=True) is not None
        assert await two.journal.record(loan.token, [step("x")])
        await two.conclude(loan, RunState.NEEDS_ATTENTION)
        seen = {}
        for clerk in (one, three):
            told, seen[clerk] = await clerk.told_of(world)
            assert told == ["a"]
        await two.hears_nothing(world)
        await two.journal.wake("a")
        (loan,) = await one.take()
        await one.conclude(loan)
        for clerk, number in ((two, 0), (three, seen[three])):
            told, _ = await clerk.told_of(world, number)
            assert told == ["a"]
        await one.hears_nothing(world, seen[one])


@check(WORKFLOWS, has_store=True)
async def who_only_looks_at_a_run_is_told_nothing(world: World) -> None:
    """Nor is one who signals, or comes when it is over."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        loan = await one.have("a")
        await two.see()
        await two.journal.signal("a", step("paid"))
        await one.conclude(loan)
        assert await two.journal.run("a", watch=True) is not None
        await two.begin("a")
        await one.journal.forget(["a"])
        await two.hears_nothing(world)


@check(WORKFLOWS, has_store=True)
async def what_is_over_is_forgotten_in_time(world: World) -> None:
    """Not before a lease has passed, so that one who does not know the answer can ask again; then its id is free. What
    is only asleep stays."""
    async with world.session() as store:
        clerk = Clerk(store)
        loan = await clerk.have("a", lane="nightly")
        await clerk.journal.record(loan.token, [step("x")])
        assert await clerk.conclude(loan, keep=0) == []
        await clerk.conclude(await clerk.have("b"), keep=1000 * world.lease)
        await clerk.conclude(await clerk.have("c"), RunState.PARKED, keep=0)
        assert await clerk.conclude(loan, keep=0) == []
        await world.wait((0.5 * world.lease) / world.moment)
        assert keys_of(await clerk.see("a")) == ["x"]
        await world.wait((0.6 * world.lease) / world.moment)
        assert await clerk.journal.run("a") is None
        assert [run.id for run in await clerk.journal.runs(None, None, None, 10)] == ["b", "c"]
        again = await clerk.have("a", lane="nightly")
        assert (again.entries, again.run.state) == ((), RunState.RUNNING)
        assert await clerk.conclude(loan) is None


@check(WORKFLOWS, has_store=True)
async def what_is_asleep_can_be_forgotten(world: World) -> None:
    """With its journal; nothing else can, and who watches hears of it where it was not over."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        for id, state in (("a", RunState.SUCCEEDED), ("b", RunState.NEEDS_ATTENTION), ("c", RunState.PARKED)):
            loan = await one.have(id)
            await one.journal.record(loan.token, [step("x")])
            await one.conclude(loan, state)
        has = await one.have("d")
        await one.begin("e", lend=False)
        await two.begin("b")
        assert await one.journal.forget(["a", "b", "c", "d", "e", "nobody"]) == 3
        assert await one.journal.forget(["a", "b", "c"]) == 0
        assert [run.id for run in await one.journal.runs(None, None, None, 10)] == ["d", "e"]
        told, _ = await two.told_of(world)
        assert told == ["b"]
        again = await one.have("a")
        assert again.entries == ()
        assert await one.journal.record(has.token, [step("x")])


@check(WORKFLOWS, has_store=True)
async def what_stopped_goes_on_once_it_is_woken(world: World) -> None:
    """In the state that it had before; nothing else can be woken."""
    async with world.session() as store:
        clerk = Clerk(store)
        loan = await clerk.have("a")
        await clerk.journal.record(loan.token, [step("x")], RunState.COMPENSATING)
        await clerk.conclude(loan, RunState.NEEDS_ATTENTION, b"look at it")
        assert (await clerk.see()).run.result == b"look at it"
        await clerk.conclude(await clerk.have("b"), RunState.PARKED)
        await clerk.conclude(await clerk.have("c"), RunState.FAILED)
        await clerk.have("d")
        assert await clerk.take() == []
        woken = [id for id in ("a", "b", "c", "d", "nobody") if await clerk.journal.wake(id)]
        assert woken == ["a", "b"]
        assert not await clerk.journal.wake("a")
        one, two = await clerk.take()
        assert (one.run.id, one.run.state, one.run.result, keys_of(one)) == ("a", RunState.COMPENSATING, b"", ["x"])
        assert (two.run.id, two.run.state) == ("b", RunState.RUNNING)


@check(WORKFLOWS, has_store=True)
async def what_has_succeeded_can_be_reopened(world: World) -> None:
    """To be undone after all: with a line that says so, out of its lane, and not forgotten. Nothing else can be."""
    async with world.session() as first, world.session() as second:
        one, two = Clerk(first), Clerk(second)
        loan = await one.have("a", lane="nightly")
        await one.journal.record(loan.token, [step("x")])
        await one.conclude(loan, keep=0)
        await two.have("b", lane="nightly")
        await one.conclude(await one.have("c"), RunState.FAILED)
        await one.conclude(await one.have("d"), RunState.PARKED)
        for id in ("b", "c", "d", "nobody"):
            assert not await two.journal.reopen(id, step("undo", kind="signal"))
        assert await two.journal.reopen("a", step("undo", b"why", "signal"))
        assert await one.conclude(loan) is None
        await hear_until(world, one.bare, "mail")
        (again,) = await one.take()
        assert (again.run.state, again.run.result, again.run.lane) == (RunState.COMPENSATING, b"", "")
        assert again.entries == (step("x"), step("undo", b"why", "signal"))
        await world.wait(1.2 * world.lease / world.moment)
        assert await one.conclude(again, RunState.CANCELLED) == []
        blocked = await one.begin("e", lane="nightly")
        assert isinstance(blocked, StoredRun)
        assert blocked.id == "b"
        assert not await two.journal.reopen("a", step("undo", b"why", "signal"))


@check(WORKFLOWS, has_store=True)
async def runs_are_listed_by_id(world: World) -> None:
    """Of one workflow or of all, in some states or in any, from one on, so many."""
    async with world.session() as store:
        clerk = Clerk(store)
        loans: dict[str, RunLoan] = {}
        for number, id in enumerate(("d", "b", "a", "e", "c")):
            loans[id] = await clerk.have(id, workflow="mail" if number % 2 else "ship")
        await clerk.conclude(loans["d"])
        await clerk.conclude(loans["e"], RunState.FAILED)
        await clerk.journal.record(loans["c"].token, [], RunState.COMPENSATING)

        async def ids(*arguments: object) -> str:
            return "".join(run.id for run in await clerk.journal.runs(*arguments))  # type: ignore[arg-type]

        assert await ids(None, None, None, 10) == "abcde"
        assert await ids(None, None, None, 2) == "ab"
        assert await ids(None, None, "b", 2) == "cd"
        assert await ids(None, None, "bb", 2) == "cd"
        assert await ids("mail", None, None, 10) == "be"
        assert await ids("ship", None, "a", 1) == "c"
        assert await ids("other", None, None, 10) == ""
        assert await ids(None, {RunState.RUNNING}, None, 10) == "ab"
        assert await ids(None, [RunState.FAILED, RunState.COMPENSATING], None, 10) == "ce"
        assert await ids("ship", {RunState.RUNNING, RunState.SUCCEEDED}, "a", 10) == "d"
        assert await ids(None, [], None, 10) == ""
        assert [run.id for run in await clerk.journal.runs(None, None, None, 10)] == runs_of(
            [await clerk.see(id) for id in "abcde"]
        )

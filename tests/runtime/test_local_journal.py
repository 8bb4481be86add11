"""The journal of Local: the contract in memory, with one session."""

import anyio
import attrs
import pytest

from postroom import Capability, Runtime
from postroom.contract import Answer, Emit, Notice, Published, StoredEvent
from postroom.errors import NoSubscriber
from postroom.journal import Entry, Journal, NewRun, RunLoan, RunState, StoredRun
from postroom.local_journal import LocalJournal


@attrs.define(eq=False)
class Around:
    """What a runtime gives to it."""

    refuses: bool = False
    accepted: list[str] = attrs.field(factory=list)
    told: list[str] = attrs.field(factory=list)
    mails: int = 0

    def accept(self, events: Emit) -> Answer:
        if self.refuses:
            return NoSubscriber(events[0].name)
        self.accepted += [event.id for event in events]
        return [Published(0.0, ("ledger",)) for _ in events]

    def tell(self, notice: Notice) -> None:
        self.told.append(notice.run)

    def mail(self) -> None:
        self.mails += 1


@pytest.fixture
def around() -> Around:
    return Around()


@pytest.fixture
def journal(around: Around) -> Journal:
    return LocalJournal(around.accept, around.tell, around.mail, lambda: 1_700_000_000.0 + anyio.current_time())


EVENT = StoredEvent("e", "order.placed", b"body")


async def have(journal: Journal, id: str, number: int = 1) -> RunLoan:
    loan = await journal.begin(number, NewRun(id, "ship", b"input", b"digest"), lend=True)
    assert isinstance(loan, RunLoan)
    return loan


async def test_a_run_is_begun_written_to_and_concluded(journal: Journal, around: Around) -> None:
    loan = await have(journal, "a")
    assert await journal.record(loan.token, [Entry("step", "x", b"1")])
    answer = await journal.conclude(loan.token, RunState.SUCCEEDED, b"done", [EVENT], 10)
    assert answer == [Published(0.0, ("ledger",))]
    assert await journal.conclude(loan.token, RunState.SUCCEEDED, b"done", [EVENT], 10) == answer
    seen = await journal.run("a")
    assert seen is not None
    assert (seen.run.state, seen.run.result, seen.entries) == (
        RunState.SUCCEEDED,
        b"done",
        (Entry("step", "x", b"1"),),
    )
    assert (around.accepted, around.told, around.mails) == (["e"], [], 0)


async def test_refused_events_leave_the_run_as_it_was(journal: Journal, around: Around) -> None:
    loan = await have(journal, "a")
    around.refuses = True
    assert isinstance(await journal.conclude(loan.token, RunState.SUCCEEDED, b"", [EVENT], 10), NoSubscriber)
    assert await journal.record(loan.token, [], RunState.COMPENSATING)
    assert await journal.conclude(loan.token, RunState.FAILED, b"", [], 10) == []


async def test_a_cancelled_call_has_not_happened(journal: Journal) -> None:
    loan = await have(journal, "a")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await journal.conclude(loan.token, RunState.SUCCEEDED, b"", [], 10)
    assert scope.cancelled_caught
    assert await journal.record(loan.token, [])


async def test_the_process_is_told_of_signals_and_of_what_waits(journal: Journal, around: Around) -> None:
    loan = await have(journal, "a")
    assert await journal.signal("a", Entry("signal", "paid"))
    assert around.told == ["a"]
    assert await journal.hand_back(loan.token, 30)
    assert around.mails == 1
    taken = await journal.take({"ship": 5})
    assert (taken.loans, taken.next_due) == ([], 30)
    await anyio.sleep(30)
    (again,) = (await journal.take({"ship": 5})).loans
    assert again.entries == (Entry("signal", "paid"),)
    waits = await journal.begin(2, NewRun("b", "ship", b"", b""), lend=False)
    assert isinstance(waits, StoredRun)
    assert around.mails == 2


async def test_what_is_over_is_forgotten_when_its_time_has_come(journal: Journal) -> None:
    for number, (id, keep) in enumerate((("a", 0.0), ("b", 10.0))):
        loan = await have(journal, id, number)
        await journal.conclude(loan.token, RunState.SUCCEEDED, b"", [], keep)
    assert [run.id for run in await journal.runs(None, None, None, 10)] == ["b"]
    await anyio.sleep(10)
    assert await journal.runs(None, None, None, 10) == []


async def test_what_was_forgotten_and_begun_again_is_another_run(journal: Journal) -> None:
    """Also where a line remembers the one before: `b` waited, and was taken and forgotten."""
    await journal.begin(1, NewRun("b", "ship", b"", b"", delay=5), lend=False)
    await journal.signal("b", Entry("signal", "now"))
    (loan,) = (await journal.take({"ship": 1})).loans
    await journal.conclude(loan.token, RunState.PARKED, b"", [], 0)
    assert await journal.forget(["b"]) == 1
    await have(journal, "b", 2)
    await anyio.sleep(10)
    assert (await journal.take({"ship": 1})).loans == []


async def test_local_declares_that_it_keeps_a_journal() -> None:
    async with Runtime(requires={Capability.WORKFLOWS}):
        pass

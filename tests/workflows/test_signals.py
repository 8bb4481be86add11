"""Signals: none gets lost while its run is laid down, and one that can't be read stops its run alone."""

from typing import Any

import anyio
import attrs
import pytest

from postroom import Flow, workflow
from postroom.journal import Entry
from postroom.testing.reference import ReferenceModule
from postroom.testing.reference.journal import ReferenceJournal
from postroom.workflows import RunState, WorkflowFailed, WorkflowParked
from postroom.workflows.records import Kind
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop


@workflow
async def expecting(flow: Flow) -> Any:
    return await flow.wait_for("go")


async def test_a_signal_is_found_where_the_process_dies_while_it_lays_its_run_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The signal comes after the process has looked for the last time, and the process dies with the run laid down."""
    processes = Processes()
    hand_back = ReferenceJournal.hand_back
    laid_down = anyio.Event()

    async def deadly(journal: ReferenceJournal, token: int, wait: float = 0.0, *known: Any) -> bool:
        async with processes.one() as elsewhere:
            await elsewhere.signal("1", "go", "now")
        await hand_back(journal, token, wait, *known)
        laid_down.set()
        await anyio.sleep_forever()
        return True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: processes.killed_after(200, expecting, id="1"))
        monkeypatch.setattr(ReferenceJournal, "hand_back", deadly)
        await laid_down.wait()
        monkeypatch.undo()
        async with processes.one(expecting) as workflows:
            with anyio.fail_after(30):
                assert await workflows.handle("1").result() == "now"


async def sent(processes: Processes, *entries: Entry) -> None:
    """A process of another release writes to the run."""
    async with ReferenceModule(processes.store).open("another release") as store:
        for each in entries:
            await store.journal.signal("1", each)


UNREADABLE = Entry(Kind.SIGNAL, "go", b'{"at":0,"version":99}')


async def test_a_signal_that_cannot_be_read_parks_its_run_and_no_other() -> None:
    processes = Processes()
    async with processes.one(expecting) as workflows:
        handle, other = await workflows.start(expecting, id="1"), await workflows.start(expecting, id="2")
        await anyio.sleep(1)
        await sent(processes, UNREADABLE)
        with pytest.raises(WorkflowParked, match="version") as caught:
            await handle.result()
        assert caught.value.code == "can't read that"
        await workflows.signal("2", "go", "still here")
        assert await other.result() == "still here"
        assert (await handle.status()).state is RunState.PARKED


async def test_it_does_not_keep_a_run_from_being_undone() -> None:
    shop, processes = Shop(), Processes()

    async def slowly(done: object) -> None:
        await anyio.sleep(10)
        shop.log.append("undone")

    line = shop.line(shop.step("first", compensate=slowly), shop.step("bad", act=lambda context: 1 / 0))
    async with processes.one(line) as workflows:
        handle = await workflows.start(line, id="1")
        await anyio.sleep(1)
        await sent(processes, UNREADABLE)
        with pytest.raises(WorkflowFailed):
            await handle.result()
    assert shop.log[-1] == "undone"


@attrs.frozen
class Payment:
    cents: int


async def test_a_value_of_another_type_fails_the_wait_and_says_so() -> None:
    @workflow
    async def paid(flow: Flow) -> int:
        payment = await flow.wait_for("payment", type=Payment)
        return int(payment.cents)

    async with Processes().one(paid) as workflows:
        handle = await workflows.start(paid, id="1")
        await workflows.signal("1", "payment", {"cents": "many"})
        with pytest.raises(WorkflowFailed, match="signal payment"):
            await handle.result()
        handle = await workflows.start(paid, id="2")
        await workflows.signal("2", "payment", {"cents": 7})
        assert await handle.result() == 7

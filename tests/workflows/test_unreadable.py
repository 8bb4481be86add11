"""Records of a journal that can't be read stop their run alone, and it goes on once they can."""

import msgspec
import pytest

from postroom import Flow, Workflow, WorkflowCancelled, workflow
from postroom.journal import Entry
from postroom.workflows import WorkflowParked
from postroom.workflows.records import Kind
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop


def that_emits(shop: Shop) -> Workflow[str]:
    """A workflow that emits before its only step, which is slow."""
    slow = shop.step("slow", seconds=10)

    @workflow(name="emits")
    async def emits(flow: Flow) -> str:
        await flow.emit("order.placed", 3)
        await flow.run(shop.step("quick"))
        await flow.run(slow)
        return "done"

    return emits


async def test_a_run_whose_own_event_cannot_be_read_is_parked_and_goes_on_once_it_can() -> None:
    shop, processes = Shop(), Processes()
    known = that_emits(shop)
    await processes.killed_after(1, known, id="1")
    entries = processes.store.journal.runs["1"].entries
    [key] = [each for each in entries if each[0] == Kind.EMIT]
    good = entries[key]
    record = msgspec.json.decode(good.body)
    entries[key] = Entry(good.kind, good.key, msgspec.json.encode({**record, "body": {"v": 99}}))
    async with processes.one(known, subscribers=[shop.ear]) as workflows:
        with pytest.raises(WorkflowParked, match=r"the journal has event emit#0, the code can't read it") as caught:
            await workflows.handle("1").result()
        assert caught.value.journal == "event emit#0"
        assert shop.log == ["quick", "slow"]
        entries[key] = good
        await workflows.resume("1")
        assert await workflows.handle("1").result() == "done"
    assert shop.heard == [("order.placed", 3)]


async def test_a_step_of_a_run_that_was_parked_before_it_had_begun_is_not_undone() -> None:
    shop, processes = Shop(), Processes()
    line = shop.line(shop.step("only"))
    async with processes.one() as elsewhere:
        await elsewhere.start(line, id="1", delay=1)
    kept = processes.store.journal.runs["1"]
    good, kept.new = kept.new, msgspec.structs.replace(kept.new, input=b"{")
    async with processes.one(line) as workflows:
        with pytest.raises(WorkflowParked, match="can't read that"):
            await workflows.handle("1").result()
        kept.new = good
        await workflows.cancel("1")
        with pytest.raises(WorkflowCancelled):
            await workflows.handle("1").result()
    assert shop.log == []

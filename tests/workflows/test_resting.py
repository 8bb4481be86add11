"""Runs that only wait, and for long, do so in the journal: their places are for others."""

from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from postroom import Flow, PermanentFailure, Workflow, WorkflowFailed, Workflows, journalling, workflow
from postroom.journal import Entry
from postroom.testing.reference import ReferenceModule, sessions
from postroom.testing.reference.journal import ReferenceJournal
from postroom.workflows import WorkflowCancelled
from postroom.workflows.execution import Execution
from postroom.workflows.records import Kind, Signal, entry
from tests.workflows.processes import Processes
from tests.workflows.shop import Shop


def patient(shop: Shop, seconds: float, **options: Any) -> Workflow[str]:
    first, last = shop.step("first"), shop.step("last")

    @workflow(name="patient", **options)
    async def patient(flow: Flow) -> str:
        await flow.run(first)
        await flow.emit("began")
        await flow.sleep(seconds)
        await flow.run(last)
        return "rested"

    return patient


def expecting(shop: Shop, **options: Any) -> Workflow[str]:
    first, last = shop.step("first"), shop.step("last")

    @workflow(name="expecting")
    async def expecting(flow: Flow) -> str:
        await flow.run(first)
        told = await flow.wait_for("go", **options)
        await flow.run(last)
        return str(told)

    return expecting


async def test_one_that_sleeps_for_long_is_laid_down_and_goes_on_in_time() -> None:
    shop = Shop()
    known = patient(shop, 10_000)
    async with Processes().one(known, subscribers=[shop.ear]) as workflows:
        began = anyio.current_time()
        handle = await workflows.start(known, id="1")
        await anyio.sleep(50)
        assert (await handle.status()).in_hand
        await anyio.sleep(50)
        assert not (await handle.status()).in_hand
        assert await handle.result() == "rested"
        assert 10_000 <= anyio.current_time() - began <= 10_002
        assert (await handle.status()).losses == 0
    assert shop.log == ["first", "last"]
    assert shop.heard == [("began", None)]


async def test_its_place_is_for_another_one() -> None:
    shop = Shop()
    known, quick = patient(shop, 10_000), Shop().line(Shop().step("quick"))
    async with Processes().one(known, quick, capacity=1) as workflows:
        handle = await workflows.start(known, id="1")
        await anyio.sleep(1)
        with anyio.fail_after(200):
            await workflows.run(quick)
        assert await handle.result() == "rested"


async def test_a_short_sleep_keeps_its_place() -> None:
    shop = Shop()
    known = patient(shop, 100)
    async with Processes().one(known) as workflows:
        handle = await workflows.start(known, id="1")
        for _ in range(9):
            await anyio.sleep(11)
            assert (await handle.status()).in_hand
        assert await handle.result() == "rested"


async def test_a_signal_gets_it_up() -> None:
    shop = Shop()
    known = expecting(shop)
    async with Processes().one(known) as workflows:
        handle = await workflows.start(known, id="1")
        await anyio.sleep(100)
        assert not (await handle.status()).in_hand
        await workflows.signal("1", "go", "now")
        with anyio.fail_after(2):
            assert await handle.result() == "now"
    assert shop.log == ["first", "last"]


async def test_a_cancellation_gets_it_up_and_undoes_it() -> None:
    shop = Shop()
    known = expecting(shop)
    async with Processes().one(known) as workflows:
        handle = await workflows.start(known, id="1")
        await anyio.sleep(100)
        await handle.cancel()
        with pytest.raises(WorkflowCancelled), anyio.fail_after(2):
            await handle.result()
    assert shop.log == ["first", "-first"]


async def test_a_deadline_of_a_wait_and_of_a_nested_workflow_get_it_up() -> None:
    shop = Shop()
    known, inner = expecting(shop, within=500), patient(shop, 10_000, timeout=700)

    @workflow
    async def limited(flow: Flow) -> None:
        await flow.run(inner)

    async with Processes().one(known, limited) as workflows:
        began = anyio.current_time()
        handle = await workflows.start(known, id="1")
        other = await workflows.start(limited, id="2")
        await anyio.sleep(100)
        assert not (await handle.status()).in_hand
        assert not (await other.status()).in_hand
        with pytest.raises(WorkflowFailed, match="did not come"):
            await handle.result()
        assert 500 <= anyio.current_time() - began <= 502
        with pytest.raises(WorkflowFailed, match="took longer"):
            await other.result()
        assert 700 <= anyio.current_time() - began <= 702


async def test_one_whose_other_step_is_at_work_is_not_laid_down() -> None:
    shop = Shop()
    slow = shop.step("slow", seconds=1000)
    inner = patient(shop, 5000)

    @workflow
    async def both(flow: Flow) -> None:
        async with flow.together() as together:
            together.run(slow)
            together.run(inner)

    async with Processes().one(both) as workflows:
        handle = await workflows.start(both, id="1")
        await anyio.sleep(900)
        assert (await handle.status()).in_hand
        await anyio.sleep(200)
        assert not (await handle.status()).in_hand
        await handle.result()
    assert sorted(shop.log) == ["first", "last", "slow", "slow+"]


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_a_signal_that_comes_while_it_is_laid_down_is_not_lost(steps: int) -> None:
    known = expecting(Shop())
    async with Processes().one(known) as workflows:
        handle = await workflows.start(known, id="1")
        [run] = await running(workflows)
        while run.reason is None:
            await anyio.sleep(0.5)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        await workflows.signal("1", "go", PermanentFailure("no"))
        with pytest.raises(WorkflowFailed), anyio.fail_after(5):
            await handle.result()


async def test_a_signal_from_outside_that_comes_between_gets_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written after the run was told to rest, and before the store knows that it does."""
    known, processes = expecting(Shop()), Processes()
    hand_back = ReferenceJournal.hand_back

    async def slow(journal: ReferenceJournal, token: int, wait: float = 0.0, known: int | None = None) -> bool:
        async with ReferenceModule(processes.store).open("from outside") as outside:
            await outside.journal.signal("1", signal_of("go", "now"))
        await anyio.sleep(0.1)
        done = await hand_back(journal, token, wait, known)
        monkeypatch.undo()
        return done

    async with processes.one(known) as workflows:
        handle = await workflows.start(known, id="1")
        monkeypatch.setattr(ReferenceJournal, "hand_back", slow)
        with anyio.fail_after(100):
            assert await handle.result() == "now"


async def test_a_time_that_was_over_while_it_was_laid_down_undoes_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "EPOCH", journalling._VIRTUAL_EPOCH)
    shop, processes = Shop(), Processes()
    known = patient(shop, 10_000, timeout=500)
    async with processes.one(known) as workflows:
        await workflows.start(known, id="1")
        await anyio.sleep(100)
    await anyio.sleep(1000)
    async with processes.one(known) as workflows:
        with pytest.raises(WorkflowFailed, match="took longer than 500 s"):
            await workflows.handle("1").result()
    assert shop.log == ["first", "-first"]


def signal_of(name: str, value: str) -> Entry:
    return entry(Kind.SIGNAL, name, Signal(0.0, msgspec.Raw(msgspec.json.encode(value))))


async def running(workflows: Workflows) -> list[Execution]:
    """The runs that a block has in hand."""
    while not workflows._keeper.runs:
        await anyio.sleep(0.01)
    return list(workflows._keeper.runs.values())

"""Processes on a store that fails. Each was found by `tests.simulation --store`, or on the way to it."""

import pytest

from postroom import Event, Runtime, subscriber
from postroom.store_errors import UnknownResult
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.reference import ReferenceModule, ReferenceStore

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("later", [Fault.BUSY, Fault.FULL])
async def test_an_emit_whose_first_call_may_have_been_done_is_unknown_however_the_others_were_refused(
    later: Fault,
) -> None:
    handled: list[int] = []
    publishes = 0

    @subscriber("order.*")
    async def ledger(event: Event) -> None:
        handled.append(event.data)

    def plan(number: int, call: str) -> Fault | None:
        nonlocal publishes
        publishes += call == "publish"
        return None if call != "publish" else Fault.LOST_REPLY if publishes == 1 else later

    module = FaultyModule(ReferenceModule(ReferenceStore()), plan)
    async with Runtime(module=module, subscribers=[ledger]) as runtime:
        with pytest.raises(UnknownResult):
            await runtime.emit("order.placed", 1)
        await runtime.idle()
    assert handled == [1]

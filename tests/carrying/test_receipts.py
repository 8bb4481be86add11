"""Receipts of events in a store: what they take for an outcome of theirs."""

from postroom import Runtime, Succeeded
from postroom.carrying.receipts import StoredReceipt
from postroom.testing.reference import ReferenceModule


async def test_an_outcome_of_a_subscription_that_an_event_did_not_go_to_changes_nothing() -> None:
    async with Runtime(module=ReferenceModule()) as runtime:
        receipt = await runtime.emit("n")
        assert isinstance(receipt, StoredReceipt)
        receipt.settle(Succeeded("somebody else", None, 1, 0.0))
        assert receipt.report().outcomes == ()

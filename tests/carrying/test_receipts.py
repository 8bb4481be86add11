"""Which receipts a runtime on a store remembers: those that somebody holds, and hardly more."""

from postroom import Event
from postroom.carrying.receipts import FEWEST_SWEPT, Held, StoredReceipt
from postroom_actors import current_port


async def test_receipts_that_nobody_holds_are_forgotten_as_others_come() -> None:
    port, held_by = current_port(), Held[str]()
    for n in range(20 * FEWEST_SWEPT):
        held_by.add(str(n), StoredReceipt(Event("order.placed"), (), port=port))
        assert len(held_by.refs) <= FEWEST_SWEPT
    assert held_by.get("0") is None
    assert held_by.all() == []


async def test_receipts_that_are_held_are_found_and_swept_seldom() -> None:
    port, held_by = current_port(), Held[str]()
    held = [StoredReceipt(Event("order.placed"), (), port=port) for _ in range(5 * FEWEST_SWEPT)]
    for n, receipt in enumerate(held):
        held_by.add(str(n), receipt)
    assert all(held_by.get(str(n)) is receipt for n, receipt in enumerate(held))
    assert held_by.all() == held
    held.clear()
    for n in range(20 * FEWEST_SWEPT):
        held_by.add(f"again {n}", StoredReceipt(Event("order.placed"), (), port=port))
        assert len(held_by.refs) <= 10 * FEWEST_SWEPT  # twice what was held
    assert len(held_by.refs) <= FEWEST_SWEPT

"""Which receipts a runtime on a store remembers: those that somebody holds, and hardly more."""

from postroom import Event
from postroom.carrying.receipts import FEWEST_SWEPT, Firsts, StoredReceipt
from postroom_actors import current_port


async def test_receipts_that_nobody_holds_are_forgotten_as_others_come() -> None:
    port, firsts = current_port(), Firsts()
    for n in range(20 * FEWEST_SWEPT):
        firsts.add(str(n), StoredReceipt(Event("order.placed"), (), port=port))
        assert len(firsts) <= FEWEST_SWEPT
    assert firsts.get("0") is None
    assert firsts.all() == []


async def test_receipts_that_are_held_are_found_and_swept_seldom() -> None:
    port, firsts = current_port(), Firsts()
    held = [StoredReceipt(Event("order.placed"), (), port=port) for _ in range(5 * FEWEST_SWEPT)]
    for n, receipt in enumerate(held):
        firsts.add(str(n), receipt)
    assert all(firsts.get(str(n)) is receipt for n, receipt in enumerate(held))
    assert firsts.all() == held
    held.clear()
    for n in range(20 * FEWEST_SWEPT):
        firsts.add(f"again {n}", StoredReceipt(Event("order.placed"), (), port=port))
        assert len(firsts) <= 10 * FEWEST_SWEPT  # twice what was held
    assert len(firsts) <= FEWEST_SWEPT

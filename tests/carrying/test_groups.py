"""Groups in a store, as one runtime hears of them."""

from typing import Any

import anyio
import pytest

from postroom import Event, GroupCleared, Runtime, subscriber
from postroom.testing.reference import ReferenceModule


@subscriber("n")
async def work(event: Event) -> None: ...


async def test_all_receipts_of_one_id_hear_that_it_was_cleared() -> None:
    async with Runtime(module=ReferenceModule(), subscribers=[work]) as runtime:
        receipts: list[Any] = [await runtime.emit("n", 1, id="order-1", group="g") for _ in range(3)]
        assert await runtime.clear_group("g") == 1
        with anyio.fail_after(10):
            for receipt in receipts:
                with pytest.raises(GroupCleared):
                    await receipt

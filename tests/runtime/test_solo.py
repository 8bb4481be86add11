"""The part of a store that `SoloStore` answers for a module without other sessions."""

import pytest

from postroom import Unsupported
from postroom.solo import SoloStore


async def test_a_module_without_groups_refuses_each_call_for_them() -> None:
    store = SoloStore("Ledger")
    for call in (store.stage("g", (), None), store.release(1, "g"), store.clear("g", None, "")):
        with pytest.raises(Unsupported, match="Ledger"):
            await call

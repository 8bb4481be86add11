"""A module whose store can't be opened: the runtime is never entered."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs
import pytest

from postroom import Capability, InvalidOption, Runtime, RuntimeClosed, RuntimeReentered, StoreBroken
from postroom.testing.reference import ReferenceModule, ReferenceSession
from postroom.testing.reference.module import CAPABILITIES


@attrs.define(eq=False)
class Closed(ReferenceModule):
    """Has no store."""

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator[ReferenceSession]:
        raise StoreBroken("test", "it is not there", "Look for it.")
        yield


async def test_a_store_that_cannot_be_opened_is_told_as_itself_and_nothing_runs() -> None:
    runtime = Runtime(module=Closed())
    with pytest.raises(StoreBroken, match="it is not there"):
        async with runtime:
            pytest.fail("it was entered")
    with pytest.raises(RuntimeClosed):
        await runtime.emit("n")
    with pytest.raises(RuntimeReentered):
        async with runtime:
            pytest.fail("it was entered")


def test_a_module_with_a_store_that_promises_not_to_wait_is_refused() -> None:
    module = ReferenceModule(capabilities=CAPABILITIES | {Capability.NOWAIT})
    with pytest.raises(InvalidOption, match="declares the capability 'nowait', which Local alone can keep"):
        Runtime(module=module)

"""The event modules keep what event modules promise."""

from typing import Final

import pytest

from postroom import Capability, Local
from postroom.deduplication import WINDOW
from postroom.testing.conformance import Check, World, checks
from postroom.testing.reference import ReferenceModule, ReferenceStore
from postroom.testing.reference.module import CAPABILITIES

LESS: Final = frozenset({Capability.SHARED, Capability.KEYS})
LEAST: Final = frozenset[Capability]()


def reference(capabilities: frozenset[Capability] = CAPABILITIES) -> World:
    store = ReferenceStore()
    return World(
        lambda: ReferenceModule(store, capabilities),
        kill=ReferenceModule.kill,
        stall=ReferenceModule.stall,
        window=store.window,
    )


@pytest.mark.parametrize("check", checks(Local().capabilities, has_store=False, forgets=True), ids=str)
async def test_local(check: Check) -> None:
    await check(World(Local, window=WINDOW))


@pytest.mark.parametrize("check", checks(CAPABILITIES, kills=True, stalls=True, forgets=True), ids=str)
async def test_the_reference(check: Check) -> None:
    await check(reference())


@pytest.mark.parametrize("check", checks(LESS), ids=str)
async def test_a_module_that_promises_less(check: Check) -> None:
    await check(reference(LESS))


@pytest.mark.parametrize("check", checks(LEAST), ids=str)
async def test_a_module_that_promises_nothing_more_than_it_must(check: Check) -> None:
    await check(reference(LEAST))

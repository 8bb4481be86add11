"""Cancellations around workflows, at the places where they did harm once."""

import anyio

from postroom import Runtime, Workflows
from tests.workflows.shop import Shop


async def test_entering_the_block_where_all_is_cancelled_ends_at_once() -> None:
    async with Runtime() as runtime:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with Workflows(runtime):
                raise AssertionError("it was entered")
        assert scope.cancelled_caught
        async with Workflows(runtime, [Shop().line()]):
            pass

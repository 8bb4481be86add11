"""Processes that share a store, in one event loop: each a runtime with workflows, which may be killed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs

from postroom import Runtime, Workflow, Workflows
from postroom.store_errors import StoreBroken
from postroom.testing.reference import ReferenceModule, ReferenceStore


@attrs.define(eq=False)
class Processes:
    """Makes them."""

    store: ReferenceStore = attrs.field(factory=ReferenceStore)

    @asynccontextmanager
    async def one(self, *known: Workflow[Any], subscribers: Any = (), **options: Any) -> AsyncIterator[Workflows]:
        """A process that ends well."""
        async with (
            Runtime(module=ReferenceModule(self.store), subscribers=subscribers) as runtime,
            Workflows(runtime, known, **options) as workflows,
        ):
            yield workflows

    async def killed_after(self, seconds: float, known: Workflow[Any], *, subscribers: Any = (), **begin: Any) -> None:
        """A process that begins a run, and is killed some time later: it writes nothing more."""
        module = ReferenceModule(self.store)
        with anyio.CancelScope() as scope:
            try:
                async with (
                    Runtime(module=module, subscribers=subscribers) as runtime,
                    Workflows(runtime, [known], compensate_within=0) as workflows,
                ):
                    await workflows.start(known, **begin)
                    await anyio.sleep(seconds)
                    module.kill()
                    scope.cancel()
                    await anyio.sleep_forever()
            except* StoreBroken:
                pass

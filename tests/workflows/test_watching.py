"""Watching a run: the stream ends, whatever becomes of the run."""

import anyio
import pytest

from postroom import Local, Runtime
from postroom.testing.reference import ReferenceModule
from postroom.workflows import Flow, Workflows, step, workflow

pytestmark = pytest.mark.anyio


@step
async def sleep_for_long(seconds: float) -> None:
    await anyio.sleep(seconds)


@workflow
async def nap(flow: Flow, seconds: float) -> None:
    await flow.run(sleep_for_long, seconds)


@pytest.mark.parametrize("make", [Local, ReferenceModule])
async def test_the_stream_of_a_run_that_is_not_over_ends_with_the_block(make: type[Local | ReferenceModule]) -> None:
    seen: list[str] = []
    async with Runtime(module=make()) as runtime, anyio.create_task_group() as tasks:
        async with Workflows(runtime, [nap], drain_within=1) as workflows:
            handle = await workflows.start(nap, 1000)

            async def watch() -> None:
                seen.extend([change.kind async for change in handle.events()])
                seen.append("end")

            tasks.start_soon(watch)
            await anyio.sleep(1)
        with anyio.fail_after(100):
            while "end" not in seen:
                await anyio.sleep(1)
        assert [change async for change in handle.events()] == []

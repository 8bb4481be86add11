"""What is refused, or taken back, before it is on its way into a store."""

from typing import Any

import anyio
import msgspec
import pytest

from postroom import Event, Runtime, Unsupported, subscriber
from postroom.capabilities import Capability
from postroom.testing.reference import ReferenceModule, ReferenceStore
from tests.carrying.test_seldom import Answers, OwnModule


@pytest.mark.parametrize("change", [{"key": "k"}, {"priority": "high"}, {"delay": 5.0}])
async def test_an_interceptor_can_ask_no_more_of_a_module_than_an_emit(change: dict[str, Any]) -> None:
    def intercept(event: Event) -> Event:
        return msgspec.structs.replace(event, **change)

    store = ReferenceStore()
    module = ReferenceModule(store, frozenset({Capability.DURABLE}))
    async with Runtime(module=module, interceptors=[intercept]) as runtime:
        with pytest.raises(Unsupported):
            await runtime.emit("n")
        with pytest.raises(Unsupported):
            await runtime.emit_many([Event("n")])
    assert not store.known


async def test_a_staged_emit_that_is_given_up_before_it_is_on_its_way_is_taken_back() -> None:
    handled: list[object] = []

    @subscriber("n")
    async def clerk(event: Event) -> None:
        handled.append(event.data)

    answers = Answers()
    async with (
        Runtime(module=OwnModule(ReferenceStore(), answers=answers), subscribers=[clerk]) as runtime,
        anyio.create_task_group() as tasks,
    ):
        answers.hangs, answers.seconds = "publish", 10.0
        tasks.start_soon(runtime.emit, "n", "first")
        await anyio.sleep(1)
        with anyio.move_on_after(1):
            await runtime.emit("n", "given up", group="g")
        answers.hangs = ""
        await anyio.sleep(20)
        await runtime.emit("n", "staged", group="g")
        await runtime.release_group("g")
        await anyio.sleep(1)
    assert handled == ["first", "staged"]

"""An emit that finds a backlog full goes on as soon as there is room, whenever that is heard of."""

import anyio

from postroom import Event, Runtime, subscriber
from postroom.testing.faults import Fault, FaultyModule
from postroom.testing.reference import ReferenceModule


async def test_room_that_comes_between_a_refusal_and_its_answer_is_not_missed() -> None:
    handled: list[object] = []

    @subscriber("n", backlog=1, capacity=1)
    async def work(event: Event) -> None:
        handled.append(event.data)
        await anyio.sleep(3 if event.data == "in hand" else 0)

    # The store refuses after two seconds, has room after three, and answers after four: nothing moves afterwards.
    module = FaultyModule(ReferenceModule(), slowness=2.0)
    async with Runtime(module=module, subscribers=[work]) as runtime:
        await runtime.emit("n", "in hand")
        await runtime.emit("n", "waits")
        start = anyio.current_time()
        module.plan = lambda number, call: Fault.SLOW if call == "publish" and not module.faults else None
        with anyio.fail_after(100):
            await runtime.emit("n", "refused once")
        assert handled[:2] == ["in hand", "waits"]
        assert anyio.current_time() - start == 4.0
        assert [call for _, call, _ in module.faults] == ["publish"]
        await runtime.idle()
    assert handled == ["in hand", "waits", "refused once"]

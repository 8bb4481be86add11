"""What fails an attempt that stops its subscription has failed for good, as it was raised."""

import anyio
import pytest

from postroom import Event, Failed, Local, Retry, Runtime, Supervision, constant, subscriber
from postroom.contract import EventModule
from postroom.testing.reference import ReferenceModule


@pytest.mark.parametrize("durable", [False, True])
async def test_what_stops_its_subscription_is_not_tried_again_and_keeps_its_error(durable: bool) -> None:
    runs: list[object] = []

    @subscriber("n", supervision=Supervision(on={ValueError: "stop"}), retry=Retry(attempts=5, backoff=constant(1)))
    async def fragile(event: Event) -> None:
        runs.append(event.data)
        raise ValueError("really")

    module: Local | EventModule = ReferenceModule() if durable else Local()
    async with Runtime(module=module, subscribers=[fragile]) as runtime:
        receipt = await runtime.emit("n", 1)
        with anyio.fail_after(60):
            outcome = (await receipt).of("fragile")
        await anyio.sleep(30)
        (letter,) = await runtime.dead_letters.list()
    assert isinstance(outcome, Failed)
    assert (type(outcome.exception), str(outcome.exception), outcome.attempts) == (ValueError, "really", 1)
    assert "really" in str(letter.exception)
    assert (letter.reason, letter.attempts, runs) == ("ValueError in attempt 1: really", 1, [1])

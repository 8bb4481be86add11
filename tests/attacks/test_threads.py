"""Promise 2: a plain function that hangs changes nothing for other subscriptions."""

import threading

import anyio
import pytest

from postroom import Event, Runtime


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_plain_functions_that_hang_leave_threads_to_other_subscriptions(backend: str) -> None:
    release = threading.Event()
    handled = threading.Event()

    def hangs(event: Event) -> None:
        release.wait(20)

    def quick(event: Event) -> None:
        handled.set()

    async def main() -> None:
        async with Runtime(watchdog=None) as runtime:
            await runtime.spawn(hangs, "hang", concurrency=40)
            await runtime.spawn(quick, "quick")
            for _ in range(40):
                await runtime.emit("hang")
            await anyio.sleep(0.2)
            with anyio.move_on_after(0.5):
                await runtime.emit_and_wait("quick")
            in_time.append(handled.is_set())
            release.set()

    in_time: list[bool] = []
    anyio.run(main, backend=backend)
    assert in_time == [True]

"""The ports to trio and asyncio: whose loop it is, and cancellations that nobody has asked for."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing

import anyio
import pytest
import trio

from postroom_actors import Port, current_port
from postroom_actors.generators import listening
from postroom_actors.on_asyncio import AsyncioPort
from postroom_actors.on_trio import _WOKEN


def looked_at_from(run_there: bool, port: Port) -> bool:
    """Whether a port is told to run in another thread: in one with a loop of its own, or without any."""
    seen: list[bool] = []

    async def look() -> None:
        seen.append(port.runs_here())

    def elsewhere() -> None:
        if run_there:
            anyio.run(look, backend=port.library)
        else:
            seen.append(port.runs_here())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    return seen[0]


@pytest.mark.parametrize("run_there", [True, False])
async def test_a_port_runs_in_its_own_loop_and_neither_in_another_nor_outside_of_all(run_there: bool) -> None:
    port = current_port()
    assert port.runs_here()
    assert not looked_at_from(run_there, port)


def test_a_cancellation_that_comes_while_others_are_taken_back_comes_out() -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        loop.call_soon(task.cancel)
        try:
            await AsyncioPort(loop).absorb_cancellations()
        except asyncio.CancelledError:
            return True
        return False

    assert asyncio.run(main())


async def of_anybody() -> AsyncGenerator[str, None]:
    yield "something"


def in_a_coroutine() -> Generator[str, None, str]:
    given = yield "ready"
    return str(given)


def test_what_a_sleeper_wakes_up_with_is_an_outcome_as_trio_knows_them_and_may_be_used_again() -> None:
    for _ in range(2):
        _WOKEN.unwrap()
        waiting = in_a_coroutine()
        next(waiting)
        with pytest.raises(StopIteration, match="None"):
            _WOKEN.send(waiting)

    async def main() -> str:
        async with aclosing(of_anybody()) as generator:
            return await _WOKEN.asend(generator)

    assert trio.run(main) == "something"


def test_generators_are_listened_to_where_nobody_else_listens() -> None:
    generator = of_anybody()
    with listening(lambda: None):
        with pytest.raises(StopIteration, match="something"):
            generator.__anext__().send(None)
        del generator

"""Promise 2: what one subscription does changes nothing for another one: not its order, life or latency."""

from typing import Any, Literal

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Event, Retry, Runtime, Succeeded, constant
from postroom.subscriber import OverflowPolicy
from tests.promises.quick import LIBRARIES, Library, quick, run

Trouble = Literal["none", "raises", "raises_a_group", "hangs", "slow", "raises_base", "stops"]


@attrs.frozen
class Neighbour:
    """How a second subscription to the same events is set up, and what it does."""

    trouble: Trouble
    overflow: OverflowPolicy
    attempts: int
    concurrency: int


neighbours = st.builds(
    Neighbour,
    trouble=st.sampled_from(["raises", "raises_a_group", "hangs", "slow", "raises_base", "stops"]),
    overflow=st.sampled_from(["drop_oldest", "drop_newest"]),
    attempts=st.integers(1, 3),
    concurrency=st.integers(1, 2),
)
plans = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([None, "k"]), st.sampled_from([0.0, 0.5, 3.0])),
    min_size=1,
    max_size=15,
)


async def what_one_sees(
    plan: list[tuple[str, str | None, float]], neighbour: Neighbour, work: float
) -> list[tuple[int, int]]:
    """Run the plan; returns what the quiet subscription handled, and when, in milliseconds."""
    seen: list[tuple[int, int]] = []

    async def quiet(event: Event) -> None:
        seen.append((event.data, round(1000 * (anyio.current_time() - start))))
        await anyio.sleep(work)

    async def troubled(event: Event) -> None:
        match neighbour.trouble:
            case "raises":
                raise ValueError
            case "raises_a_group":
                raise ExceptionGroup("both", [ValueError(), KeyError()])
            case "raises_base":
                raise GeneratorExit
            case "hangs":
                await anyio.sleep_forever()
            case "slow":
                await anyio.sleep(1)
            case "stops":
                raise ValueError

    options: dict[str, Any] = {"capacity": 2, "overflow": neighbour.overflow, "concurrency": neighbour.concurrency}
    retry = Retry(attempts=neighbour.attempts, backoff=constant(0.3))
    async with Runtime(drain_within=1000) as runtime:
        await runtime.spawn(troubled, "**", timeout=2, retry=retry, **options)
        await runtime.spawn(quiet, "**", capacity=100)
        start = anyio.current_time()
        for number, (name, key, pause) in enumerate(plan):
            await runtime.emit(name, number, key=key)
            await anyio.sleep(pause)
            if neighbour.trouble == "stops" and number == 1:
                await runtime.subscriptions["troubled"].stop(drain=False)
        assert runtime.subscriptions["quiet"].stats.failed == 0
    return seen


@pytest.mark.parametrize("library", LIBRARIES)
@given(plan=plans, neighbour=neighbours, work=st.sampled_from([0.0, 1.0]))
@quick
def test_one_sees_the_same_events_in_the_same_order_at_the_same_times_whatever_its_neighbour_does(
    library: Library, plan: list[tuple[str, str | None, float]], neighbour: Neighbour, work: float
) -> None:
    undisturbed = attrs.evolve(neighbour, trouble="none")
    expected = run(library, lambda: what_one_sees(plan, undisturbed, work))
    assert run(library, lambda: what_one_sees(plan, neighbour, work)) == expected
    assert [number for number, _ in expected] == list(range(len(plan)))


async def test_a_neighbour_that_floods_itself_holds_nobody_back() -> None:
    times: list[float] = []

    async def floods(event: Event) -> None:
        for _ in range(100):
            runtime.emit_nowait("flood")

    async def quiet(event: Event) -> None:
        times.append(anyio.current_time() - start)

    async with Runtime(causation_depth=3, drain_within=0) as runtime:
        await runtime.spawn(floods, "flood", capacity=50, overflow="drop_newest")
        await runtime.spawn(quiet, "tick")
        start = anyio.current_time()
        runtime.emit_nowait("flood")
        for _ in range(5):
            await runtime.emit("tick")
            await anyio.sleep(1)
    assert times == pytest.approx([0, 1, 2, 3, 4])


async def test_an_accepted_delivery_never_waits_for_another_ones_mailbox() -> None:
    async def hangs(event: Event) -> None:
        await anyio.sleep_forever()

    async def quick_one(event: Event) -> str:
        return "done"

    async with Runtime(drain_within=0) as runtime:
        await runtime.spawn(hangs, "a", capacity=1)
        await runtime.spawn(quick_one, "*")
        for _ in range(2):
            await runtime.emit("a")
            await anyio.sleep(1)
        with anyio.move_on_after(5):
            await runtime.emit("a")
        report = await runtime.emit_and_wait("b")
        assert isinstance(report.of("quick_one"), Succeeded)
        assert runtime.subscriptions["quick_one"].stats.succeeded == 4

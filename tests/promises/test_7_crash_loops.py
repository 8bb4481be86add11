"""Promise 7, goal R21: a subscriber that crashes in a loop stops after its intensity, is reported, and harms nobody.

`pytest -m supervision -s` prints what was covered.
"""

import itertools
from collections import Counter
from functools import partial
from typing import Final, Literal

import anyio
import attrs
import pytest

from postroom import (
    Actor,
    Event,
    Failed,
    Outcome,
    Retry,
    Runtime,
    Siblings,
    SubscriptionStopped,
    Succeeded,
    Supervision,
    constant,
    on,
    subscriber,
)
from tests.promises.quick import LIBRARIES, Library, run

pytestmark = pytest.mark.supervision

Moment = Literal["handling", "starting", "living"]

WITHIN: Final = 10.0
TICKS: Final = [float(number) for number in range(1, 21)]
MOMENTS: Final[tuple[Moment, ...]] = ("handling", "starting", "living")
INTENSITIES: Final = (0, 1, 3, 5)
BEYOND: Final[tuple[Literal["stop", "escalate"], ...]] = ("stop", "escalate")


class Crash(Exception):
    """On purpose."""


@attrs.frozen(kw_only=True)
class Case:
    """A program: an actor crashes so often beyond its intensity, at one moment of its life, so many seconds apart."""

    moment: Moment
    intensity: int
    extra: int
    apart: float = 0.01
    attempts: int = 1
    beyond: Literal["stop", "escalate"] = "stop"
    siblings: bool = False

    @property
    def crashes(self) -> int:
        return self.intensity + self.extra

    @property
    def is_too_much(self) -> bool:
        return self.extra > 0 and self.apart * self.intensity <= WITHIN


BURSTS: Final = [
    Case(moment=moment, intensity=intensity, extra=extra, beyond=beyond, siblings=siblings)
    for moment, intensity, extra, beyond, siblings in itertools.product(
        MOMENTS, INTENSITIES, (0, 1), BEYOND, (False, True)
    )
]
RETRIED: Final = [
    Case(moment="handling", intensity=intensity, extra=extra, attempts=4)
    for intensity, extra in itertools.product(INTENSITIES, (0, 1))
]
SPREAD: Final = [
    Case(moment=moment, intensity=intensity, extra=20, apart=share * WITHIN / intensity)
    for moment, intensity, share in itertools.product(MOMENTS, (1, 3), (0.9, 1.1))
]
CASES: Final = [*BURSTS, *RETRIED, *SPREAD]


@attrs.define(eq=False)
class Account:
    """What came of a program: of the one that crashes, and of the other, which is told of each tick."""

    restarts: int = 0
    failure: Exception | None = None
    is_at_work: bool = True
    fell: list[BaseException] = attrs.field(factory=list)
    crashed: list[Outcome] = attrs.field(factory=list)
    waited: list[Outcome] = attrs.field(factory=list)
    afterwards: list[Outcome] = attrs.field(factory=list)
    changes: Counter[str] = attrs.field(factory=Counter)
    ticks: list[float] = attrs.field(factory=list)
    pending: int = 0


class Fragile(Actor):
    """Crashes as often as it is told to: at an event, when it is started, or in a task in its background."""

    def __init__(self, failing_starts: list[int]) -> None:
        self.failing_starts = failing_starts

    async def started(self) -> None:
        if self.failing_starts[0]:
            self.failing_starts[0] -= 1
            raise Crash
        self.tasks = await self.scope.enter_async_context(anyio.create_task_group())

    async def stopped(self) -> None:
        self.tasks.cancel_scope.cancel()

    @on("crash")
    async def crash(self, event: Event) -> None:
        if event.data != "living":
            raise Crash
        self.tasks.start_soon(self.fail)

    async def fail(self) -> None:
        raise Crash

    @on("work")
    async def work(self, event: Event) -> str:
        return "done"


def play(library: Library, case: Case) -> Account:
    """Run a program."""
    account = Account()

    async def program() -> None:
        began = anyio.current_time()

        @subscriber("tick")
        async def other(event: Event) -> None:
            account.ticks.append(round(anyio.current_time() - began, 3))

        runtime = Runtime(subscribers=[other], drain_within=1000)
        async with runtime.watch() as changes:
            try:
                async with runtime, anyio.create_task_group() as tasks:
                    tasks.start_soon(_tick, runtime, began)
                    await _crash(runtime, case, account)
            except* Crash as group:
                account.fell.extend(group.exceptions)
            account.changes.update([each.kind async for each in changes if each.subscription == "fragile"])
            account.pending = runtime.stats.pending

    run(library, program)
    return account


async def _tick(runtime: Runtime, began: float) -> None:
    for tick in TICKS:
        await anyio.sleep_until(began + tick)
        await runtime.emit("tick")


async def _crash(runtime: Runtime, case: Case, account: Account) -> None:
    policy = Supervision(
        default="restart",
        intensity=case.intensity,
        within=WITHIN,
        beyond=case.beyond,
        backoff=constant(case.apart) if case.moment == "starting" else None,
    )
    retry = Retry(attempts=case.attempts, backoff=constant(0.0))
    at_start = case.moment == "starting"
    fragile = subscriber(name="fragile", supervision=policy, retry=retry)(
        partial(Fragile, [case.crashes if at_start else 0])
    )
    if case.siblings:
        together = Siblings([fragile], intensity=case.intensity, within=WITHIN, beyond=case.beyond)
        (subscription,) = await runtime.supervise(together)
    else:
        subscription = await runtime.spawn(fragile)
    try:
        for _ in range(0 if at_start else case.crashes):
            crash, work = await runtime.emit_many([Event("crash", case.moment), Event("work")])
            account.crashed += (await crash).outcomes
            account.waited += (await work).outcomes
            await anyio.sleep(case.apart)
        await anyio.sleep(case.apart * case.crashes if at_start else 0.01)
        account.afterwards += (await runtime.emit_and_wait("work")).outcomes
        await anyio.sleep(0.1)
    finally:
        account.restarts = subscription.stats.restarts
        account.failure = subscription.failure
        account.is_at_work = "fragile" in runtime.subscriptions


def name_of(case: Case) -> str:
    said = [case.moment, f"{case.crashes}-of-{case.intensity}", case.beyond]
    said += ["siblings"] * case.siblings + [f"{case.attempts}-attempts"] * (case.attempts > 1)
    return "-".join([*said, *([f"{case.apart:.1f}s"] * (case.apart > 0.01))])


def leaves_of(error: BaseException) -> list[BaseException]:
    """What failed in the background comes in the group of its task group."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves_of(each)]
    return [error]


every_library = pytest.mark.parametrize("library", LIBRARIES)


@every_library
@pytest.mark.parametrize("case", [case for case in CASES if not case.is_too_much], ids=name_of)
def test_crashes_within_the_intensity_are_absorbed(library: Library, case: Case) -> None:
    account = play(library, case)
    assert account.is_at_work
    assert account.restarts == account.changes["restarted"] == case.crashes * case.attempts
    assert [each.value for each in account.afterwards if isinstance(each, Succeeded)] == ["done"]
    assert all(isinstance(each, Succeeded) for each in account.waited)
    assert account.fell == []
    assert account.ticks == TICKS
    assert account.pending == 0


@every_library
@pytest.mark.parametrize("case", [case for case in CASES if case.is_too_much and case.beyond == "stop"], ids=name_of)
def test_one_crash_more_stops_the_subscriber_and_is_reported_and_others_are_untouched(
    library: Library, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    account = play(library, case)
    assert not account.is_at_work
    assert account.restarts == account.changes["restarted"] == case.intensity * case.attempts
    assert account.failure is not None
    assert [type(each) for each in leaves_of(account.failure)] == [Crash]
    assert f"fragile is stopped by its supervision: more than {case.intensity} restart(s) in 10 s" in caplog.text
    assert account.changes["stopped"] == 1
    assert account.afterwards == []  # nobody subscribes to it any more
    assert account.fell == []
    assert account.ticks == TICKS
    assert account.pending == 0


@every_library
@pytest.mark.parametrize("attempts", [1, 4])
def test_what_waits_in_the_mailbox_of_the_one_that_stops_fails_and_is_kept(library: Library, attempts: int) -> None:
    account = play(library, Case(moment="handling", intensity=2, extra=1, attempts=attempts))
    assert [type(each) for each in account.crashed] == [Failed] * 3
    assert [type(each) for each in account.waited] == [Succeeded, Succeeded, Failed]
    last = account.waited[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.exception, SubscriptionStopped)
    assert isinstance(last.exception.__cause__, Crash)
    assert account.changes["dead_letter"] == 4


@every_library
@pytest.mark.parametrize("case", [case for case in CASES if case.is_too_much and case.beyond != "stop"], ids=name_of)
def test_one_crash_more_lets_the_runtime_fall_where_the_policy_says_so(library: Library, case: Case) -> None:
    account = play(library, case)
    assert [type(leaf) for each in account.fell for leaf in leaves_of(each)] == [Crash]
    assert account.changes["restarted"] == case.intensity
    assert account.restarts == case.intensity
    assert account.ticks == TICKS[: len(account.ticks)]
    assert account.pending == 0


def test_the_programs_cover_the_goal() -> None:
    """Every moment with every intensity, absorbed, stopped and escalated, alone and as siblings, on both backends."""
    accounts = [(library, case, play(library, case)) for library in LIBRARIES for case in CASES]
    seen = Counter(
        (library, case.moment, case.intensity, "fell" if each.fell else "absorbed" if each.is_at_work else "stopped")
        for library, case, each in accounts
    )
    crashes = Counter(case.moment for _, case, _ in accounts for _ in range(case.crashes))
    print("R21:", len(accounts), "programs,", sum(each.restarts for *_, each in accounts), "restarts")
    for moment in MOMENTS:
        fates = Counter(fate for (_, at, _, fate) in seen.elements() if at == moment)
        print(f"  crashes while {moment}: {crashes[moment]}; programs {dict(sorted(fates.items()))}")
    print("  ticks of the other subscription:", sum(len(each.ticks) for *_, each in accounts), "all in order, in time")
    wanted = itertools.product(LIBRARIES, MOMENTS, INTENSITIES, ("absorbed", "stopped", "fell"))
    assert [each for each in wanted if not seen[each]] == []
    assert all(each.ticks == TICKS[: len(each.ticks)] for *_, each in accounts)

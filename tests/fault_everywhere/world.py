"""One run with faults: processes on one store that fails as planned, and what has to hold whatever failed.

Units: virtual seconds.
"""

import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any, Final

import anyio
import attrs

from postroom import Context, Event, Receipt, Runtime, Subscriber, subscriber
from postroom.errors import Full, PostroomError
from postroom.store_errors import UnknownResult
from postroom.testing.faults import FaultyModule, Plan
from postroom.testing.reference import ReferenceModule, ReferenceStore

LIMIT: Final = 300.0
"""After so long at the most everything has settled, once the store has healed."""


@attrs.define(eq=False, repr=False)
class Processes:
    """What a scenario has to work with, and what it has seen.

    Attributes:
        done: Data of each event whose emit has returned.
        unknown: Data of each one whose emit has raised `UnknownResult`.
        refused: Data of each one whose emit has raised anything else.
        handled: Data of each attempt that succeeded or failed, by subscription.
        receipts: Of each emit that has returned.
        runtimes: All that were opened.
    """

    plan: Plan
    store: ReferenceStore = attrs.field(factory=ReferenceStore)
    modules: list[FaultyModule] = attrs.field(factory=list)
    done: list[Any] = attrs.field(factory=list)
    unknown: list[Any] = attrs.field(factory=list)
    refused: list[Any] = attrs.field(factory=list)
    handled: "Counter[tuple[str, Any, int]]" = attrs.field(factory=Counter)
    receipts: list[Receipt] = attrs.field(factory=list)
    runtimes: list[Runtime] = attrs.field(factory=list)
    dropped: set[Any] = attrs.field(factory=set)
    calls: int = 0
    may_repeat: bool = False

    @asynccontextmanager
    async def open(self, *subscribers: Subscriber[..., Any], **options: Any) -> AsyncGenerator[Runtime]:
        module = FaultyModule(ReferenceModule(self.store), self._fault)
        self.modules.append(module)
        ids = (f"{len(self.modules)}-{number}" for number in itertools.count())
        options |= {"random": Random(0), "ids": lambda: next(ids)}
        async with Runtime(module=module, subscribers=subscribers, **options) as runtime:
            self.runtimes.append(runtime)
            yield runtime
        # Whose last call has failed, for as long as a runtime waits at its end: what it had handled is handled again.
        self.may_repeat |= bool(module.faults) and module.faults[-1][0] == module.calls

    def _fault(self, number: int, call: str) -> Any:
        self.calls += 1
        return self.plan(self.calls, call)

    def handler(
        self, *patterns: str, name: str = "ledger", then: Callable[[Event, Context], Awaitable[object]] | None = None,
        **options: Any,
    ) -> Subscriber[..., Any]:  # fmt: skip
        async def handle(event: Event, context: Context) -> object:
            self.handled[name, event.data, context.attempt] += 1
            return None if then is None else await then(event, context)

        return subscriber(*(patterns or ("order.*",)), name=name, **options)(handle)

    async def emit(self, data: Any, emit: Callable[[], Awaitable[Any]]) -> Receipt | None:
        """Make an emit of one event, or of several; notes what has become of it."""
        several = data if isinstance(data, list) else [data]
        try:
            result = await emit()
        except UnknownResult:
            self.unknown += several
        except PostroomError:
            self.refused += several
        else:
            self.done += several
            self.receipts += result if isinstance(result, list) else [result]
            return result if isinstance(result, Receipt) else None
        return None

    def check(self) -> None:
        """Raises AssertionError where something does not hold."""
        handled: Counter[Any] = Counter()
        for (name, data, attempt), count in self.handled.items():
            assert count == 1 or self.may_repeat, f"{name} was given {data!r} {count} times in attempt {attempt}"
            handled[data] = 1
        for data in self.done:
            assert handled[data] == (data not in self.dropped), (
                f"{data!r} was accepted, and handled {handled[data]} times"
            )
        for data in self.refused:
            assert not handled[data], f"{data!r} was refused, and handled"
        for data in self.unknown:
            assert handled[data] <= 1, f"nobody knew of {data!r}, and it was handled {handled[data]} times"
        assert not self.store.deliveries, f"left in the store: {self.store.deliveries}"
        assert not self.store.sessions, "a session has not ended"
        assert not self.store.groups, f"left staged: {self.store.groups}"
        for runtime in self.runtimes:
            stats = runtime.stats
            ended = stats.succeeded + stats.failed + stats.dropped + stats.expired + stats.cancelled + stats.returned
            assert stats.pending == 0, f"pending at the end: {stats}"
            assert stats.deliveries == ended, f"not conserved: {stats}"
        assert all(receipt.settled for receipt in self.receipts), "a receipt has not settled"


Scenario = Callable[[Processes], Awaitable[None]]


async def persist(call: Callable[[], Awaitable[Any]]) -> Any:
    """Make a call again until it is done: what users do about a store that is busy.

    Cancellation: as the call.
    """
    while True:
        try:
            return await call()
        except (Full, UnknownResult):
            await anyio.sleep(1)


async def run(scenario: Scenario, plan: Plan) -> Processes:
    """Run a scenario under a plan, and check what has to hold.

    Raises:
        AssertionError, TimeoutError: something does not.
    """
    processes = Processes(plan)
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(LIMIT))
        await scenario(processes)
    processes.check()
    return processes

"""The journal of Local: in memory, with one session, the process itself.

Units: seconds on the event loop's clock.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal, TypeVar

import anyio
import anyio.lowlevel
import attrs

from .contract import Answer, Emit, Notice
from .journal import Entry, NewRun, RunLoan, RunState, StoredRun, Taken
from .memory_journal import Accept, MemoryJournal

T = TypeVar("T")

SESSION: Final = "local"
"""What the only session is called."""


@attrs.define(eq=False)
class LocalJournal:
    """A `Journal` for the runs of one process, which end with it.

    Cancellation, of every call: cancelled before its only step, it has not happened.

    Attributes:
        accept: Accepts the events of a run that is concluded, all or none, at once.
        tell: Told of runs that were written to from outside or are over, as `News.notices` says it.
        mail: Called when there may be runs to take up.
        time: Reads the seconds since the epoch.
        loop_time: Reads the event loop's clock.
    """

    accept: Accept
    tell: Callable[[Notice], None]
    mail: Callable[[], None]
    time: Callable[[], float]
    loop_time: Callable[[], float] = anyio.current_time
    _kept: MemoryJournal = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = MemoryJournal(lambda session, notice: self.tell(notice), self.mail)

    async def _step(self, step: Callable[[float], T]) -> T:
        await anyio.lowlevel.checkpoint()
        return step(self._now())

    def record_now(self, token: int, entries: Sequence[Entry], state: RunState | None) -> bool:
        """As `record`, but never a checkpoint."""
        return self._kept.record(SESSION, token, entries, state, self._now())

    def conclude_now(
        self,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None = None,
    ) -> "Answer | Literal[False] | None":
        """As `conclude`, but never a checkpoint."""
        return self._kept.conclude(SESSION, token, state, result, events, keep, unless, self.accept, self._now())

    def _now(self) -> float:
        now = self.loop_time()
        self._kept.epoch = self.time() - now
        self._kept.expire(now)
        return now

    async def begin(self, number: int, new: NewRun, *, lend: bool) -> RunLoan | StoredRun | None:
        return await self._step(lambda now: self._kept.begin(SESSION, number, new, lend, now))

    async def take(self, workflows: Mapping[str, int]) -> Taken:
        return await self._step(lambda now: self._kept.take(SESSION, workflows, now))

    async def record(self, token: int, entries: Sequence[Entry], state: RunState | None = None) -> bool:
        await anyio.lowlevel.checkpoint()
        return self.record_now(token, entries, state)

    async def conclude(
        self,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None = None,
    ) -> "Answer | Literal[False] | None":
        await anyio.lowlevel.checkpoint()
        return self.conclude_now(token, state, result, events, keep, unless)

    async def hand_back(self, token: int, wait: float = 0.0, known: int | None = None) -> bool:
        return await self._step(lambda now: self._kept.hand_back(SESSION, token, wait, known, now))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self._step(lambda now: self._kept.give_back(SESSION, now, lost=False, holding=holding))

    async def signal(self, run: str, entry: Entry) -> bool:
        return await self._step(lambda now: self._kept.signal(run, entry, now))

    async def wake(self, run: str) -> bool:
        return await self._step(lambda now: self._kept.wake(run, now))

    async def reopen(self, run: str, entry: Entry) -> bool:
        return await self._step(lambda now: self._kept.reopen(run, entry, now))

    async def run(self, id: str, *, watch: bool = False) -> RunLoan | None:
        return await self._step(lambda now: self._kept.run(SESSION, id, watch, now))

    async def runs(
        self, workflow: str | None, states: Collection[RunState] | None, after: str | None, limit: int
    ) -> list[StoredRun]:
        return await self._step(lambda now: self._kept.listing(workflow, states, after, limit))

    async def forget(self, runs: Collection[str]) -> int:
        return await self._step(lambda now: self._kept.forget(runs))

"""The journal of a session on the reference store."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

import attrs

from postroom.contract import Answer, Emit
from postroom.journal import Entry, NewRun, RunLoan, RunState, StoredRun, Taken

from .store import ReferenceStore

T = TypeVar("T")


class Step(Protocol):
    """One step of the store, in which its time stands still."""

    def __call__(self, step: Callable[[float], T], /) -> Awaitable[T]: ...


@attrs.frozen(eq=False)
class ReferenceJournal:
    """One session: each call is one step of the store; see `Journal` for what it means."""

    store: ReferenceStore
    session: str
    _step: Step

    async def begin(self, number: int, new: NewRun, *, lend: bool) -> RunLoan | StoredRun | None:
        return await self._step(lambda now: self.store.journal.begin(self.session, number, new, lend, now))

    async def take(self, workflows: Mapping[str, int]) -> Taken:
        return await self._step(lambda now: self.store.journal.take(self.session, workflows, now))

    async def record(self, token: int, entries: Sequence[Entry], state: RunState | None = None) -> bool:
        return await self._step(lambda now: self.store.journal.record(self.session, token, entries, state, now))

    async def conclude(
        self,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None = None,
    ) -> "Answer | Literal[False] | None":
        return await self._step(
            lambda now: self.store.conclude(self.session, token, state, result, events, keep, unless, now)
        )

    async def hand_back(self, token: int, wait: float = 0.0, known: int | None = None) -> bool:
        return await self._step(lambda now: self.store.journal.hand_back(self.session, token, wait, known, now))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self._step(lambda now: self.store.journal.give_back(self.session, now, lost=False, holding=holding))

    async def signal(self, run: str, entry: Entry) -> bool:
        return await self._step(lambda now: self.store.journal.signal(run, entry, now))

    async def wake(self, run: str) -> bool:
        return await self._step(lambda now: self.store.journal.wake(run, now))

    async def reopen(self, run: str, entry: Entry) -> bool:
        return await self._step(lambda now: self.store.journal.reopen(run, entry, now))

    async def run(self, id: str, *, watch: bool = False) -> RunLoan | None:
        return await self._step(lambda now: self.store.journal.run(self.session, id, watch, now))

    async def runs(
        self, workflow: str | None, states: Collection[RunState] | None, after: str | None, limit: int
    ) -> list[StoredRun]:
        return await self._step(lambda now: self.store.journal.listing(workflow, states, after, limit))

    async def forget(self, runs: Collection[str]) -> int:
        return await self._step(lambda now: self.store.journal.forget(runs))

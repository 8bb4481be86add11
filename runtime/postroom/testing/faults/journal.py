"""The journal of a session whose calls fail as its module says."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

import attrs

from postroom.contract import Answer, Emit
from postroom.journal import Entry, Journal, NewRun, RunLoan, RunState, StoredRun, Taken

T = TypeVar("T")


class Call(Protocol):
    """Makes a call of a name, or lets it fail."""

    def __call__(self, name: str, call: Callable[[], Awaitable[T]], /) -> Awaitable[T]: ...


class Listing(Protocol):
    """Makes a call of a name that lists what there is, asked for by some arguments; or lets it fail."""

    def __call__(self, name: str, asked: Hashable, call: Callable[[], Awaitable[T]], /) -> Awaitable[T]: ...


@attrs.frozen(eq=False)
class FaultyJournal:
    """A journal, and what makes its calls."""

    journal: Journal
    _call: Call
    _list: Listing

    async def begin(self, number: int, new: NewRun, *, lend: bool) -> RunLoan | StoredRun | None:
        return await self._call("begin", lambda: self.journal.begin(number, new, lend=lend))

    async def take(self, workflows: Mapping[str, int]) -> Taken:
        return await self._call("take", lambda: self.journal.take(workflows))

    async def record(self, token: int, entries: Sequence[Entry], state: RunState | None = None) -> bool:
        return await self._call("record", lambda: self.journal.record(token, entries, state))

    async def conclude(
        self,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None = None,
    ) -> "Answer | Literal[False] | None":
        return await self._call("conclude", lambda: self.journal.conclude(token, state, result, events, keep, unless))

    async def hand_back(self, token: int, wait: float = 0.0, known: int | None = None) -> bool:
        return await self._call("hand_back", lambda: self.journal.hand_back(token, wait, known))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self._call("reclaim runs", lambda: self.journal.reclaim(holding))

    async def signal(self, run: str, entry: Entry) -> bool:
        return await self._call("signal", lambda: self.journal.signal(run, entry))

    async def wake(self, run: str) -> bool:
        return await self._call("wake", lambda: self.journal.wake(run))

    async def reopen(self, run: str, entry: Entry) -> bool:
        return await self._call("reopen", lambda: self.journal.reopen(run, entry))

    async def run(self, id: str, *, watch: bool = False) -> RunLoan | None:
        return await self._call("run", lambda: self.journal.run(id, watch=watch))

    async def runs(
        self, workflow: str | None, states: Collection[RunState] | None, after: str | None, limit: int
    ) -> list[StoredRun]:
        asked = (workflow, None if states is None else frozenset(states), after, limit)
        return await self._list("runs", asked, lambda: self.journal.runs(workflow, states, after, limit))

    async def forget(self, runs: Collection[str]) -> int:
        return await self._call("forget", lambda: self.journal.forget(runs))

"""The journal of a session, as the runtime sees it: each call is a step that the worker runs, and its result."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias, cast

import attrs

from postroom.contract import Answer, Emit
from postroom.journal import Entry, NewRun, RunLoan, RunState, StoredRun, Taken

from . import journalling
from .transaction import Transaction

Run: TypeAlias = Callable[[Callable[[Transaction], Any]], Awaitable[Any]]


@attrs.frozen(eq=False)
class SqliteJournal:
    """What a session keeps of workflows; see `Journal` in the contract for what each call means."""

    _run: Run

    async def begin(self, number: int, new: NewRun, *, lend: bool) -> RunLoan | StoredRun | None:
        return cast(
            "RunLoan | StoredRun | None", await self._run(partial(journalling.begin, number=number, new=new, lend=lend))
        )

    async def take(self, workflows: Mapping[str, int]) -> Taken:
        return cast("Taken", await self._run(partial(journalling.take, workflows=workflows)))

    async def record(self, token: int, entries: Sequence[Entry], state: RunState | None = None) -> bool:
        return cast("bool", await self._run(partial(journalling.record, token=token, entries=entries, state=state)))

    async def conclude(
        self,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None = None,
    ) -> "Answer | Literal[False] | None":
        conclude = partial(journalling.conclude, token=token, state=state, result=result, events=events)
        step = partial(conclude, keep=keep, unless=unless)
        return cast("Answer | None", await self._run(step))

    async def hand_back(self, token: int, wait: float = 0.0, known: int | None = None) -> bool:
        return cast("bool", await self._run(partial(journalling.hand_back, token=token, wait=wait, known=known)))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self._run(partial(journalling.reclaim, holding=holding))

    async def signal(self, run: str, entry: Entry) -> bool:
        return cast("bool", await self._run(partial(journalling.signal, run=run, entry=entry)))

    async def wake(self, run: str) -> bool:
        return cast("bool", await self._run(partial(journalling.wake, run=run)))

    async def reopen(self, run: str, entry: Entry) -> bool:
        return cast("bool", await self._run(partial(journalling.reopen, run=run, entry=entry)))

    async def run(self, id: str, *, watch: bool = False) -> RunLoan | None:
        return cast("RunLoan | None", await self._run(partial(journalling.run, id=id, watch=watch)))

    async def runs(
        self, workflow: str | None, states: Collection[RunState] | None, after: str | None, limit: int
    ) -> list[StoredRun]:
        step = partial(journalling.listing, workflow=workflow, states=states, after=after, limit=limit)
        return cast("list[StoredRun]", await self._run(step))

    async def forget(self, runs: Collection[str]) -> int:
        return cast("int", await self._run(partial(journalling.forget, ids=runs)))
